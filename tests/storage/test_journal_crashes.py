"""The journal against real trouble, in child processes: SIGKILL and a disk that refuses."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from storage import journal
from storage.errors import StorageError
from storage.segments import recover
from tests.fakes import make_sample

ROOT = Path(__file__).parents[2]
APPENDING = """
import asyncio, sys
from pathlib import Path
from storage import journal
from tests.fakes import make_sample

journal.SEGMENT_ROWS = 40  # so that some of it is landing when the end comes
folder, parts = map(Path, sys.argv[1:])

async def one(log, n):
    while True:
        await log.append([make_sample(f"s{n}")])
        print(f"s{n}", flush=True)
        n += 8

async def main():
    async with journal.Journal(folder, parts, run="r") as log:
        await asyncio.gather(*(one(log, n) for n in range(8)))

asyncio.run(main())
"""
REFUSED = """
import asyncio, resource, sys
from pathlib import Path
from storage.errors import StorageError
from storage.journal import Journal
from tests.fakes import make_sample

folder, parts = map(Path, sys.argv[1:])

async def main():
    async with Journal(folder, parts, run="r") as log:
        await log.append([make_sample("before")])
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        try:
            await log.append([make_sample("refused", response="x" * 200_000)])
        except StorageError as error:
            print(error, flush=True)
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        await log.append([make_sample("after")])

asyncio.run(main())
"""


def start(script: str, *arguments: Path) -> subprocess.Popen[str]:
    """Start a child process."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def landed(parts: Path) -> Counter[str]:
    """Return how often each sample is in the parts."""
    return Counter(row for part in parts.glob("*.parquet") for row in pq.read_table(part)["sample_id"].to_pylist())


@pytest.mark.parametrize("after", [1, 30, 300], ids="killed after {}".format)
def test_sigkill(tmp_path: Path, after: int):
    """Every sample whose `append` had returned when the process was killed is in the lake exactly once after recovery."""
    child = start(APPENDING, tmp_path, tmp_path / "parts")
    assert child.stdout is not None
    said = [child.stdout.readline() for _ in range(after)]
    child.send_signal(signal.SIGKILL)
    said += child.stdout.readlines()
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL
    recover(tmp_path, tmp_path / "parts")
    found = landed(tmp_path / "parts")
    durable = {line.strip() for line in said if line.endswith("\n")}
    assert len(durable) >= after
    assert durable <= set(found)
    assert set(found.values()) == {1}


def test_write_error(tmp_path: Path):
    """A write that the disk refuses is a StorageError for whoever waits; what came before is kept, and what comes after too."""
    with start(REFUSED, tmp_path, tmp_path / "parts") as child:
        said, _ = child.communicate()
    assert child.returncode == 0
    assert said.strip() == f"{tmp_path}/r-000000.jsonl: the journal can't be written: File too large"
    assert landed(tmp_path / "parts") == {"before": 1, "after": 1}


async def test_landing_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A part that can't be written is a StorageError on leaving; its segment stays, and the other segments land."""
    monkeypatch.setattr(journal, "SEGMENT_ROWS", 1)
    parts = tmp_path / "parts"
    (parts / ".r-000000.parquet.tmp").mkdir(parents=True)  # in the way
    log = await journal.Journal(tmp_path, parts, run="r").__aenter__()
    await log.append([make_sample("a")])
    await log.append([make_sample("b")])
    with pytest.raises(StorageError, match=r"r-000000\.parquet: can't be written"):
        await log.close()
    assert landed(parts) == {"b": 1}
    (parts / ".r-000000.parquet.tmp").rmdir()
    recover(tmp_path, parts)
    assert landed(parts) == {"a": 1, "b": 1}
