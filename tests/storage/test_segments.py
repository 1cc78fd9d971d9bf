"""What is read of a segment that somebody left, and the part that it becomes."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from storage.errors import LakeDamaged, StorageError
from storage.lines import pack
from storage.segments import land, read, recover, salvage
from tests.fakes import listing, make_sample
from tests.storage.lines import line, segment


def ids(parts: Path) -> list[str]:
    """Return the ids of all samples in parts, as often as they are there."""
    return sorted(row for part in parts.glob("*.parquet") for row in pq.read_table(part)["sample_id"].to_pylist())


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """Return the folder for parts."""
    return tmp_path / "parts"


class TestRead:
    """Reading a segment that a killed run left."""

    @pytest.mark.parametrize("cut", [1, 8, 9, 30, -2], ids=lambda cut: f"cut at {cut}")
    def test_torn_tail(self, tmp_path: Path, cut: int):
        """A last line that isn't whole, at whatever byte it ends, is left out; those before it count."""
        path = segment(tmp_path, line("a"), line("b"), line("c")[:cut])
        assert [row["sample_id"] for row in read(path)] == ["a", "b"]

    def test_only_the_break_is_missing(self, tmp_path: Path):
        """A last line that is whole but for its break is a sample like any other."""
        path = segment(tmp_path, line("a"), line("b")[:-1])
        assert [row["sample_id"] for row in read(path)] == ["a", "b"]

    @pytest.mark.parametrize(
        ("tail", "kept"),
        [
            (lambda b, c: b + c[:-1] + b"\x8a", "abc"),
            (lambda b, c: b[:-1] + b"\x8a" + c[:-1] + b"\x8a", "abc"),
            (lambda b, c: b[:-1] + b"\x8a" + c[:50], "ab"),
            (lambda b, c: b[:-1] + b"\x8a" + c[:-1], "abc"),
            (lambda b, c: b[:40] + c[:-1], "ac"),
        ],
        ids=["the last", "the last two", "the last of a torn segment", "the last but one", "and a whole sample in front"],
    )
    def test_a_lost_break_at_the_end(self, tmp_path: Path, tail: Callable[[bytes, bytes], bytes], kept: str):
        """Samples at the end that were counted are neither lost with their breaks nor taken for a torn write: it is damage."""
        path = segment(tmp_path, line("a"), tail(line("b"), line("c")))
        lost: list[int] = []
        assert "".join(row["sample_id"] for row in salvage(path, lost)) == kept
        assert len(lost) == 1
        with pytest.raises(LakeDamaged, match="the journal is damaged"):
            list(read(path))

    @pytest.mark.parametrize(
        "text", [f"{zlib.crc32(b'{}'):08x} {{}}", f"{zlib.crc32(b'{no'):08x} {{no"], ids=["an empty object", "no JSON"]
    )
    def test_a_torn_response_that_looks_like_a_line(self, tmp_path: Path, text: str):
        """What a torn response says is no sample, whatever checksum it has."""
        torn = pack(make_sample("b", response=text))
        path = segment(tmp_path, line("a"), torn[: torn.index(text.encode()) + len(text)])
        assert [row["sample_id"] for row in read(path)] == ["a"]

    def test_torn_tail_of_a_part(self, tmp_path: Path, parts: Path):
        """What lands of such a segment is its whole lines."""
        assert land(segment(tmp_path, line("a"), line("b")[:20]), parts) == 1
        assert ids(parts) == ["a"]

    @pytest.mark.parametrize(
        "damage",
        [
            lambda good: good.replace(b"stop", b"stoq"),
            lambda good: b"\n",
            lambda good: b"\0" * 50 + b"\n",
            lambda good: b"x" + good,
        ],
        ids=["a flipped bit", "an empty line", "zeros", "shifted"],
    )
    def test_damaged_middle(self, tmp_path: Path, damage):
        """A damaged line with others behind it is the disk's doing: a StorageError that names file and line."""
        path = segment(tmp_path, line("a"), damage(line("b")), line("c"))
        with pytest.raises(StorageError, match=r"r-000000\.jsonl:2: the journal is damaged"):
            list(read(path))

    def test_damaged_end(self, tmp_path: Path):
        """A last line that has its end was written whole, and counted: its damage is no torn write, and no silence hides it."""
        path = segment(tmp_path, line("a"), line("b").replace(b"stop", b"stoq"))
        with pytest.raises(StorageError, match=r":2: the journal is damaged; `stillhouse doctor --repair`"):
            list(read(path))

    def test_damaged_segment_stays(self, tmp_path: Path, parts: Path):
        """Landing a damaged segment neither removes it nor leaves a part."""
        path = segment(tmp_path, line("a")[:5] + b"\n", line("b"))
        with pytest.raises(StorageError, match=":1: "):
            recover(tmp_path, parts)
        assert path.exists()
        assert list(parts.iterdir()) == []

    def test_checksum_is_of_the_body(self, tmp_path: Path):
        """A line is CRC-32 in hex, a space, and JSON, so that other programs can read a journal too."""
        body = line("a")[9:-1]
        assert line("a") == b"%08x " % zlib.crc32(body) + body + b"\n"


