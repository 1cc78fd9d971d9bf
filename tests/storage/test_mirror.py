"""The journals with a mirror: what counts is in both places, and what only one has is not lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from storage import journal
from storage.errors import StorageError
from storage.intents import Intents, new
from storage.journal import Journal
from storage.lines import unpack
from storage.segments import read
from storage.verdicts import VerdictStore
from tests.fakes import listing, make_sample, make_verdict


class FakeMirror:
    """Keeps commits in memory; `hold` delays them, `refuse` is raised in their place."""

    def __init__(self) -> None:
        self.commits: dict[str, dict[int, bytes]] = {}
        self.parts: list[str] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self.refuse: Exception | None = None
        self.tried = 0
        self.trying = asyncio.Event()
        self.side_by_side = self.most = 0

    async def put(self, segment: Path, number: int, data: bytes) -> None:
        self.tried += 1
        self.trying.set()
        self.side_by_side += 1
        self.most = max(self.most, self.side_by_side)
        try:
            await self.hold.wait()
            if self.refuse is not None:
                raise self.refuse
            self.commits.setdefault(segment.stem, {})[number] = data
        finally:
            self.side_by_side -= 1

    async def landed(self, segment: Path, part: Path) -> None:
        assert listing(part.parent, part.name)
        assert not listing(segment.parent, segment.name)
        self.commits.pop(segment.stem, None)
        self.parts.append(part.name)

    def ids(self) -> list[str]:
        """Return the samples of all commits."""
        lines = [line for each in self.commits.values() for data in each.values() for line in data.splitlines(keepends=True)]
        return sorted(unpack(line)["sample_id"] for line in lines)


@pytest.fixture
def mirror() -> FakeMirror:
    """Return a mirror that keeps everything at once."""
    return FakeMirror()


async def test_counts_once_it_is_in_both(tmp_path: Path, mirror: FakeMirror):
    """`append` returns when the mirror has the sample; the disk has it before, and says so then."""
    async with Journal(tmp_path, tmp_path / "parts", run="r", mirror=mirror) as log:
        mirror.hold.clear()
        on_disk = asyncio.Event()
        appending = asyncio.create_task(log.append([make_sample("a")], on_disk=on_disk.set))
        await mirror.trying.wait()
        assert on_disk.is_set()
        assert [row["sample_id"] for row in read(tmp_path / "r-000000.jsonl")] == ["a"]
        assert not appending.done()
        mirror.hold.set()
        await appending
        assert mirror.ids() == ["a"]


@pytest.mark.parametrize("refused", [False, True])
async def test_what_a_sample_carries(tmp_path: Path, mirror: FakeMirror, refused: bool):
    """It is taken back once the mirror has the sample, or never will: with this machine, notes and sample would be lost alike."""
    taken_back = asyncio.Event()
    async with Journal(tmp_path, tmp_path / "parts", run="r", mirror=mirror) as log:
        mirror.hold.clear()
        mirror.refuse = StorageError("away") if refused else None
        appending = asyncio.create_task(log.append([make_sample("a")], carried=taken_back.set))
        await mirror.trying.wait()
        await asyncio.sleep(0.01)
        assert not taken_back.is_set()
        mirror.hold.set()
        await asyncio.gather(appending, return_exceptions=True)
        assert taken_back.is_set()


async def test_puts_overlap_and_are_shared(tmp_path: Path, mirror: FakeMirror):
    """Puts that take long don't wait for one another, up to a number, and each takes along what came in its round."""
    async with Journal(tmp_path, tmp_path / "parts", run="r", mirror=mirror) as log:
        mirror.hold.clear()
        appends = []
        for number in range(60):
            appends.append(asyncio.create_task(log.append([make_sample(f"s{number:02}")])))
            await asyncio.sleep(0.005)
        await asyncio.sleep(2 * journal.ROUND_S)
        assert 1 < mirror.most <= journal.PUTS
        assert log.commits < 30
        mirror.hold.set()
        await asyncio.gather(*appends)
        assert mirror.ids() == [f"s{number:02}" for number in range(60)]


