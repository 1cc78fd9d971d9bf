"""A disk that is full, for real: what was bought is kept, and one line says so."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from storage import catalog, footers, journal
from storage.errors import StorageError
from storage.journal import Journal
from storage.lake import Lake
from storage.parquet import PartWriter
from storage.schemas import SAMPLES
from storage.segments import recover
from storage.workspace import Workspace
from tests.fakes import make_sample
from tests.storage.damaging import fill, sample_row
from tests.storage.disk import SmallDisk, small_disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Give a disk of 16 MB."""
    with small_disk(tmp_path / "disk", 16 * 2**20) as mounted:
        yield mounted


def ids(parts: Path) -> set[str]:
    """Return the ids of all samples in parts."""
    return {each for part in parts.glob("*.parquet") for each in pq.read_table(part)["sample_id"].to_pylist()}


async def test_what_is_in_flight_is_kept(disk: SmallDisk) -> None:
    """When the disk is full, whoever waits is told, and the samples are on disk all the same: the reserve takes them."""
    folder, parts = disk.root / "journal", disk.root / "parts"
    folder.mkdir()
    log = await Journal(folder, parts, run="r").__aenter__()
    disk.leave(500_000)
    bought, taken_back = 0, list[int]()
    with pytest.raises(StorageError, match="the journal can't be written: No space left on device"):  # noqa: PT012
        while bought < 100:
            bought += 1
            await log.append([make_sample(f"s{bought}", response="x" * 20_000)], carried=partial(taken_back.append, bought))
    assert bought < 30
    assert taken_back == list(range(1, bought + 1))  # what it carries isn't waste
    in_flight = [log.append([make_sample(f"s{bought + each}", response="x" * 20_000)]) for each in range(1, 65)]
    await asyncio.gather(*in_flight)
    disk.leave(0)  # so that no part can be written
    with pytest.raises(StorageError, match=r"parquet: can't be written: No space left on device"):
        await log.close()
    disk.empty()
    recover(folder, parts)
    assert ids(parts) == {f"s{number}" for number in range(1, bought + 65)}


async def test_lands_where_the_reserve_was(disk: SmallDisk) -> None:
    """Leaving gives the reserve back, so that what is in the journal lands on a disk that is full otherwise."""
    (disk.root / "journal").mkdir()
    async with Journal(disk.root / "journal", disk.root / "parts", run="r") as log:
        await log.append([make_sample("a")])
        disk.leave(0)
    assert ids(disk.root / "parts") == {"a"}
    assert not list((disk.root / "journal").iterdir())


async def test_no_room_for_the_reserve(disk: SmallDisk) -> None:
    """A disk without room for the reserve is refused before anything is bought, and no half of it stays."""
    disk.leave(journal.RESERVE_BYTES // 2)
    with pytest.raises(StorageError, match="reserve: can't be written: No space left on device"):
        await Journal(disk.root, disk.root / "parts", run="r").__aenter__()
    assert [path.name for path in disk.root.iterdir()] == ["filler"]


@pytest.mark.parametrize("free", [0, 4096, 40_000])
def test_what_is_kept_beside_a_part(disk: SmallDisk, free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk is full only when a part's footer is copied, the part isn't there either, nor anything half written."""
    copy = footers.copy

    def copied(part: Path, target: Path) -> None:
        disk.leave(free)
        copy(part, target)

    monkeypatch.setattr(footers, "copy", copied)
    part = disk.root / "part.parquet"
    rows = [sample_row(number) for number in range(100)]  # in a row group each, which makes a footer larger than what is left
    writer = PartWriter(part, SAMPLES, row_group=1, keep_footer=True)
    with pytest.raises(StorageError, match=r"part\.parquet: can't be written: No space left on device"), writer:
        any(map(writer.write, rows))
    assert [each.name for each in disk.root.iterdir()] == ["filler"]


def test_every_other_writer(disk: SmallDisk) -> None:
    """The lake's folders, a workspace, a snapshot and the catalog say in one line that the disk is full; a lake stays whole."""
    lake = Lake(disk.root / "lake")
    fill(lake)
    disk.leave(0)
    with pytest.raises(StorageError, match=r"No space left|no room"), lake.writing(print):
        catalog.write(lake)
    with pytest.raises(StorageError, match=r"No space left|no room"), Workspace(lake, lake.staging / "x") as workspace:
        workspace.execute("CREATE TABLE t AS SELECT range AS n, sha256(range::TEXT) AS x FROM range(200000)")
    assert not (lake.staging / "x").exists()
    disk.empty()
    with lake.writing(print):
        catalog.write(lake)
    assert len(lake.builds()) == 2
