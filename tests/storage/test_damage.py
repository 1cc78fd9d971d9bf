"""What is damaged in a lake is found, and looking changes nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from storage import footers
from storage.damage import Finding, examine
from storage.errors import StorageError
from storage.lake import Lake
from storage.parquet import write_rows
from storage.schemas import SAMPLES, SNAPSHOTS
from tests.storage.damaging import (
    ROWS,
    UNREADABLE,
    content,
    cut_footer,
    cut_in_group,
    empty,
    fill,
    flip,
    keep_footer,
    sample_row,
    truncate,
)
from tests.storage.lines import line, segment

WRITING_SHELL = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1])
connection.execute("CREATE TABLE mine AS SELECT 1 AS n")
print("open", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def part(lake: Lake) -> Path:
    """Fill the lake and return its part of samples."""
    return fill(lake)


def only(lake: Lake) -> Finding:
    """Return the one finding."""
    (finding,) = examine(lake)
    return finding


class TestNothing:
    """What is no damage."""

    def test_a_whole_lake(self, lake: Lake, part: Path):
        """A lake as builds leave it has no findings."""
        assert examine(lake) == []

    def test_no_lake(self, lake: Lake):
        """Where there is no lake nothing is found, and nothing is made."""
        assert examine(lake) == []
        assert not lake.root.exists()

    def test_a_killed_run(self, lake: Lake, part: Path):
        """A segment with a torn end is no finding; unfinished files and snapshots that never counted are no damage."""
        segment(lake.journal, line("a"), line("b")[:20])
        (lake.staging / "b3").mkdir(parents=True)
        (lake.root / "samples" / ".x.parquet.tmp").write_text("half")
        (lake.root / "manifests" / "builds" / ".b3.json.tmp").write_text("half")
        lake.snapshot("traces", "sums", "b3").mkdir()
        (lake.root / "samples" / "run-000000.footer").write_bytes(b"of an earlier version")
        found = examine(lake)
        assert [(finding.kind, finding.damaged) for finding in found] == [("leftover", False)] * 5

    def test_looking_changes_nothing(self, lake: Lake, part: Path):
        """A damaged lake is, after a look, byte for byte as it was."""
        truncate(part)
        segment(lake.journal, b"damaged\n", line("a"))
        before = content(lake)
        assert len(examine(lake)) == 2
        assert content(lake) == before


class TestJournal:
    """Segments."""

    def test_a_damaged_line(self, lake: Lake, part: Path):
        """A line that isn't as it was written is named, with how many samples can be read."""
        path = segment(lake.journal, line("a"), line("b").replace(b"stop", b"stoq"), line("c"))
        finding = only(lake)
        assert (finding.kind, finding.path, finding.readable, finding.lost) == ("journal", path, 2, 1)
        assert finding.what == "line 2 is damaged; 2 samples can be read"

    def test_a_damaged_last_line(self, lake: Lake, part: Path):
        """A last line that has its end was counted as paid: its damage is damage, and no torn write."""
        segment(lake.journal, line("a"), line("b").replace(b"stop", b"stoq"))
        assert only(lake).lost == 1

    def test_a_lost_break_at_the_end(self, lake: Lake, part: Path):
        """So is that of its break, which costs nothing but must be told."""
        segment(lake.journal, line("a"), line("b")[:-1] + b"\x8a")
        assert (only(lake).readable, only(lake).damaged) == (2, True)


