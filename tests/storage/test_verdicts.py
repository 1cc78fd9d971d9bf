"""Landing verdicts."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow.parquet as pq
import pytest

from storage import verdicts
from storage.errors import LakeDamaged, StorageError
from storage.lines import pack, put
from storage.parquet import write_batches, write_rows
from storage.schemas import VERDICTS
from storage.verdicts import VerdictStore
from tests.fakes import listing, make_verdict


def landed(folder: Path) -> dict[str, list[str]]:
    """Return the sample ids of each part."""
    return {part.name: pq.read_table(part)["sample_id"].to_pylist() for part in sorted(folder.glob("*.parquet"))}


def slowly(*, full: bool) -> tuple[threading.Event, threading.Event, Callable[..., None]]:
    """Return a `write_batches` that sets the first event and waits for the second, and that then finds the disk full or not."""
    began, go_on = threading.Event(), threading.Event()

    def slow(*arguments: Any) -> None:
        began.set()
        go_on.wait(10)
        if full:
            raise StorageError("full")
        write_batches(*arguments)

    return began, go_on, slow


async def test_leaving_lands(tmp_path: Path):
    """What was added is a part once the store is left."""
    async with VerdictStore(tmp_path, tmp_path / "segments", run="r") as store:
        await store.add([make_verdict("a"), make_verdict("b", passed=None)])
        assert landed(tmp_path) == {}
    assert landed(tmp_path) == {"r-000000.parquet": ["a", "b"]}


async def test_leaving_by_an_error_lands(tmp_path: Path):
    """What was added is kept where the run ends badly, too."""
    with pytest.raises(RuntimeError):  # noqa: PT012
        async with VerdictStore(tmp_path, tmp_path / "segments", run="r") as store:
            await store.add([make_verdict("a")])
            raise RuntimeError
    assert landed(tmp_path) == {"r-000000.parquet": ["a"]}


async def test_full_buffer_lands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A buffer of PART_ROWS becomes a part."""
    monkeypatch.setattr(verdicts, "PART_ROWS", 2)
    async with VerdictStore(tmp_path, tmp_path / "segments", run="r") as store:
        for name in "abcde":
            await store.add([make_verdict(name)])
    assert list(landed(tmp_path).values()) == [["a", "b"], ["c", "d"], ["e"]]


async def test_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A part is held, and written, in row groups of so many verdicts, or fewer where their texts are long."""
    monkeypatch.setattr(verdicts, "STORE_GROUP", 3)
    monkeypatch.setattr(verdicts, "GROUP_CHARS", 100)
    async with VerdictStore(tmp_path, tmp_path / "segments", run="r") as store:
        for name in "abcde":
            await store.add([make_verdict(name)])
        for name in "fg":
            await store.add([dataclasses.replace(make_verdict(name), answer="x" * 200)])
    metadata = pq.read_metadata(tmp_path / "r-000000.parquet")
    assert [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)] == [3, 3, 1]
    assert landed(tmp_path) == {"r-000000.parquet": list("abcdefg")}


async def test_nothing_added(tmp_path: Path):
    """No verdicts make no part, however often it is flushed."""
    async with VerdictStore(tmp_path, tmp_path / "segments", run="r") as store:
        await store.flush()
    assert listing(tmp_path) == []


async def test_every_field(tmp_path: Path):
    """A verdict's row has all that it says."""
    verdict = make_verdict(passed=False, score=0.25, reason="wrong: ä", answer="5", elapsed_s=0.5)
    async with VerdictStore(tmp_path, tmp_path / "segments", run="r") as store:
        await store.add([verdict])
    (row,) = pq.read_table(tmp_path / "r-000000.parquet").to_pylist()
    assert row == {name: getattr(verdict, name) for name in row}


async def test_a_disk_that_refuses(tmp_path: Path):
    """What could not be written is written once the disk takes it again: a judge was paid for it."""
    folder = tmp_path / "verdicts"
    folder.write_text("in the way")
    async with VerdictStore(folder, tmp_path / "segments", run="r") as store:
        await store.add([make_verdict("a")])
        with pytest.raises(StorageError, match="can't be written"):
            await store.flush()
        await store.add([make_verdict("b")])
        folder.unlink()
    assert list(landed(folder).values()) == [["a"], ["b"]]