async def test_parts_take_the_place_of_commits(tmp_path: Path, mirror: FakeMirror, monkeypatch: pytest.MonkeyPatch):
    """Each segment's part is handed on once it is there, and after the last of its commits has arrived."""
    monkeypatch.setattr(journal, "SEGMENT_ROWS", 2)
    async with Journal(tmp_path, tmp_path / "parts", run="r", mirror=mirror) as log:
        for number in range(5):
            await log.append([make_sample(f"s{number}")])
    assert mirror.parts == ["r-000000.parquet", "r-000001.parquet", "r-000002.parquet"]
    assert mirror.commits == {}


async def test_a_mirror_that_is_away(tmp_path: Path, mirror: FakeMirror):
    """What it refuses raises and is not counted, nobody behind waits for it again, and the disk has everything all the same."""
    mirror.refuse = StorageError("s3://b: can't be written: the store answers 503")
    async with Journal(tmp_path, tmp_path / "parts", run="r", mirror=mirror) as log:
        found = await asyncio.gather(*(log.append([make_sample(name)]) for name in "ab"), return_exceptions=True)
        tried = mirror.tried
        for name in "cd":
            found += await asyncio.gather(log.append([make_sample(name)]), return_exceptions=True)
        assert mirror.tried == tried
    assert found == [mirror.refuse] * 4
    assert listing(tmp_path / "parts", "*.parquet") == ["r-000000.parquet"]


async def test_a_defect_in_a_mirror_breaks_the_journal(tmp_path: Path, mirror: FakeMirror):
    """What is no refusal is raised by whatever comes after it too."""
    mirror.refuse = ZeroDivisionError("defect")
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - on leaving, too
        async with Journal(tmp_path, tmp_path / "parts", run="r", mirror=mirror) as log:
            for _ in range(2):
                with pytest.raises(ZeroDivisionError):
                    await log.append([make_sample("a")])


async def test_verdicts_that_were_paid_for(tmp_path: Path, mirror: FakeMirror):
    """A judge's verdict counts once the mirror has it; one that cost nothing goes there with its part."""
    async with VerdictStore(tmp_path / "verdicts", tmp_path / "segments", run="r", mirror=mirror) as store:
        await store.add([make_verdict("free")])
        assert mirror.commits == {}
        await store.add([make_verdict("one")], paid=True)
        await store.add([make_verdict("two")], paid=True)
        assert mirror.ids() == ["one", "two"]
        assert sorted(mirror.commits["r-000000"]) == [0, 1]
    assert mirror.parts == ["r-000000.parquet"]


async def test_a_verdict_that_the_mirror_refuses(tmp_path: Path, mirror: FakeMirror):
    """It raises for whoever waits, and goes along with the next."""
    async with VerdictStore(tmp_path / "verdicts", tmp_path / "segments", run="r", mirror=mirror) as store:
        mirror.refuse = StorageError("away")
        with pytest.raises(StorageError, match="away"):
            await store.add([make_verdict("one")], paid=True)
        mirror.refuse = None
        await store.add([make_verdict("two")], paid=True)
        assert mirror.ids() == ["one", "two"]


def test_a_batch_is_noted_in_both(tmp_path: Path):
    """A note is with the keeper before `write` returns, so before the batch is sent, and goes from both."""
    done: list[tuple[str, str, bool]] = []

    class FakeKeeper:
        def keep(self, path: Path) -> None:
            done.append(("keep", path.name, path.exists()))

        def drop(self, path: Path) -> None:
            done.append(("drop", path.name, path.exists()))

    intents = Intents(tmp_path, keeper=FakeKeeper())
    intents.write(new(key="k", teacher="t", provider="p", model="m", items=[]))
    intents.remove("k")
    assert done == [("keep", "k.json", True), ("drop", "k.json", False)]