class TestParts:
    """Parquet files of samples and verdicts."""

    @pytest.mark.parametrize("table", ["samples", "verdicts"])
    @pytest.mark.parametrize("damage", UNREADABLE.values(), ids=UNREADABLE)
    def test_unreadable(self, lake: Lake, part: Path, table: str, damage: Callable[[Path], None]):
        """A part without its footer is named, and nobody knows how many rows it had."""
        path = lake.root / table / part.name
        damage(path)
        finding = only(lake)
        assert (finding.kind, finding.path, finding.readable, finding.lost) == ("part", path, 0, None)

    def test_a_flipped_bit(self, lake: Lake, part: Path):
        """A flipped bit in a text, which would unpack to another text, is found by its page's checksum."""
        flip(part)
        finding = only(lake)
        assert (finding.kind, finding.readable, finding.lost) == ("part", ROWS // 2, ROWS // 2)
        assert "CRC" in finding.what

    @pytest.mark.parametrize(
        ("damage", "readable"),
        [
            (cut_footer, ROWS),
            (lambda path: cut_in_group(path, 1), ROWS // 2),
            (lambda path: cut_in_group(path, 0), 0),
            (empty, 0),
        ],
        ids=["without footer", "cut in the second row group", "cut in the first", "empty"],
    )
    def test_a_footer_that_is_kept(self, lake: Lake, part: Path, damage: Callable[[Path], None], readable: int):
        """By a copy of its footer, a part is read up to where it was cut, and it is known how many rows it had."""
        damage(keep_footer(part))
        finding = only(lake)
        assert (finding.kind, finding.path, finding.readable, finding.lost) == ("part", part, readable, ROWS - readable)

    def test_a_footer_that_changed(self, lake: Lake, part: Path):
        """A flipped bit in a footer, which has no checksum, is found by its copy, even where the footer can still be read."""
        keep_footer(part)
        content = part.read_bytes()
        part.write_bytes(content[::-1].replace(b"00000s", b"10000s", 1)[::-1])  # in the statistics
        assert pq.read_metadata(part).num_rows == ROWS
        assert only(lake).what.startswith("isn't byte for byte what was written, though all of it can be read; 600 rows")

    @pytest.mark.parametrize("damage", UNREADABLE.values(), ids=UNREADABLE)
    def test_a_copy_that_is_damaged(self, lake: Lake, part: Path, damage: Callable[[Path], None]):
        """A damaged copy counts as none: its part is whole, or can't be read, as without it."""
        damage(footers.beside(keep_footer(part)))
        assert examine(lake) == []
        cut_footer(part)
        assert only(lake).readable == 0

    @pytest.mark.parametrize("table", ["samples", "verdicts"])
    def test_a_part_that_is_gone(self, lake: Lake, part: Path, table: str):
        """A part that was removed outright is missed, by what is kept beside it, and nobody else removes that."""
        path = keep_footer(lake.root / table / part.name)
        rows = pq.read_metadata(path).num_rows
        path.unlink()
        with lake.writing(print):
            assert footers.beside(path).exists()
        finding = only(lake)
        assert (finding.kind, finding.path, finding.readable, finding.lost) == ("part", path, 0, rows)
        footers.beside(path).write_bytes(b"")
        assert (only(lake).path, only(lake).lost) == (path, None)

    def test_a_footer_of_a_part_without_rows(self, lake: Lake, part: Path):
        """What an earlier version, killed, left of a part that it removed for having no rows is removed: nothing was lost."""
        path = part.with_name("none-000000.late0.parquet")
        write_rows(path, SAMPLES, (), store=True)
        path.unlink()
        assert lake.missing() == []
        with lake.writing(print):
            assert not footers.beside(path).exists()

    def test_a_footer_that_goes_meanwhile(self, lake: Lake, part: Path, monkeypatch: pytest.MonkeyPatch):
        """A reader beside a writer, which removes a part's footer and then the part, misses nothing."""
        listed = Path.glob

        def removed_since(folder: Path, pattern: str) -> Iterator[Path]:
            for found in listed(folder, pattern):
                if found.suffix == ".footer":
                    found.unlink()
                    part.unlink()
                yield found

        keep_footer(part)
        monkeypatch.setattr(Path, "glob", removed_since)
        assert lake.missing() == []

    def test_a_part_that_is_yet_to_be_landed(self, lake: Lake, part: Path):
        """One whose segment is still there isn't missed: the next writer makes it of that."""
        segment(lake.journal, line("a"), name=part.stem)
        keep_footer(part).unlink()
        assert examine(lake) == []
        with lake.writing(print):
            assert pq.read_table(part)["sample_id"].to_pylist() == ["a"]

    def test_a_part_made_anew(self, lake: Lake, part: Path):
        """A part that somebody wrote anew isn't damaged because the copy is of another."""
        keep_footer(part)
        write_rows(part, SAMPLES, [sample_row(number) for number in range(5)])
        assert examine(lake) == []

    def test_less_than_its_segment(self, lake: Lake, part: Path):
        """A part that has less than the segment of its name isn't what was written, whole as it looks."""
        segment(lake.journal, *(line(f"t{number}") for number in range(ROWS + 1)), name=part.stem)
        assert "600 of the 601 samples" in only(lake).what

    def test_a_file_that_may_not_be_read(self, lake: Lake, part: Path, monkeypatch: pytest.MonkeyPatch):
        """A file that we have no right to read isn't damaged: it is an error, and no finding."""

        def refused(path: Path) -> None:
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr("pyarrow.parquet.read_metadata", refused)
        with pytest.raises(StorageError, match="Permission denied"):
            examine(lake)

    def test_a_table_without_its_columns(self, lake: Lake, part: Path):
        """The file by which a lake is known is missed where it is gone, and where it can't be read."""
        (lake.root / "samples" / "_empty.parquet").unlink()
        (lake.root / "verdicts" / "_empty.parquet").write_bytes(b"PAR1")
        assert [finding.kind for finding in examine(lake)] == ["table", "table"]

    def test_duplicates(self, lake: Lake, part: Path):
        """Samples that stand in two parts are counted, and are no damage."""
        write_rows(part.with_name("twice.parquet"), SAMPLES, [sample_row(number) for number in range(5)])
        finding = only(lake)
        assert (finding.kind, finding.damaged, finding.what) == ("duplicate", False, "5 samples stand in 10 rows")


class TestBuilds:
    """Manifests and snapshots."""

    def test_a_damaged_manifest(self, lake: Lake, part: Path):
        """A manifest that isn't JSON ends its build, which is named."""
        path = lake.root / "manifests" / "builds" / "b1.json"
        truncate(path)
        found = examine(lake)
        assert [(finding.kind, finding.path, finding.build_id) for finding in found if finding.damaged] == [("build", path, "b1")]

    @pytest.mark.parametrize("table", SNAPSHOTS)
    @pytest.mark.parametrize("damage", [*UNREADABLE.values(), Path.unlink], ids=[*UNREADABLE, "gone"])
    def test_a_damaged_snapshot(self, lake: Lake, part: Path, table: str, damage: Callable[[Path], None]):
        """A snapshot that can't be read, or lacks what its manifest names, ends its build."""
        damage(lake.snapshot(table, "sums", "b2") / "part-00000.parquet")
        finding = only(lake)
        assert (finding.kind, finding.build_id) == ("build", "b2")
        assert finding.path.is_relative_to(lake.snapshot(table, "sums", "b2"))

    def test_a_damaged_export(self, lake: Lake, part: Path):
        """So is the note of an export."""
        lake.record_export({"export_id": "e1", "created_at": "2026-01-02", "dataset": "d", "build_id": "b"})
        (lake.root / "manifests" / "exports" / "e1.json").write_text("{}")
        assert only(lake).kind == "export"


class TestCatalog:
    """`catalog.duckdb`."""

    @pytest.mark.parametrize("damage", UNREADABLE.values(), ids=UNREADABLE)
    def test_can_not_be_opened(self, lake: Lake, part: Path, damage: Callable[[Path], None]):
        """A catalog that DuckDB can't open, or that has nothing in it, is damaged."""
        damage(lake.catalog)
        assert only(lake).kind == "catalog"

    def test_behind(self, lake: Lake, part: Path):
        """One that a killed build didn't come to write is no damage."""
        (lake.root / "manifests" / "builds" / "b1.json").rename(lake.root / "manifests" / "builds" / "b3.json")
        (lake.root / "manifests" / "builds" / "b3.json").unlink()
        catalogs = [finding for finding in examine(lake) if finding.kind == "catalog"]
        assert [(finding.damaged, finding.what) for finding in catalogs] == [(False, "lists 2 builds, and 1 are here")]

    def test_open_in_a_shell(self, lake: Lake, part: Path):
        """One that a shell has open for writing, where nobody else may look, isn't damaged."""
        command = [sys.executable, "-c", WRITING_SHELL, str(lake.catalog)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as shell:
            assert shell.stdout is not None
            assert shell.stdout.readline() == "open\n"
            assert examine(lake) == []
            shell.communicate("\n")
