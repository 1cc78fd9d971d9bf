"""A landed build's traces, read a few at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from storage.parquet import UNREADABLE, count_rows, read_batches, unreadable

UNSAID = "train"
"""The split of a trace that names none."""
BATCH_ROWS = 1_000
"""Rows that are Python objects at a time, where they are small."""
BATCH_BYTES = 1_000_000
"""Of packed rows, for large ones. Python's objects take several times as much."""


class Trace(Mapping[str, Any]):
    """A row of the table `traces`, whose columns become Python objects when they are asked for, a batch of them at a time."""

    __slots__ = ("_columns", "_row")

    def __init__(self, columns: Columns, row: int) -> None:
        self._columns, self._row = columns, row

    def __getitem__(self, name: str) -> Any:
        return self._columns[name][self._row]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns.batch.schema.names)

    def __len__(self) -> int:
        return len(self._columns.batch.schema.names)


class Columns(dict[str, list[Any]]):
    """A batch's columns that were asked for."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        super().__init__()
        self.batch = batch

    def __missing__(self, name: str) -> list[Any]:
        if name not in self.batch.schema.names:
            raise KeyError(name)
        found: list[Any] = self.batch[name].to_pylist()
        self[name] = found
        return found


def bytes_of(traces: Path) -> int:
    """Return about how many bytes the traces take in memory."""
    total = 0
    for path in traces.glob("*.parquet"):
        try:
            found = pq.read_metadata(path)
        except UNREADABLE as error:
            raise unreadable(path, error) from error
        total += sum(found.row_group(number).total_byte_size for number in range(found.num_row_groups))
    return total


def read_traces(folder: Path, split: str | None) -> Iterator[Trace]:
    """Yield the traces of a split, or all, in order."""
    paths = sorted(folder.glob("*.parquet"))
    rows = sum(map(count_rows, paths))
    size = max(10, min(BATCH_ROWS, BATCH_BYTES * rows // max(1, bytes_of(folder))))
    for path in paths:
        metadata = pq.read_metadata(path)
        for group in range(metadata.num_row_groups):  # one at a time, since Arrow would read ahead all of the file
            for whole in read_batches(path, rows=size, group=group, metadata=metadata):
                batch = whole if split is None else whole.filter(_in(whole, split))
                columns = Columns(batch)
                yield from (Trace(columns, row) for row in range(batch.num_rows))


def _in(batch: pa.RecordBatch, split: str) -> pa.Array:
    """Return which traces are of a split; one that names none is for training."""
    return pc.call_function("equal", [batch["split"].fill_null(UNSAID), split])
