"""Containers: what a shard is, byte by byte."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from tasks.publishing.containers import CONTAINERS, Look, regrouped, repeating

SCHEMA = pa.schema([("text", pa.string()), ("teacher", pa.string()), ("turns", pa.list_(pa.struct([("role", pa.string())])))])


def rows(number: int, *, text: str = "") -> list[dict[str, Any]]:
    """Return rows with texts of their own."""
    return [{"text": f"{n} {text}", "teacher": f"t{n % 2}", "turns": [{"role": "user"}] * 2} for n in range(number)]


def write(path: Path, file: str, number: int, *, step: int = 7, text: str = "", first: int = 0) -> None:
    """Write rows that come so many at a time."""
    container = CONTAINERS[file]
    packed = container.pack(rows(number, text=text), SCHEMA)
    batches = [packed.slice(start, step) for start in range(0, number, step)]
    look = Look(row_bytes=container.weigh(packed) / max(1, number), sample=packed) if number else None
    container.write(path, container.schema(SCHEMA), batches, first=first, look=look)


@pytest.mark.parametrize("file", sorted(CONTAINERS))
def test_the_same_bytes_however_rows_come(tmp_path: Path, file: str):
    """In which batches rows came is not in the file."""
    for step in (1, 7, 100):
        write(tmp_path / f"{step}", file, 60, step=step)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


class TestParquet:
    """Parquet."""

    def test_row_groups(self, tmp_path: Path):
        """Row groups have 10,000 rows, and fewer where rows are large."""
        write(tmp_path / "small", "parquet", 10_500)
        write(tmp_path / "large", "parquet", 300, text="x" * 200_000)
        small, large = (pq.read_metadata(tmp_path / name) for name in ("small", "large"))
        assert [small.row_group(n).num_rows for n in range(small.num_row_groups)] == [10_000, 500]
        assert [large.row_group(n).num_rows for n in range(large.num_row_groups)] == [50] * 6

    def test_how_it_is_packed(self, tmp_path: Path):
        """Zstandard everywhere, and dictionaries where texts repeat, within turns too."""
        write(tmp_path / "p", "parquet", 100)
        group = pq.read_metadata(tmp_path / "p").row_group(0)
        columns = {group.column(n).path_in_schema: group.column(n) for n in range(group.num_columns)}
        assert {name: column.has_dictionary_page for name, column in columns.items()} == {
            "text": False,
            "teacher": True,
            "turns.list.element.role": True,
        }
        assert {column.compression for column in columns.values()} == {"ZSTD"}

    def test_what_repeats(self):
        """A column repeats where fewer than half of its texts are distinct."""
        schema = pa.schema([("a", pa.string()), ("b", pa.string()), ("n", pa.int32()), ("c", pa.list_(pa.string()))])
        made = [{"a": str(n), "b": "x", "n": 1, "c": [str(n % 3), "y"]} for n in range(10)]
        assert repeating(pa.RecordBatch.from_pylist(made, schema=schema)) == ["b", "c.list.element"]


class TestArrow:
    """Arrow."""

    def test_batches(self, tmp_path: Path):
        """A stream in batches of 1,000, which can be mapped into memory."""
        write(tmp_path / "a", "arrow", 2_500)
        with pa.memory_map(str(tmp_path / "a")) as file:
            assert [batch.num_rows for batch in pa.ipc.open_stream(file)] == [1_000, 1_000, 500]


class TestTar:
    """WebDataset's tar."""

    def test_members(self, tmp_path: Path):
        """A member a row, called by its number in the split; of nobody, and of no time."""
        write(tmp_path / "t", "tar", 3, first=40)
        with tarfile.open(tmp_path / "t") as tar:
            members = tar.getmembers()
        assert [member.name for member in members] == ["000000040.json", "000000041.json", "000000042.json"]
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in members} == {(0, 0, 0, "", "", 0o644)}


@pytest.mark.parametrize("file", ["jsonl", "arrow", "tar"])
def test_weight(tmp_path: Path, file: str):
    """What rows weigh is what they take of the file, but for its head and end."""
    write(tmp_path / "w", file, 3_000, text="some more text")
    container = CONTAINERS[file]
    weight = container.weigh(container.pack(rows(3_000, text="some more text"), SCHEMA))
    assert abs((tmp_path / "w").stat().st_size / weight - 1) < 0.03


def test_regrouped():
    """Rows are regrouped without being lost or moved."""
    packed = CONTAINERS["parquet"].pack(rows(23), SCHEMA)
    tables = list(regrouped([packed.slice(0, 1), packed.slice(1, 15), packed.slice(16, 0), packed.slice(16)], 5))
    assert [table.num_rows for table in tables] == [5, 5, 5, 5, 3]
    assert pa.concat_tables(tables).to_pylist() == packed.to_pylist()
