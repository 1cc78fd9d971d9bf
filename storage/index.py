"""Indexes: what is derived from texts and costs time to make again. Deleting one loses nothing.

One is a folder of the lake, `index/NAME/`, whose name says by which algorithm and version it was made, and with which parameters:
with others another folder is begun. Each build adds a part with what is new.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import pyarrow as pa

from storage.lake import Lake
from storage.parquet import PartWriter, read_batches
from storage.sql import parquet_in

_ROWS = 10_000
"""That are read at a time."""


class Index:
    """One index of a lake."""

    def __init__(self, lake: Lake, name: str, schema: pa.Schema) -> None:
        """Name it; nothing is read or made yet."""
        self.folder = lake.index / name
        self.schema = schema

    @property
    def parts(self) -> list[Path]:
        """What earlier builds have added, in order."""
        return sorted(self.folder.glob("*.parquet"))

    def writer(self, run: str) -> PartWriter:
        """Return the writer of a new part, which counts once it is whole."""
        names = (self.folder / f"{run}-{number:03}.parquet" for number in count())
        return PartWriter(next(name for name in names if not name.exists()), self.schema, keep_footer=True, distinct=True)

    def read(self, columns: Sequence[str], parts: Sequence[Path], *, rows: int = _ROWS) -> Iterator[pa.RecordBatch]:
        """Yield some columns of parts, in order. Raise LakeDamaged at the first row that can't be read."""
        for path in parts:
            yield from read_batches(path, rows=rows, columns=columns)

    @property
    def table(self) -> str:
        """Return the table function that reads all parts; there must be one."""
        return parquet_in(self.folder)
