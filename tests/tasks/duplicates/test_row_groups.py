"""Row groups of an index."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tasks.duplicates import row_groups as module
from tasks.duplicates.row_groups import row_groups


@pytest.mark.parametrize(
    ("rows", "size", "expected"), [(4, 10**6, [4, 4, 2]), (100, 50, [4, 4, 2]), (100, 10**6, [10]), (1, 1, [2] * 5)]
)
def test_row_groups(monkeypatch: pytest.MonkeyPatch, rows: int, size: int, expected: list[int]):
    """Batches are put together until there are enough rows or bytes; nothing is lost, and all is in order."""
    monkeypatch.setattr(module, "ROW_GROUP", rows)
    monkeypatch.setattr(module, "GROUP_BYTES", size)
    batches = [
        [np.arange(first, first + 2, dtype=np.uint64), pa.array([b"words", b"x"], pa.large_binary())] for first in range(0, 10, 2)
    ]
    found = list(row_groups(batches))
    assert [len(columns[0]) for columns in found] == expected
    assert np.concatenate([columns[0] for columns in found]).tolist() == list(range(10))
    assert [value for columns in found for value in columns[1].to_pylist()] == [b"words", b"x"] * 5


def test_nothing():
    """Of nothing there is no row group."""
    assert list(row_groups([])) == []
