"""An API key is sent to its teacher, and is nowhere else, whatever goes wrong."""

from __future__ import annotations

import json
import threading
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from tests.e2e.conftest import Workplace
from tests.e2e.teacher import LoopbackTeacher, counting
from tests.e2e.test_build import spec
from tests.e2e.test_prefect import api

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(900)]
KEY = "sk-canary-0a1b2c3d4e5f"
PLUGIN = """
from storage.errors import BadResponse

class Telling:
    identity = {}

    def __init__(self, model, key):
        self.model, self.key = model, key

    async def complete(self, request):
        raise (BadResponse if self.model == "error" else RuntimeError)(f"the key is {self.key}")

    async def aclose(self):
        pass

def make(options, *, api_key):
    if options.model == "maker":
        raise RuntimeError(f"no good key: {api_key}")
    return Telling(options.model, api_key)
"""
POINTS = "[stillhouse.teachers]\ntelling = stillhouse_telling:make\n"


def replies(way: str) -> Any:
    """Return a reply that quotes the key in one way."""
    quoting = {"error": {"message": f"Incorrect API key provided: {KEY}.", "key": KEY}}
    return {
        "good": counting,
        "refused": lambda body, sold: (401, quoting),
        "malformed": lambda body, sold: (200, {"headers": f"Bearer {KEY}"}),
        "malformed for these prompts": lambda body, sold: (
            counting(body, sold) if "Repeat this" in body["messages"][-1]["content"] else (200, {"headers": f"Bearer {KEY}"})
        ),
        "wrong types": lambda body, sold: (200, {"choices": [], "usage": {"prompt_tokens": KEY}}),
        "broken": lambda body, sold: (500, quoting),
        "rejected": lambda body, sold: (400, {"error": {"message": f"not a field: {KEY}"}}),
    }[way]


def install(folder: Path) -> None:
    """Put a teacher that tells its key into a folder as pip would."""
    info = folder / "stillhouse_telling-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "stillhouse_telling.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stillhouse-telling\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)


class Watching(threading.Thread):
    """Reads the command line of every process until it is told to stop."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[bytes] = set()
        self.done = threading.Event()

    def run(self) -> None:
        """Look ten times a second."""
        while not self.done.wait(0.1):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(path.read_bytes())
                except OSError:
                    continue  # it has ended


def texts(folder: Path) -> Iterator[str]:
    """Yield everything in a folder: names, bytes, and what is packed in Parquet and DuckDB files."""
    for path in folder.rglob("*"):
        yield str(path)
        if not path.is_file():
            continue
        yield path.read_bytes().decode("latin-1")
        if path.suffix == ".parquet":
            yield str(pq.read_table(path).to_pylist())
        if path.suffix == ".duckdb":
            with duckdb.connect(str(path), read_only=True) as connection:
                for (table,) in connection.execute("SELECT table_name FROM information_schema.tables").fetchall():
                    yield str(connection.execute(f"FROM {table}").fetchall())


def in_prefect(workplace: Workplace) -> Iterator[str]:
    """Yield everything that Prefect's API tells."""
    for what in ("flow_runs", "task_runs", "logs", "artifacts", "variables", "events", "flows", "deployments"):
        path = f"/{what}/filter"
        try:
            yield json.dumps([api(workplace, path, {"limit": 200, "offset": 200 * page}) for page in range(3)])
        except urllib.error.HTTPError:
            yield json.dumps(api(workplace, path, {}))


BUILDS: dict[str, tuple[int, dict[str, Any]]] = {
    "good": (0, {}),
    "refused": (2, {}),
    "malformed": (5, {}),
    "malformed for these prompts": (0, {}),
    "wrong types": (5, {}),
    "broken": (5, {}),
    "rejected": (2, {}),
    "nobody there": (5, {"base_url": "http://127.0.0.1:9/v1"}),
    "in the address": (2, {"base_url": f"http://127.0.0.1:9/v1?key={KEY}"}),
    "a plug-in's error": (5, {"provider": "telling", "model": "error"}),
    "a plug-in's defect": (1, {"provider": "telling", "model": "defect"}),
    "a plug-in that can't be made": (1, {"provider": "telling", "model": "maker"}),
}
"""What each build is to exit with, and its teacher's entry."""


def test_the_key_is_nowhere(workplace: Workplace, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A build that succeeds and eleven whose teacher fails, and the key is in no file, stream, command line or answer of Prefect's."""
    site = workplace.folder.with_name("site")
    install(site)
    workplace.environment |= {"TEST_KEY": KEY, "PYTHONPATH": str(site)}
    watching = Watching()
    watching.start()
    said = ""
    try:
        for number, (way, (code, entry)) in enumerate(BUILDS.items()):
            with LoopbackTeacher(replies(way if way in {*list(BUILDS)[:7]} else "good")) as teacher:
                spec(workplace, teacher.url, prompts=2, k=1, **entry)
                workplace.spec |= {"dataset": f"canary{number}", "exports": [{"to": str(workplace.folder / f"out{number}")}]}
                workplace.spec["sampling"]["seed"] = 100 * number  # other samples, so that somebody is asked
                path = workplace.write()
                done = workplace.run("build", str(path), "--lake", str(workplace.lake), "--json")
                if way == "good":
                    assert teacher.headers[0]["authorization"] == f"Bearer {KEY}"
                path.unlink()  # one of them has the key in it, by its author's hand
            assert done.returncode == code, (way, done.stderr)
            said += done.stdout + done.stderr
    finally:
        watching.done.set()
        watching.join()
    assert KEY not in said
    assert "***" in said
    assert not [each for each in watching.seen if KEY.encode() in each]
    assert any(b"stillhouse" in each for each in watching.seen)
    lake, prefect = list(texts(workplace.folder)), list(in_prefect(workplace))
    servers = [text for home in tmp_path_factory.getbasetemp().glob("prefect*") for text in texts(home)]
    for place, found in (("the folder", lake), ("Prefect's API", prefect), ("Prefect's files", servers)):
        assert not [text[max(0, text.index(KEY) - 200) :][:400] for text in found if KEY in text], place
        assert any("canary0" in text for text in found), f"{place}: the search finds nothing at all"
    assert any("***" in text for text in lake)
    assert any("The answer is" in text for text in lake)
