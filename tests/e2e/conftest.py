"""A folder with prompts and a spec, and the installed command."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

COMMAND = str(Path(sys.executable).with_name("stillhouse"))


class Workplace:
    """A user's folder: `spec` is a dict that each command writes out first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lake = folder / "lake"
        self.spec: dict[str, Any] = {}
        self.timeout_s = 240.0
        self.environment = _plain_environment() | {
            "TEST_KEY": "sk-canary-1234567890",
            "PREFECT_HOME": str(folder / "prefect"),
            "XDG_STATE_HOME": str(folder / "state"),
        }

    def prompts(self, number: int, name: str = "prompts.jsonl") -> str:
        """Write arithmetic prompts whose answers are 0, 1, 2, 0, … and return the path."""
        rows = [{"prompt": f"How many in case {i}?", "reference": str(i % 3)} for i in range(number)]
        path = self.folder / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(path)

    def teacher(self, url: str, **more: Any) -> dict[str, Any]:
        """Return a teacher entry."""
        entry = {
            "name": "t",
            "provider": "openai",
            "model": "m",
            "base_url": url,
            "api_key_env": "TEST_KEY",
            "license": "Apache-2.0",
            "price": {"input": 1.0, "output": 2.0},
            "retry": {"attempts": 3, "first_wait_s": 0.01, "max_wait_s": 0.05, "patience_s": 1},
        }
        return entry | more

    def write(self) -> Path:
        path = self.folder / "spec.yaml"
        path.write_text(json.dumps(self.spec))
        return path

    def start(self, *arguments: str, **more: Any) -> subprocess.Popen[str]:
        """Start a command with pipes."""
        return subprocess.Popen(
            [COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **more,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment,
            text=True,
            capture_output=True,
            timeout=self.timeout_s,
            check=False,
        )

    def build(self, want: int = 0) -> dict[str, Any]:
        """Build the spec, check the exit code and return the summary."""
        done = self.run("build", str(self.write()), "--lake", str(self.lake), "--json")
        assert done.returncode == want, (done.returncode, done.stderr)
        assert "Traceback" not in done.stderr
        return json.loads(done.stdout) if want == 0 else {"error": done.stderr.strip().splitlines()[-1]}

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Query the lake's catalog."""
        with duckdb.connect(self.lake / "catalog.duckdb", read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def count(self, table: str) -> int:
        """Count a table's rows in the files themselves."""
        with duckdb.connect() as connection:
            return connection.execute(f"SELECT count(*) FROM read_parquet('{self.lake}/{table}/**/*.parquet')").fetchall()[0][0]


@pytest.fixture(scope="session")
def prefect_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a real Prefect server for all tests of the session and give its API's address."""
    home = tmp_path_factory.mktemp("prefect")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    environment = _plain_environment() | {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_UI_API_URL": url,
        "DO_NOT_TRACK": "1",
    }
    command = [str(Path(sys.executable).with_name("prefect")), "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (home / "server.log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            _wait_until_healthy(server, f"{url}/health")
            yield url
        finally:
            server.terminate()
            server.wait(timeout=30)


def _wait_until_healthy(server: subprocess.Popen[bytes], url: str) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail("the Prefect server did not start")


def _plain_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "STILLHOUSE_"))}


@pytest.fixture
def workplace(tmp_path: Path, prefect_url: str) -> Workplace:
    """Give a fresh folder, whose commands use the session's Prefect server."""
    place = Workplace(tmp_path)
    place.environment["PREFECT_API_URL"] = prefect_url
    return place


@pytest.fixture
def lone_workplace(tmp_path: Path) -> Workplace:
    """Give a fresh folder, whose builds start a temporary Prefect server."""
    return Workplace(tmp_path)