@pytest.mark.parametrize("full", [False, True], ids=["written", "refused"])
async def test_cancelled_while_a_part_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: bool):
    """Whoever is cancelled while verdicts are written takes none along, even where the disk then refuses them."""
    began, go_on, slow = slowly(full=full)
    async with VerdictStore(tmp_path, tmp_path / "segments", run="r") as store:
        await store.add([make_verdict("a")])
        with monkeypatch.context() as patched:
            patched.setattr(verdicts, "write_batches", slow)
            flushing = asyncio.create_task(store.flush())
            await asyncio.to_thread(began.wait, 10)
            flushing.cancel()
            await asyncio.sleep(0.01)
            go_on.set()
            with pytest.raises(StorageError if full else asyncio.CancelledError):
                await flushing
    assert list(landed(tmp_path).values()) == [["a"]]


def left(folder: Path) -> list[str]:
    """Return the sample ids in the segments of a folder."""
    return [
        json.loads(line[9:])["sample_id"] for path in sorted(folder.glob("*.jsonl")) for line in path.read_bytes().splitlines()
    ]


def left_in(folder: Path) -> int:
    """Return how many lines the files of a folder have."""
    return sum(len(path.read_bytes().splitlines()) for path in folder.glob("*.jsonl"))


class TestPaid:
    """A verdict that a judge was paid for is never bought again."""

    async def test_on_disk_at_once(self, tmp_path: Path):
        """It is in a segment when `add` returns, without the free ones, and the segment goes when the part is there."""
        segments = tmp_path / "segments"
        async with VerdictStore(tmp_path, segments, run="r") as store:
            await store.add([make_verdict("free")])
            await store.add([make_verdict("a")], paid=True)
            await asyncio.gather(*(store.add([make_verdict(name)], paid=True) for name in "bcd"))
            assert left(segments) == ["a", "b", "c", "d"]
            assert landed(tmp_path) == {}
        assert landed(tmp_path) == {"r-000000.parquet": ["free", "a", "b", "c", "d"]}
        assert listing(segments) == []

    async def test_group_commit(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """Those that come while the disk is busy share the next write."""
        began, go_on, writes = threading.Event(), threading.Event(), []

        def slow(file: BinaryIO, at: int, data: bytes) -> int:
            writes.append(data.count(b"\n"))
            began.set()
            go_on.wait(10)
            return put(file, at, data)

        monkeypatch.setattr(verdicts, "put", slow)
        async with VerdictStore(tmp_path, tmp_path / "segments", run="r") as store:
            adding = [asyncio.create_task(store.add([make_verdict("a")], paid=True))]
            await asyncio.to_thread(began.wait, 10)
            adding += [asyncio.create_task(store.add([make_verdict(f"b{n}")], paid=True)) for n in range(50)]
            await asyncio.sleep(0.01)
            assert not any(each.done() for each in adding)
            go_on.set()
            await asyncio.gather(*adding)
        assert writes == [1, 50]

    async def test_cancelled_while_others_are_written(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """Whoever is cancelled, and cancelled again, while the disk is busy hears of it when its verdict is on disk."""
        began, go_on = threading.Event(), threading.Event()

        def slow(file: BinaryIO, at: int, data: bytes) -> int:
            began.set()
            go_on.wait(10)
            return put(file, at, data)

        monkeypatch.setattr(verdicts, "put", slow)
        segments = tmp_path / "segments"
        async with VerdictStore(tmp_path, segments, run="r") as store:
            adding = [asyncio.create_task(store.add([make_verdict("a")], paid=True))]
            await asyncio.to_thread(began.wait, 10)
            adding.append(asyncio.create_task(store.add([make_verdict("b")], paid=True)))
            for _ in range(2):
                await asyncio.sleep(0.01)
                adding[1].cancel()
            await asyncio.sleep(0.01)
            assert not adding[1].done()
            go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await adding[1]
            assert left(segments) == ["a", "b"]
            await adding[0]

    async def test_killed(self, tmp_path: Path):
        """What a killed run left becomes its part, once; a torn last line is no verdict."""
        segments, parts = tmp_path / "segments", tmp_path / "verdicts"
        segments.mkdir()
        names = ("a", "b")
        lines = [pack(make_verdict(name, reason="wrong: ä\n")) for name in names]
        (segments / "r-000000.jsonl").write_bytes(b"".join(lines))
        with (segments / "r-000000.jsonl").open("ab") as file:
            file.write(pack(make_verdict("torn"))[:-3])
        kept = (segments / "r-000000.jsonl").read_bytes()
        verdicts.recover(segments, parts, tmp_path / "quarantine")
        assert landed(parts) == {"r-000000.parquet": ["a", "b"]}
        assert pq.read_table(parts / "r-000000.parquet").to_pylist()[0]["reason"] == "wrong: ä\n"
        assert listing(segments) == []
        (segments / "r-000000.jsonl").write_bytes(kept)  # killed again, before the segment was gone
        verdicts.recover(segments, parts, tmp_path / "quarantine")
        assert landed(parts) == {"r-000000.parquet": ["a", "b"]}
        assert listing(segments) == []

    async def test_damaged(self, tmp_path: Path, caplog: pytest.LogCaptureFixture):
        """A line that a disk damaged is told of, and the others are kept."""
        segments = tmp_path / "segments"
        segments.mkdir()
        lines = [pack(make_verdict(name)) for name in "abc"]
        (segments / "r-000000.jsonl").write_bytes(lines[0] + lines[1].replace(b'"b"', b'"x"') + lines[2])
        verdicts.recover(segments, tmp_path, tmp_path / "quarantine")
        assert landed(tmp_path) == {"r-000000.parquet": ["a", "c"]}
        assert "1 line is damaged" in caplog.text
        assert left_in(tmp_path / "quarantine") == 3
        assert listing(segments) == []

    @pytest.mark.parametrize(
        "harm", [lambda data: b"", lambda data: data[:40] + bytes([data[40] ^ 1]) + data[41:]], ids=["cut", "flipped"]
    )
    async def test_a_part_that_is_not_what_its_segment_says(self, tmp_path: Path, harm: Callable[[bytes], bytes]):
        """The segment is all that is left, and stays; what a repair saved of the part isn't landed twice."""
        segments, parts = tmp_path / "segments", tmp_path / "verdicts"
        async with VerdictStore(parts, segments, run="r") as store:
            await store.add([make_verdict(name, reason=name * 50) for name in "abc"], paid=True)
            kept = (segments / "r-000000.jsonl").read_bytes()
        part = parts / "r-000000.parquet"
        part.write_bytes(harm(part.read_bytes()))
        (segments / "r-000000.jsonl").write_bytes(kept)
        for _ in range(2):
            with pytest.raises(LakeDamaged, match="r-000000"):
                verdicts.recover(segments, parts, tmp_path / "quarantine")
        assert left(segments) == ["a", "b", "c"]
        part.unlink()
        write_rows(parts / "r-000000.salvaged.parquet", VERDICTS, [dataclasses.asdict(make_verdict("b"))])
        verdicts.recover(segments, parts, tmp_path / "quarantine")
        assert landed(parts) == {"r-000000.parquet": ["a", "c"], "r-000000.salvaged.parquet": ["b"]}

    async def test_a_disk_that_refuses(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """Whoever adds hears of it, all of those that share a write; what could not be kept lands when there is room."""
        segments = tmp_path / "segments"

        def full(file: BinaryIO, at: int, data: bytes) -> int:
            file.write(data[:10])
            raise OSError(errno.ENOSPC, "No space left on device")

        async with VerdictStore(tmp_path, segments, run="r") as store:
            await store.add([make_verdict("a")], paid=True)
            with monkeypatch.context() as patched:
                patched.setattr(verdicts, "put", full)
                adding = (store.add([make_verdict(name)], paid=True) for name in "bc")
                found = await asyncio.gather(*adding, return_exceptions=True)
            assert [type(each) for each in found] == [StorageError] * 2
            await store.add([make_verdict("d")], paid=True)  # there is room again
            assert left(segments) == ["a", "b", "c", "d"]
        assert landed(tmp_path) == {"r-000000.parquet": ["a", "b", "c", "d"]}

    @pytest.mark.parametrize("full", [False, True], ids=["landed", "refused"])
    async def test_added_while_a_part_lands(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: bool):
        """They go to the next part, and its segment outlives the other one's."""
        segments = tmp_path / "segments"
        began, go_on, slow = slowly(full=full)
        async with VerdictStore(tmp_path, segments, run="r") as store:
            await store.add([make_verdict("a")], paid=True)
            with monkeypatch.context() as patched:
                patched.setattr(verdicts, "write_batches", slow)
                flushing = asyncio.create_task(store.flush())
                await asyncio.to_thread(began.wait, 10)
                await store.add([make_verdict("b")], paid=True)
                go_on.set()
                found = await asyncio.gather(flushing, return_exceptions=True)
            assert isinstance(found[0], StorageError) == full
            assert left(segments) == (["a", "b"] if full else ["b"])
        assert list(landed(tmp_path).values()) == [["a"], ["b"]]
        assert listing(segments) == []
