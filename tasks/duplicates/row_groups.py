"""Columns of small batches, put together into row groups of an index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from storage.parquet import GROUP_BYTES, ROW_GROUP
from tasks.duplicates.minhash import Hashes

Columns = list[Hashes | pa.Array]


def row_groups(batches: Iterable[Columns]) -> Iterator[Columns]:
    """Yield the columns of several batches at a time: of ROW_GROUP rows, or of fewer where their words are many."""
    held: list[Columns] = []
    rows = size = 0
    for columns in batches:
        held.append(columns)
        rows += len(columns[0])
        size += sum(column.nbytes for column in columns)
        if rows >= ROW_GROUP or size >= GROUP_BYTES:
            yield _joined(held)
            held, rows, size = [], 0, 0
    if held:
        yield _joined(held)


def _joined(held: list[Columns]) -> Columns:
    parts = zip(*held, strict=True)
    return [pa.concat_arrays(each) if isinstance(each[0], pa.Array) else np.concatenate(each) for each in parts]
