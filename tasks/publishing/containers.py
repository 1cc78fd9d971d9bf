"""What a shard is: a Parquet, JSONL, Arrow or tar file. The same rows give the same bytes: it holds no time and no path."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from storage.parquet import ROW_GROUP

File = Literal["parquet", "jsonl", "arrow", "tar"]
GROUP_BYTES = 20_000_000
"""What a row group may hold in memory, where its rows are large."""
_GROUPS = (ROW_GROUP, 5_000, 2_000, 1_000, 500, 200, 100, 50, 20, 10)
"""Rows of a row group that are tried. Steps, so that a byte more or less in all rows moves no boundary."""
ARROW_ROWS = 1_000
"""In a batch of an Arrow file, as `datasets` writes them."""
_LINES = pa.schema([("line", pa.binary())])
_DISTINCT = 0.5
"""A Parquet column whose first rows have a smaller share of distinct values than this is written with a dictionary."""
_JSON = orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is known of a split's rows before they are written."""

    row_bytes: float
    """Of an average row, as `weigh` counts them."""
    sample: pa.RecordBatch
    """Some of them, packed."""


class Container(Protocol):
    """A form of file. Rows are packed once, into the batches of a spool; shards are written of these."""

    def schema(self, rows: pa.Schema) -> pa.Schema:
        """Return the columns of packed rows."""
        ...

    def pack(self, rows: Sequence[dict[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
        """Pack rows of that schema. Raise what Arrow or orjson raise of a row that isn't as it says."""
        ...

    def weigh(self, batch: pa.RecordBatch) -> int:
        """Return how many bytes packed rows are, before they are compressed."""
        ...

    def ratio(self, look: Look) -> float:
        """Return how many bytes of a file such a byte becomes."""
        ...

    def write(self, path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch], *, first: int, look: Look | None) -> None:
        """Write packed rows as one file. `first` is its first row's number in the split; `look` is None without rows."""
        ...


class Parquet:
    """Zstandard, level 3, in row groups that fit into memory, with checksums, and dictionaries for what repeats."""

    def schema(self, rows: pa.Schema) -> pa.Schema:
        """Return the rows' own columns."""
        return rows

    def pack(self, rows: Sequence[dict[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
        """Make columns of rows."""
        # RecordBatch.from_pylist does the same, and takes five times as long.
        columns = [pa.array([row[field.name] for row in rows], field.type) for field in schema]
        return pa.RecordBatch.from_arrays(columns, schema=schema)

    def weigh(self, batch: pa.RecordBatch) -> int:
        """Return what they take in memory."""
        return int(batch.nbytes)

    def ratio(self, look: Look) -> float:
        """Write the sample and see."""
        written = io.BytesIO()
        self._write(written, look.sample.schema, [look.sample], look)
        return written.tell() / max(1, int(look.sample.nbytes))

    def write(self, path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch], *, first: int, look: Look | None) -> None:  # noqa: ARG002
        """Write row groups."""
        with path.open("wb") as file:
            self._write(file, schema, batches, look)
            _sync(file)

    @staticmethod
    def _write(sink: Any, schema: pa.Schema, batches: Iterable[pa.RecordBatch], look: Look | None) -> None:
        size = _group(look)
        dictionaries: Any = repeating(look.sample) if look else []
        with pq.ParquetWriter(
            sink,
            schema,
            compression="zstd",
            compression_level=3,
            use_dictionary=dictionaries,
            write_page_checksum=True,
        ) as writer:
            for table in regrouped(batches, size):
                writer.write_table(table, row_group_size=size)


class Arrow(Parquet):
    """Arrow's stream format, uncompressed, so that it can be mapped into memory."""

    def ratio(self, look: Look) -> float:  # noqa: ARG002
        """Return 1: what is in memory is in the file."""
        return 1.0

    def write(self, path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch], *, first: int, look: Look | None) -> None:  # noqa: ARG002
        """Write batches."""
        with path.open("wb") as file:
            with pa.ipc.new_stream(file, schema) as writer:
                for table in regrouped(batches, min(ARROW_ROWS, _group(look))):
                    writer.write_table(table)
            _sync(file)


class JsonLines:
    """One JSON object a line."""

    def schema(self, rows: pa.Schema) -> pa.Schema:  # noqa: ARG002
        """Return one column: a line, with its end."""
        return _LINES

    def pack(self, rows: Sequence[dict[str, Any]], schema: pa.Schema) -> pa.RecordBatch:  # noqa: ARG002
        """Make lines of rows."""
        return pa.RecordBatch.from_arrays(
            [pa.array([orjson.dumps(row, option=_JSON) for row in rows], pa.binary())], schema=_LINES
        )

    def weigh(self, batch: pa.RecordBatch) -> int:
        """Return the lengths of the lines."""
        return int(_lengths(batch).sum())

    def ratio(self, look: Look) -> float:  # noqa: ARG002
        """Return 1: lines are not compressed."""
        return 1.0

    def write(self, path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch], *, first: int, look: Look | None) -> None:  # noqa: ARG002
        """Write lines, as they lie in memory."""
        with path.open("wb") as file:
            for batch in batches:
                file.write(_joined(batch["line"]))
            _sync(file)


class Tar(JsonLines):
    """WebDataset's form: for each row a file `KEY.json`, its number in the split the key. Nobody's, of no time."""

    def weigh(self, batch: pa.RecordBatch) -> int:
        """Return what members take: a header of 512 bytes, and their bytes to the next multiple of 512."""
        return int((512 + -(-_lengths(batch) // 512) * 512).sum())

    def write(self, path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch], *, first: int, look: Look | None) -> None:  # noqa: ARG002
        """Write members."""
        number = first
        with path.open("wb") as file:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
                for batch in batches:
                    for line in batch["line"].to_pylist():
                        member = tarfile.TarInfo(f"{number:09d}.json")
                        member.size, member.mode = len(line), 0o644
                        tar.addfile(member, io.BytesIO(line))
                        number += 1
            _sync(file)


CONTAINERS: dict[str, Container] = {"parquet": Parquet(), "jsonl": JsonLines(), "arrow": Arrow(), "tar": Tar()}


def regrouped(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    """Yield the same rows, so many at a time, however they came."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        start = 0
        while start < batch.num_rows:
            piece = batch.slice(start, rows - count)
            held.append(piece)
            start += piece.num_rows
            count += piece.num_rows
            if count == rows:
                yield pa.Table.from_batches(held).combine_chunks()
                held, count = [], 0
    if held:
        yield pa.Table.from_batches(held).combine_chunks()


def repeating(sample: pa.RecordBatch) -> list[str]:
    """Return the paths of the columns whose texts repeat."""
    found = []
    for name, column in zip(sample.schema.names, sample.columns, strict=True):
        for path, values in _leaves(name, column):
            if _textual(values.type) and len(values) and len(values.unique()) < max(2, _DISTINCT * len(values)):
                found.append(path)
    return found


def _leaves(path: str, column: pa.Array) -> Iterator[tuple[str, pa.Array]]:
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        yield from _leaves(f"{path}.list.element", column.flatten())
    elif pa.types.is_struct(column.type):
        for field, values in zip(column.type, column.flatten(), strict=True):
            yield from _leaves(f"{path}.{field.name}", values)
    else:
        yield path, column


def _textual(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _group(look: Look | None) -> int:
    if look is None:
        return ROW_GROUP
    return next((rows for rows in _GROUPS if rows * look.row_bytes <= GROUP_BYTES), _GROUPS[-1])


def _joined(lines: pa.Array) -> memoryview:
    """Return a binary array's bytes, one after another, without copying them."""
    ends = lines.buffers()[1]
    offsets = memoryview(ends).cast("i")[lines.offset : lines.offset + len(lines) + 1]
    return memoryview(lines.buffers()[2])[offsets[0] : offsets[-1]]


def _lengths(batch: pa.RecordBatch) -> Any:
    return pc.call_function("binary_length", [batch["line"]]).to_numpy().astype("int64")


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
