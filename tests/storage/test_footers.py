"""What is kept of a part beside it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage import footers
from storage.parquet import write_rows

SCHEMA = pa.schema([("n", pa.int32())])


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """Write a part and what is kept of it."""
    write_rows(tmp_path / "r-000000.salvaged.parquet", SCHEMA, ({"n": n} for n in range(5)), store=True)
    return tmp_path / "r-000000.salvaged.parquet"


def test_kept(part: Path):
    """Size, checksum and footer are those of the part."""
    kept = footers.kept(part)
    assert kept is not None
    assert (kept.size, kept.checksum) == (part.stat().st_size, footers.checksum(part))
    assert part.read_bytes().endswith(kept.footer)
    assert kept.metadata.num_rows == 5
    assert not kept.refutes(part)


def test_a_whole_folder(part: Path):
    """Whoever hands Arrow a table's folder reads its parts, and takes no footer for one."""
    assert pq.read_table(part.parent).num_rows == 5


def test_astray(part: Path):
    """A footer without its part is, and one that has the name which an earlier version gave it."""
    kept = footers.beside(part)
    assert not footers.is_astray(kept)
    assert footers.is_astray(kept.with_name("r-000000.salvaged.footer"))
    part.unlink()
    assert footers.is_astray(kept)


def test_refuted(part: Path):
    """A part of the same size with another byte isn't what was written; one of another size is for others to judge."""
    kept, content = footers.kept(part), part.read_bytes()
    assert kept is not None
    part.write_bytes(content[:5] + b"X" + content[6:])
    assert kept.refutes(part)
    part.write_bytes(content[:-1])
    assert not kept.refutes(part)


@pytest.mark.parametrize("place", [0, 8, 10, 20, -1])
def test_damaged(part: Path, place: int):
    """A copy of which any byte has changed, or that was cut, or isn't there, counts as none."""
    path = footers.beside(part)
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    assert footers.kept(part) is None
    path.write_bytes(content[:place])
    assert footers.kept(part) is None
    path.unlink()
    assert footers.kept(part) is None
