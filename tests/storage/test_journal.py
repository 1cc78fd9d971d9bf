"""The journal: a response is on disk before it is counted, whatever happens next."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage import journal
from storage.errors import StorageError
from storage.journal import Journal
from storage.segments import land, read
from tests.fakes import listing, make_sample
from tests.storage.lines import line


def ids(parts: Path) -> list[str]:
    """Return the ids of all samples in parts, as often as they are there."""
    return sorted(row for part in parts.glob("*.parquet") for row in pq.read_table(part)["sample_id"].to_pylist())


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """Return the folder for parts."""
    return tmp_path / "parts"


class TestAppend:
    """Writing."""

    async def test_durable_before_return(self, tmp_path: Path, parts: Path):
        """When `append` has returned, whoever reads the segment finds the sample, though nothing was closed or landed."""
        async with Journal(tmp_path, parts, run="r") as log:
            await log.append([make_sample("a"), make_sample("b")])
            assert [row["sample_id"] for row in read(tmp_path / "r-000000.jsonl")] == ["a", "b"]
            assert listing(parts) == []

    async def test_synced_before_return(self, tmp_path: Path, parts: Path, monkeypatch: pytest.MonkeyPatch):
        """When `append` has returned, every byte of the segment was synced: a power cut can't take it."""
        synced: list[int] = []
        sync = os.fdatasync

        def watching(handle: int) -> None:
            sync(handle)
            synced.append(os.fstat(handle).st_size)

        monkeypatch.setattr(os, "fdatasync", watching)
        async with Journal(tmp_path, parts, run="r") as log:
            for name in "abc":
                await log.append([make_sample(name)])
                assert synced[-1] == sum(len(line(each)) for each in "abc"[: len(synced)])
            assert len(synced) == log.commits == 3

    async def test_sync_error(self, tmp_path: Path, parts: Path, monkeypatch: pytest.MonkeyPatch):
        """A sync that the disk refuses is a StorageError for all who wait for it, and the next append gets a new segment."""
        answers = iter([OSError(errno.EIO, "Input/output error"), None])

        def refusing(handle: int) -> None:
            if error := next(answers):
                raise error

        monkeypatch.setattr(os, "fdatasync", refusing)
        async with Journal(tmp_path, parts, run="r") as log:
            refused = await asyncio.gather(log.append([make_sample("a")]), log.append([make_sample("b")]), return_exceptions=True)
            assert [str(each) for each in refused] == [
                f"{tmp_path}/r-000000.jsonl: the journal can't be written: Input/output error"
            ] * 2
            await log.append([make_sample("c")])
            assert [row["sample_id"] for row in read(tmp_path / "r-000001.jsonl")] == ["c"]

    async def test_defect(self, tmp_path: Path, parts: Path, monkeypatch: pytest.MonkeyPatch):
        """A defect in the middle of a commit reaches all who wait, whoever appends later, and whoever closes; nobody waits for ever."""
        log = await Journal(tmp_path, parts, run="r").__aenter__()
        await log.append([make_sample("a")])

        def broken(data: bytes) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(log, "_put", broken)
        async with asyncio.timeout(10):
            waiting = asyncio.gather(*(log.append([make_sample(name)]) for name in "bc"), return_exceptions=True)
            assert [type(each) for each in await waiting] == [ZeroDivisionError] * 2
            with pytest.raises(ZeroDivisionError):
                await log.append([make_sample("d")])
            with pytest.raises(ZeroDivisionError):
                await log.close()
        assert ids(parts) == ["a"]

    async def test_group_commit(self, tmp_path: Path, parts: Path):
        """Appends that wait together share a sync: a thousand need a few."""
        async with Journal(tmp_path, parts, run="r") as log:
            async with asyncio.TaskGroup() as group:
                for n in range(1_000):
                    group.create_task(log.append([make_sample(f"s{n:04}")]))
            assert 1 <= log.commits <= 10
        assert ids(parts) == [f"s{n:04}" for n in range(1_000)]

    async def test_cancelled_append_loses_nothing(self, tmp_path: Path, parts: Path):
        """A caller that is cancelled while it waits for the disk doesn't take its samples with it."""
        async with Journal(tmp_path, parts, run="r") as log:
            task = asyncio.create_task(log.append([make_sample("a")]))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert ids(parts) == ["a"]

    async def test_cancelled_append_hears_what_the_disk_refuses(
        self, tmp_path: Path, parts: Path, monkeypatch: pytest.MonkeyPatch
    ):
        """It doesn't take for written what never will be."""

        def refusing(handle: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(os, "fdatasync", refusing)
        async with Journal(tmp_path, parts, run="r") as log:
            task = asyncio.create_task(log.append([make_sample("a")]))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(StorageError, match="Input/output error"):
                await task

    async def test_closed(self, tmp_path: Path, parts: Path):
        """A journal that is closed refuses, in place of losing what it is given."""
        async with Journal(tmp_path, parts, run="r") as log:
            await log.append([make_sample("a")])
        with pytest.raises(StorageError, match="closed"):
            await log.append([make_sample("b")])

    async def test_closed_twice(self, tmp_path: Path, parts: Path):
        """Closing again does nothing."""
        async with Journal(tmp_path, parts, run="r") as log:
            await log.append([make_sample("a")])
            await log.close()
        assert ids(parts) == ["a"]

    async def test_nothing_appended(self, tmp_path: Path, parts: Path):
        """A run that buys nothing leaves no file."""
        async with Journal(tmp_path, parts, run="r"):
            pass
        assert listing(tmp_path) == []


class TestLeft:
    """Nobody is told that a journal is settled or closed while something is still written: the lake's lock would be free."""

    @pytest.fixture(params=["settle", "close"])
    async def leaving(self, request: pytest.FixtureRequest, tmp_path: Path, parts: Path, monkeypatch: pytest.MonkeyPatch):
        """Return a task that settles or closes a journal of two segments, the first refused and the second held."""
        monkeypatch.setattr(journal, "SEGMENT_ROWS", 1)
        monkeypatch.setattr(journal, "land", self._slow)
        log = Journal(tmp_path, parts, run="r")
        await log.__aenter__()
        for name in "ab":
            await log.append([make_sample(name)])
        yield asyncio.create_task(getattr(log, request.param)())
        self._go_on.set()
        await log.close()

    def setup_method(self) -> None:
        """Hold what lands later."""
        self._began, self._go_on = threading.Event(), threading.Event()

    def _slow(self, segment: Path, parts: Path, schema: pa.Schema) -> int:
        if segment.stem.endswith("0"):
            raise StorageError("refused")
        self._began.set()
        self._go_on.wait(10)
        return land(segment, parts, schema)

    @pytest.mark.parametrize("cancelled", [0, 1, 2])
    async def test_all_of_it_is_waited_for(self, parts: Path, leaving: asyncio.Task[None], cancelled: int):
        """Whatever one segment meets, and however often the caller is cancelled."""
        await asyncio.to_thread(self._began.wait, 10)
        for _ in range(cancelled):
            leaving.cancel()
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)
        assert not leaving.done()
        self._go_on.set()
        with pytest.raises(StorageError, match="refused"):
            await leaving
        assert ids(parts) == ["b"]

    async def test_what_is_queued_is_written(self, tmp_path: Path, parts: Path, monkeypatch: pytest.MonkeyPatch):
        """Also where whoever closes is cancelled while the disk is busy."""
        log = await Journal(tmp_path, parts, run="r").__aenter__()
        commit = log._commit

        def slow(data: bytes) -> None:
            self._began.set()
            self._go_on.wait(10)
            commit(data)

        monkeypatch.setattr(log, "_commit", slow)
        appending = asyncio.create_task(log.append([make_sample("a")]))
        await asyncio.to_thread(self._began.wait, 10)
        closing = asyncio.create_task(log.close())
        await asyncio.sleep(0.01)
        closing.cancel()
        await asyncio.sleep(0.01)
        self._go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await closing
        await appending
        assert ids(parts) == ["a"]
        assert listing(tmp_path, "r-*") == []