class TestRecover:
    """Landing what is there, again and again."""

    def test_every_segment_lands(self, tmp_path: Path, parts: Path):
        """Every segment becomes the part of its name, and the samples are counted."""
        segment(tmp_path, line("a"), line("b"), name="one-000000")
        segment(tmp_path, line("c"), name="two-000004")
        assert recover(tmp_path, parts) == 3
        assert listing(parts, "*.parquet") == ["one-000000.parquet", "two-000004.parquet"]

    def test_killed_between_part_and_removal(self, tmp_path: Path, parts: Path):
        """A segment whose part is there already is only removed: its samples aren't there twice."""
        path = segment(tmp_path, line("a"), line("b"))
        content = path.read_bytes()
        recover(tmp_path, parts)
        path.write_bytes(content)
        recover(tmp_path, parts)
        assert ids(parts) == ["a", "b"]
        assert not path.exists()

    @pytest.mark.parametrize("content", [b"", b"PAR1 and no more"], ids=["empty", "cut short"])
    def test_part_that_is_damaged(self, tmp_path: Path, parts: Path, content: bytes):
        """A segment is not removed on the word of a part that can't be read: it is all that is left."""
        path = segment(tmp_path, line("a"))
        parts.mkdir()
        (parts / "r-000000.parquet").write_bytes(content)
        with pytest.raises(StorageError, match=r"r-000000\.parquet: can't be read: .*doctor --repair"):
            recover(tmp_path, parts)
        assert path.exists()

    def test_part_that_lacks_samples(self, tmp_path: Path, parts: Path):
        """Nor on that of a part that has fewer samples than the segment."""
        path = segment(tmp_path, line("a"))
        recover(tmp_path, parts)
        path = segment(tmp_path, line("a"), line("b"))
        with pytest.raises(StorageError, match=r"r-000000\.parquet: has not the 2 samples"):
            recover(tmp_path, parts)
        assert path.exists()

    def test_killed_while_writing_the_part(self, tmp_path: Path, parts: Path):
        """A part that was only half written has a temporary name, and is written again."""
        segment(tmp_path, line("a"))
        parts.mkdir()
        (parts / ".r-000000.parquet.tmp").write_bytes(b"PAR1 half")
        recover(tmp_path, parts)
        assert ids(parts) == ["a"]
        assert listing(parts) == ["_r-000000.footer", "r-000000.parquet"]

    def test_empty_segment(self, tmp_path: Path, parts: Path):
        """A segment without a whole line leaves no part."""
        segment(tmp_path, line("a")[:-2])
        assert recover(tmp_path, parts) == 0
        assert list(parts.iterdir()) == []
        assert list(tmp_path.glob("*.jsonl")) == []

    def test_nothing_there(self, tmp_path: Path, parts: Path):
        """An empty journal is nothing to do."""
        assert recover(tmp_path, parts) == 0
