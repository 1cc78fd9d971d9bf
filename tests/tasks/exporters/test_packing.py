"""Packing: nothing is cut, lost or doubled, and rows are nearly full."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.exporters import packing
from tasks.exporters.packing import bins, packed


@given(st.lists(st.integers(1, 50), max_size=60), st.integers(50, 90))
def test_whole(sizes: list[int], length: int):
    """Every sequence is in exactly one row, whole, and no row is longer than it may be."""
    rows = list(packed([range(number * 100, number * 100 + size) for number, size in enumerate(sizes)], length))
    assert sorted(sequence.start // 100 for row in rows for sequence in row) == list(range(len(sizes)))
    assert all(sum(map(len, row)) <= length for row in rows)
    assert [row[0].start for row in rows] == sorted(row[0].start for row in rows)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60))
def test_no_two_rows_would_fit_into_one(sizes: list[int]):
    """Best fit leaves no two rows that are less than full together."""
    room = sorted(sum(sizes[item] for item in row) for row in bins(sizes, 60))
    assert len(room) == 1 or room[0] + room[1] > 60


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], []),
        ([10], [[0]]),
        ([6, 5, 4, 5], [[0, 2], [1, 3]]),
        ([3, 7, 8, 2], [[0, 1], [2, 3]]),
        ([1, 1, 1, 9, 8], [[0, 3], [1, 2, 4]]),
    ],
)
def test_best_fit_decreasing(sizes: list[int], expected: list[list[int]]):
    """The longest first, each into the row that it fills best; rows and their sequences in the order of arrival."""
    assert bins(sizes, 10) == expected


def test_nearly_full():
    """Lengths as they come fill rows to 98% and more, which a row for each, or in turn, is far from."""
    sizes = [min(2048, max(20, int(random.lognormvariate(6, 1)))) for _ in range(5_000)]
    rows = list(packed([range(size) for size in sizes], 2048))
    assert sum(sizes) / (2048 * len(rows)) > 0.98


def test_windows(monkeypatch: pytest.MonkeyPatch):
    """What is held at a time is bounded in sequences and in tokens, and windows keep their order."""
    monkeypatch.setattr(packing, "WINDOW", 4)
    rows = list(packed([range(n * 100, n * 100 + 5) for n in range(10)], 20))
    assert [[sequence.start // 100 for sequence in row] for row in rows] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    monkeypatch.setattr(packing, "WINDOW_TOKENS", 8)
    taken = []

    def source():
        for n in range(10):
            taken.append(n)
            yield range(5)

    next(packed(source(), 20))
    assert taken == [0, 1]
