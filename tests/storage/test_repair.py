"""A repair keeps what can be read, counts what can't, and deletes nothing that is damaged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage import footers
from storage import repair as repairing
from storage.damage import examine, salvage
from storage.errors import StorageError
from storage.lake import Lake
from storage.parquet import write_rows
from storage.repair import Repaired, repair
from storage.schemas import SAMPLES, SNAPSHOTS
from tests.storage.damaging import (
    ROWS,
    UNREADABLE,
    content,
    cut_footer,
    cut_in_group,
    fill,
    flip,
    keep_footer,
    sample_row,
    stored_ids,
    truncate,
)
from tests.storage.lines import line, segment

ROOT = Path(__file__).parents[2]
ALL = [f"s{number:05}" for number in range(ROWS)]
HOLDING = """
import sys
from storage.lake import Lake

with Lake.at(sys.argv[1]).writing(print):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def part(lake: Lake) -> Path:
    """Fill the lake and return its part of samples."""
    return fill(lake)


def mended(lake: Lake) -> Repaired:
    """Repair a lake, and check that nothing is damaged then, that every build can be read, and that a rerun finds nothing."""
    done = repair(lake)
    assert not [finding for finding in examine(lake) if finding.damaged]
    with duckdb.connect(str(lake.catalog), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM builds").fetchall() == [(len(lake.builds()),)]
        assert connection.execute("SELECT count(*) FROM samples").fetchall() == [(len(stored_ids(lake)),)]
    assert not repair(lake).moved
    return done


class TestJournal:
    """Damaged segments."""

    def test_keeps_every_whole_line(self, lake: Lake, part: Path):
        """What stands before and behind the damage is landed; the segment goes into quarantine as it was."""
        path = segment(lake.journal, line("a"), b"\0" * 40 + b"\n", line("c"), line("d"))
        before = path.read_bytes()
        done = mended(lake)
        assert stored_ids(lake) == sorted([*ALL, "a", "c", "d"])
        assert done.moved[path].read_bytes() == before
        assert done.moved[path].is_relative_to(lake.root / "quarantine")
        (finding,) = done.findings
        assert "3 rows written anew, 1 line lost" in done.told(finding)

    @pytest.mark.parametrize(
        ("damage", "kept"),
        [
            (lambda a, b, c: a[:-1] + b"X" + b + c, "abc"),
            (lambda a, b, c: a[:40] + b + c, "bc"),
            (lambda a, b, c: a + b"\0" * 512 + b[30:-1] + c, "ac"),
            (lambda a, b, c: b"\0" * 100 + a + b + c, "abc"),
            (lambda a, b, c: a + b[:-20] + b"\n" + c, "ac"),
            (lambda a, b, c: a + b[:-1] + b"X" + c[:-1] + b"X", "abc"),
            (lambda a, b, c: a + b[:-1] + b"X" + c[:50], "ab"),
        ],
        ids=[
            "a lost break",
            "cut into the next",
            "zeros and a lost break",
            "zeros in front",
            "cut short",
            "the last two",
            "torn",
        ],
    )
    def test_lines_that_ran_together(self, lake: Lake, part: Path, damage: Callable[..., bytes], kept: str):
        """Samples that the disk ran into one another, or into zeros, are told apart again."""
        segment(lake.journal, damage(line("a"), line("b"), line("c")))
        mended(lake)
        assert stored_ids(lake) == sorted([*ALL, *kept])

    def test_a_response_that_looks_like_lines(self, lake: Lake, part: Path):
        """A response that has the form of a line in it is no line of its own."""
        inner = line("inner").decode().strip()
        body = json.loads(line("outer")[9:]) | {"response": f"x\n{inner}\ny 00000000 {{"}
        raw = json.dumps(body).encode()
        import zlib

        outer = b"%08x " % zlib.crc32(raw) + raw + b"\n"
        segment(lake.journal, b"???" + outer, line("b"))
        mended(lake)
        assert stored_ids(lake) == sorted([*ALL, "outer", "b"])

    def test_nothing_readable(self, lake: Lake, part: Path):
        """A segment of which nothing is left goes into quarantine, and no part is made of it."""
        path = segment(lake.journal, b"\0\n\0\n")
        done = mended(lake)
        assert stored_ids(lake) == ALL
        assert path in done.moved

    def test_whole_segments_land(self, lake: Lake, part: Path):
        """A segment that a killed run left whole is landed as at any start, torn end and all."""
        segment(lake.journal, line("a"), line("b")[:-5])
        assert not mended(lake).findings
        assert stored_ids(lake) == sorted([*ALL, "a"])


class TestParts:
    """Damaged Parquet parts."""

    @pytest.mark.parametrize("damage", UNREADABLE.values(), ids=UNREADABLE)
    def test_unreadable(self, lake: Lake, part: Path, damage: Callable[[Path], None]):
        """A part that can't be read goes into quarantine as it is, and the rest of the lake can be read again."""
        damage(part)
        before = part.read_bytes()
        done = mended(lake)
        assert stored_ids(lake) == []
        assert done.moved[part].read_bytes() == before

    @pytest.mark.parametrize("damage", UNREADABLE.values(), ids=UNREADABLE)
    def test_landed_anew_from_the_journal(self, lake: Lake, part: Path, damage: Callable[[Path], None]):
        """Where its segment is still there nothing is lost, and the segment is gone once it is landed."""
        path = segment(lake.journal, *(line(name) for name in ALL), name=part.stem)
        damage(part)
        mended(lake)
        assert stored_ids(lake) == ALL
        assert not path.exists()

    def test_segment_and_part_damaged(self, lake: Lake, part: Path):
        """Of a damaged part with a damaged segment, what either of them has is kept, and once."""
        segment(lake.journal, *(line(name) for name in ALL[:100]), b"\0\n", *(line(name) for name in ALL[200:]), name=part.stem)
        flip(part)
        done = mended(lake)
        assert stored_ids(lake) == ALL
        assert len(done.moved) == 2

    @pytest.mark.parametrize("group", [0, 1])
    def test_salvages_row_groups(self, lake: Lake, part: Path, group: int):
        """Row groups that can still be read become a new part, whole rows as they were, and the loss is counted."""
        expected = [row for row in pq.read_table(part).to_pylist() if (row["sample_id"] < ALL[ROWS // 2]) == (group == 1)]
        flip(part, group=group)
        done = mended(lake)
        assert pq.read_table(part.with_name("run-000000.salvaged.parquet")).to_pylist() == expected
        (finding,) = done.findings
        assert "of 600; 300 rows written anew, 300 rows lost" in done.told(finding)

    @pytest.mark.parametrize("table", ["samples", "verdicts"])
    def test_without_footer(self, lake: Lake, part: Path, table: str):
        """A part that lost only its footer loses nothing, columns of another version included, where a copy is kept."""
        path = keep_footer(lake.root / table / part.name)
        expected = pq.read_table(path)
        cut_footer(path)
        done = mended(lake)
        assert pq.read_table(path.with_name("run-000000.salvaged.parquet")).equals(expected)
        assert "0 rows lost" in done.told(done.findings[0])
        assert done.moved[footers.beside(path)] == footers.beside(done.moved[path])
        assert not footers.beside(path).exists()

    def test_gone(self, lake: Lake, part: Path):
        """The loss of a part that isn't there any more is accepted: what was kept beside it goes into quarantine, and nobody asks again."""
        keep_footer(part).unlink()
        done = mended(lake)
        assert [finding.lost for finding in done.findings] == [ROWS]
        assert list(done.moved) == [footers.beside(part)]
        assert lake.missing() == []

    def test_put_back(self, lake: Lake, part: Path, tmp_path: Path):
        """One that is put back is whole again."""
        keep_footer(part).rename(tmp_path / "copy")
        assert lake.missing() == [part]
        (tmp_path / "copy").rename(part)
        assert not mended(lake).findings

    def test_cut_in_the_middle(self, lake: Lake, part: Path):
        """One that was cut loses the row groups from the cut on, and the new part can be cut in its turn."""
        cut_in_group(keep_footer(part), 1)
        mended(lake)
        assert stored_ids(lake) == ALL[: ROWS // 2]
        cut_footer(part.with_name("run-000000.salvaged.parquet"))
        mended(lake)
        assert stored_ids(lake) == ALL[: ROWS // 2]

    def test_one_byte_anywhere(self, lake: Lake, part: Path):
        """One byte that flips, wherever it stands, costs no more than its row group."""
        whole = keep_footer(part).read_bytes()
        footer = len(whole) - int.from_bytes(whole[-8:-4], "little") - 8
        rows = {row["sample_id"]: row for row in pq.read_table(part).to_pylist()}
        for place in range(0, len(whole), len(whole) // 150):
            part.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
            why: list[str] = []
            readable = {row["sample_id"]: row for batch in salvage(part, why) for row in batch.to_pylist()}
            assert why
            assert all(row == rows[id_] for id_, row in readable.items())
            assert readable.keys() >= set(ALL[ROWS // 2 :]) or readable.keys() >= set(ALL[: ROWS // 2])
            assert len(readable) == ROWS or place < footer

    def test_verdicts(self, lake: Lake, part: Path):
        """A damaged part of verdicts is put aside too; what is lost is judged again."""
        truncate(lake.root / "verdicts" / part.name)
        assert len(mended(lake).moved) == 1
        assert stored_ids(lake) == ALL

    def test_columns_of_another_version(self, lake: Lake, part: Path):
        """What a part has besides the columns that we know is salvaged with the rest."""
        schema = pa.schema([*SAMPLES, ("later", pa.string())])
        other = part.with_name("other.parquet")
        with repairing.PartWriter(other, schema, row_group=1_000) as writer:
            for number in range(2_000):
                writer.write(sample_row(number + ROWS) | {"later": "x"})
        flip(other)
        mended(lake)
        assert set(pq.read_table(other.with_name("other.salvaged.parquet"))["later"].to_pylist()) == {"x"}

    def test_a_salvaged_part_is_damaged(self, lake: Lake, part: Path):
        """A part that a repair made can be mended like any other."""
        flip(part)
        mended(lake)
        truncate(part.with_name("run-000000.salvaged.parquet"))
        mended(lake)
        assert stored_ids(lake) == []
        assert len(list((lake.root / "quarantine").rglob("*.parquet"))) == 2

    def test_tables(self, lake: Lake, part: Path):
        """The files by which a lake is known are made anew."""
        (lake.root / "samples" / "_empty.parquet").unlink()
        (lake.root / "verdicts" / "_empty.parquet").write_bytes(b"PAR1")
        assert not lake.exists
        mended(lake)
        assert lake.exists
        assert stored_ids(lake) == ALL


class TestBuilds:
    """Damaged manifests and snapshots."""

    def test_a_manifest(self, lake: Lake, part: Path):
        """A build with a damaged manifest counts no more; all of it is in quarantine; other builds and the samples stay."""
        truncate(lake.root / "manifests" / "builds" / "b2.json")
        done = mended(lake)
        assert [build["build_id"] for build in lake.builds()] == ["b1"]
        assert {str(path.relative_to(lake.root)) for path in done.moved} == {
            "manifests/builds/b2.json",
            *(f"{table}/dataset=sums/build=b2" for table in SNAPSHOTS),
        }
        assert stored_ids(lake) == ALL

    @pytest.mark.parametrize("table", SNAPSHOTS)
    def test_a_snapshot(self, lake: Lake, part: Path, table: str):
        """So does one of which a snapshot is damaged, with what of it was whole."""
        flip(lake.snapshot(table, "sums", "b1") / "part-00000.parquet", group=0, column="prompt_id")
        done = mended(lake)
        assert [build["build_id"] for build in lake.builds()] == ["b2"]
        assert len(done.moved) == len(SNAPSHOTS) + 1

    def test_an_export(self, lake: Lake, part: Path):
        """A damaged note of an export is put aside."""
        lake.record_export({"export_id": "e1", "created_at": "2026-01-02", "dataset": "d", "build_id": "b"})
        (lake.root / "manifests" / "exports" / "e1.json").write_text("{}")
        mended(lake)
        assert lake.exports() == []


class TestRepair:
    """The whole of it."""

    def test_everything_at_once(self, lake: Lake, part: Path):
        """Whatever is damaged at the same time is mended in one go, and the quarantine has a report of it."""
        segment(lake.journal, line("a"), b"\n", line("b"))
        flip(part)
        truncate(lake.root / "verdicts" / part.name)
        truncate(lake.root / "manifests" / "builds" / "b1.json")
        truncate(lake.catalog)
        (lake.root / "samples" / ".x.parquet.tmp").write_text("half")
        done = mended(lake)
        assert stored_ids(lake) == sorted([*ALL[: ROWS // 2], "a", "b"])
        (report,) = (lake.root / "quarantine").rglob("repair.json")
        assert len(json.loads(report.read_text())["findings"]) == len(done.findings) == 5
        assert not list(lake.root.rglob("*.tmp"))

    @pytest.mark.parametrize("step", range(1, 14))
    def test_killed_in_the_middle(self, lake: Lake, part: Path, monkeypatch: pytest.MonkeyPatch, step: int):
        """Killed before any of its renames, a repair misses no part, and one that is started again ends as if it had not been."""
        segment(lake.journal, *(line(name) for name in ALL[:100]), b"\0\n", name=part.stem)
        segment(lake.journal, line("a"), b"\0\n", name="other-000000")
        flip(keep_footer(part))
        truncate(lake.root / "manifests" / "builds" / "b1.json")
        rename, renames = Path.rename, 0

        def dying(path: Path, target: Path) -> Path:
            nonlocal renames
            renames += 1
            if renames == step:
                raise KeyboardInterrupt
            return rename(path, target)

        monkeypatch.setattr(Path, "rename", dying)
        try:
            repair(lake)
        except KeyboardInterrupt:
            monkeypatch.setattr(Path, "rename", rename)
            assert lake.missing() == []
            repair(lake)
        monkeypatch.setattr(Path, "rename", rename)
        mended(lake)
        assert stored_ids(lake) == sorted([*ALL[: ROWS // 2], "a"])
        assert [build["build_id"] for build in lake.builds()] == ["b2"]
        aside = [path.relative_to(lake.root / "quarantine").parts[1:] for path in (lake.root / "quarantine").rglob("*")]
        names = {"/".join(parts) for parts in aside if parts}
        assert {"samples/run-000000.parquet", "journal/run-000000.jsonl", "journal/other-000000.jsonl"} <= names
        assert {f"{table}/dataset=sums/build=b1/part-00000.parquet" for table in SNAPSHOTS} <= names

    def test_a_whole_lake(self, lake: Lake, part: Path):
        """A whole lake is left as it is, but for its catalog, which is made anew."""
        before = content(lake)
        assert not repair(lake).findings
        after = content(lake)
        assert {name for name in after if after[name] != before.get(name)} <= {"catalog.duckdb"}
        assert before.keys() == after.keys()

    def test_duplicates_stay(self, lake: Lake, part: Path):
        """Samples that are there twice are told, and left alone."""
        write_rows(part.with_name("twice.parquet"), SAMPLES, [sample_row(0)])
        assert [finding.kind for finding in mended(lake).findings] == ["duplicate"]
        assert stored_ids(lake) == sorted([*ALL, ALL[0]])

    def test_no_lake_is_made(self, tmp_path: Path):
        """A folder that is no lake doesn't become one: there is nothing to mend, which is an error."""
        (tmp_path / "notes.txt").write_text("x")
        with pytest.raises(StorageError, match=f"^{tmp_path}: no lake is there"):
            repair(Lake(tmp_path))
        assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]

    def test_refused_under_a_writer(self, lake: Lake, part: Path):
        """While a build writes, a repair is refused in one line and touches nothing."""
        truncate(part)
        with subprocess.Popen(
            [sys.executable, "-c", HOLDING, str(lake.root)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "held\n"
            before = content(lake)
            with pytest.raises(StorageError, match="a build is writing to it"):
                repair(lake)
            assert content(lake) == before
            child.communicate("\n")

    def test_a_full_disk(self, lake: Lake, part: Path, monkeypatch: pytest.MonkeyPatch):
        """Where the disk has no room for what was salvaged, nothing is moved, and a repair with room goes on."""
        flip(part)
        sync = os.fsync

        def full(handle: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match=r"salvaged\.parquet: can't be written: No space left on device"):
            repair(lake)
        assert part.exists()
        monkeypatch.setattr(os, "fsync", sync)
        mended(lake)
        assert stored_ids(lake) == ALL[: ROWS // 2]