class TestRotation:
    """Segments become parts."""

    async def test_by_rows(self, tmp_path: Path, parts: Path, monkeypatch: pytest.MonkeyPatch):
        """A segment that has SEGMENT_ROWS samples becomes a part, and the next append begins a new one."""
        monkeypatch.setattr(journal, "SEGMENT_ROWS", 3)
        async with Journal(tmp_path, parts, run="r") as log:
            for n in range(7):
                await log.append([make_sample(f"s{n}")])
        assert [pq.read_metadata(parts / name).num_rows for name in listing(parts, "*.parquet")] == [3, 3, 1]
        assert ids(parts) == [f"s{n}" for n in range(7)]

    async def test_by_bytes(self, tmp_path: Path, parts: Path, monkeypatch: pytest.MonkeyPatch):
        """Long responses fill a segment sooner."""
        monkeypatch.setattr(journal, "SEGMENT_BYTES", 10_000)
        async with Journal(tmp_path, parts, run="r") as log:
            for n in range(3):
                await log.append([make_sample(f"s{n}", response="x" * 10_000)])
        assert listing(parts, "*.parquet") == [f"r-{n:06}.parquet" for n in range(3)]

    async def test_segments_are_gone_once_landed(self, tmp_path: Path, parts: Path):
        """A landed segment is removed."""
        async with Journal(tmp_path, parts, run="r") as log:
            await log.append([make_sample()])
        assert listing(tmp_path, "*.jsonl") == []
