"""What a disk has changed is noticed before a build relies on it."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from storage import footers, rot
from storage.errors import Interrupted, LakeDamaged
from storage.lake import Lake
from storage.parquet import write_rows
from storage.rot import WEEK_S, verify, verify_build
from storage.schemas import SAMPLES, SNAPSHOTS
from tests.storage.damaging import fill, flip, keep_footer, sample_row


@pytest.fixture
def part(lake: Lake) -> Path:
    """Fill the lake, keep the footers of its two parts, and return the part of samples."""
    part = fill(lake)
    for table in ("samples", "verdicts"):
        os.utime(footers.beside(keep_footer(lake.root / table / part.name)), (0, 0))
    return part


def test_once(lake: Lake, part: Path):
    """Each part is verified once, and not again so soon."""
    assert [verify(lake, print), verify(lake, print)] == [2, 0]


def test_a_flipped_bit(lake: Lake, part: Path):
    """A bit that flipped in a part that is new here is one line that names the part."""
    flip(part)
    for _ in range(2):
        with pytest.raises(LakeDamaged, match=r"run-000000\.parquet: isn't byte for byte what was written; `stillhouse doctor"):
            verify(lake, print)


def test_gone(lake: Lake, part: Path):
    """A part that isn't there any more is one line that names it, and says what may be done."""
    part.unlink()
    for _ in range(2):
        with pytest.raises(
            LakeDamaged, match=r"run-000000\.parquet: isn't there any more, and its 600 rows with it: put it back"
        ):
            verify(lake, print)


def test_every_week(lake: Lake, part: Path, monkeypatch: pytest.MonkeyPatch):
    """A bit that flips later, which no time of the file's tells, is noticed after a week."""
    assert verify(lake, print) == 2
    flip(part)
    ahead = time.time() + 2 * 86_400  # newer than the write by which the test flips it
    for table in ("samples", "verdicts"):
        os.utime(footers.beside(lake.root / table / part.name), (ahead, ahead))
    assert verify(lake, print) == 0
    monkeypatch.setattr(time, "time", lambda: ahead + WEEK_S)
    with pytest.raises(LakeDamaged):
        verify(lake, print)


def test_a_copy(lake: Lake, part: Path):
    """A lake that was copied, times and all, is verified where it is now."""
    verify(lake, print)
    copied = shutil.copytree(lake.root, lake.root.with_name("copied"))
    assert verify(Lake(copied), print) == 2


def test_without_a_footer(lake: Lake, part: Path):
    """A part without what is kept beside it is left to doctor."""
    flip(part)
    footers.beside(part).unlink()
    assert verify(lake, print) == 1


def test_made_anew(lake: Lake, part: Path):
    """A part that somebody wrote anew is none that has changed by itself."""
    shutil.copy(lake.root / "verdicts" / part.name, part)
    assert verify(lake, print) == 2


def test_as_written(lake: Lake, part: Path):
    """What has just landed is read back once, by the next build."""
    write_rows(part.with_name("run-000001.parquet"), SAMPLES, [sample_row(0)], store=True)
    assert [verify(lake, print), verify(lake, print)] == [3, 0]


def test_of_another_user(lake: Lake, part: Path, monkeypatch: pytest.MonkeyPatch):
    """Where the time can't be noted, the build goes on, and the next one verifies again."""

    def refused(path: Path) -> None:
        raise PermissionError(1, "Operation not permitted", str(path))

    monkeypatch.setattr(os, "utime", refused)
    assert [verify(lake, print), verify(lake, print)] == [2, 2]


@pytest.mark.parametrize("table", SNAPSHOTS)
@pytest.mark.parametrize("gone", [False, True])
def test_a_build_s_snapshot(lake: Lake, part: Path, table: str, gone: bool):
    """A part of a snapshot is compared each time, and one that isn't there any more is missed."""
    build = lake.build("sums")
    theirs = lake.snapshot(table, "sums", build["build_id"]) / "part-00000.parquet"
    keep_footer(theirs)
    verify_build(lake, build)
    if gone:
        theirs.unlink()
    else:
        flip(theirs, group=0, column="prompt_id")
    said = "isn't there any more, and its 3 rows with it" if gone else "isn't byte for byte what was written"
    with pytest.raises(LakeDamaged, match=rf"part-00000\.parquet: {said}"):
        verify_build(lake, build)
    footers.beside(theirs).unlink()
    verify_build(lake, build)  # of an earlier version, which kept none


def test_no_lake(lake: Lake):
    """Where nothing is there is nothing to do."""
    assert verify(lake, print) == 0


def test_tells(lake: Lake, part: Path, monkeypatch: pytest.MonkeyPatch):
    """What takes longer is told once, and can be given up."""
    said: list[str] = []
    verify(lake, said.append)
    assert said == []
    monkeypatch.setattr(rot, "QUIET_S", 0.0)
    checksum = footers.checksum

    def slow(path: Path) -> int:
        time.sleep(0.2)
        return checksum(path)

    monkeypatch.setattr(footers, "checksum", slow)
    for table in ("samples", "verdicts"):
        os.utime(footers.beside(lake.root / table / part.name), (0, 0))

    def interrupted() -> None:
        raise Interrupted("interrupted")

    with pytest.raises(Interrupted):
        verify(lake, said.append, check=interrupted)
    assert [line.split(" of ")[0] for line in said] == ["verifying 2 parts"]
