"""Landing verdicts."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from storage import verdicts
from storage.errors import StorageError
from storage.parquet import write_rows
from storage.verdicts import VerdictStore
from tests.fakes import listing, make_verdict


def landed(folder: Path) -> dict[str, list[str]]:
    """Return the sample ids of each part."""
    return {part.name: pq.read_table(part)["sample_id"].to_pylist() for part in sorted(folder.glob("*.parquet"))}


async def test_leaving_lands(tmp_path: Path):
    """What was added is a part once the store is left."""
    async with VerdictStore(tmp_path, run="r") as store:
        await store.add([make_verdict("a"), make_verdict("b", passed=None)])
        assert landed(tmp_path) == {}
    assert landed(tmp_path) == {"r-000000.parquet": ["a", "b"]}


async def test_leaving_by_an_error_lands(tmp_path: Path):
    """What was added is kept where the run ends badly, too."""
    with pytest.raises(RuntimeError):  # noqa: PT012
        async with VerdictStore(tmp_path, run="r") as store:
            await store.add([make_verdict("a")])
            raise RuntimeError
    assert landed(tmp_path) == {"r-000000.parquet": ["a"]}


async def test_full_buffer_lands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A buffer of PART_ROWS becomes a part."""
    monkeypatch.setattr(verdicts, "PART_ROWS", 2)
    async with VerdictStore(tmp_path, run="r") as store:
        for name in "abcde":
            await store.add([make_verdict(name)])
    assert list(landed(tmp_path).values()) == [["a", "b"], ["c", "d"], ["e"]]


async def test_nothing_added(tmp_path: Path):
    """No verdicts make no part, however often it is flushed."""
    async with VerdictStore(tmp_path, run="r") as store:
        await store.flush()
    assert listing(tmp_path) == []


async def test_every_field(tmp_path: Path):
    """A verdict's row has all that it says."""
    verdict = make_verdict(passed=False, score=0.25, reason="wrong: ä", answer="5", elapsed_s=0.5)
    async with VerdictStore(tmp_path, run="r") as store:
        await store.add([verdict])
    (row,) = pq.read_table(tmp_path / "r-000000.parquet").to_pylist()
    assert row == {name: getattr(verdict, name) for name in row}


async def test_a_disk_that_refuses(tmp_path: Path):
    """What could not be written is written once the disk takes it again: a judge was paid for it."""
    folder = tmp_path / "verdicts"
    folder.write_text("in the way")
    async with VerdictStore(folder, run="r") as store:
        await store.add([make_verdict("a")])
        with pytest.raises(StorageError, match="can't be written"):
            await store.flush()
        await store.add([make_verdict("b")])
        folder.unlink()
    assert list(landed(folder).values()) == [["a", "b"]]


@pytest.mark.parametrize("full", [False, True], ids=["written", "refused"])
async def test_cancelled_while_a_part_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: bool):
    """Whoever is cancelled while verdicts are written takes none along, even where the disk then refuses them."""
    began, go_on = threading.Event(), threading.Event()

    def slow(*arguments: Any, **more: Any) -> int:
        began.set()
        go_on.wait(10)
        if full:
            raise StorageError("full")
        return write_rows(*arguments, **more)

    async with VerdictStore(tmp_path, run="r") as store:
        await store.add([make_verdict("a")])
        with monkeypatch.context() as patched:
            patched.setattr(verdicts, "write_rows", slow)
            flushing = asyncio.create_task(store.flush())
            await asyncio.to_thread(began.wait, 10)
            flushing.cancel()
            await asyncio.sleep(0.01)
            go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await flushing
    assert list(landed(tmp_path).values()) == [["a"]]
