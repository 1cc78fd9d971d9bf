"""Signatures that an index holds, by the number of their row in it: parts in order, and rows in order.

A band's hashes are read by themselves, and only those of the rows that are wanted stay, so that what is held in memory is a few
numbers for each text, whatever a signature takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from storage.index import Index
from storage.parquet import count_rows
from tasks.duplicates.greedy import Numbers
from tasks.duplicates.minhash import Hashes

_FEWEST, _MOST = 16, 26
"""Bits of the places of a table that tells quickly what isn't there."""


class Signed:
    """The rows of an index."""

    def __init__(self, index: Index) -> None:
        """Take the parts that are there now."""
        self._index = index
        self._parts: list[Path] = []
        self.rows = 0
        """In the index."""
        self.look()

    def look(self) -> tuple[list[Path], int]:
        """Take what was added since; return these parts, and the number of their first row."""
        before = self.rows
        added = [path for path in self._index.parts if path not in set(self._parts)]
        self._parts += added
        self.rows += sum(map(count_rows, added))
        return added, before

    def find(self, high: Hashes, low: Hashes, parts: Sequence[Path] | None = None, first: int = 0) -> Numbers:
        """Return the row of each key, -1 where there is none: of all parts, or of some, the first of whose rows is `first`."""
        order = _order(high, low)
        highs, lows = high[order], low[order]
        found = np.full(len(order), -1, np.int64)
        maybe = Maybe(len(order))
        maybe.add(high)
        for batch in self._index.read(("key_high", "key_low"), self._parts if parts is None else parts):
            theirs, lower = (column.to_numpy() for column in batch.columns)
            rows = np.flatnonzero(maybe.has(theirs))
            theirs, lower = theirs[rows], lower[rows]
            places = np.searchsorted(highs, theirs)
            while len(rows):  # mostly once: for as long as keys have the same upper half
                there = places < len(highs)
                there[there] = highs[places[there]] == theirs[there]
                rows, places, theirs, lower = rows[there], places[there], theirs[there], lower[there]
                same = lows[places] == lower
                # Of several rows, the first counts.
                at, row = places[same][::-1], first + rows[same][::-1]
                found[at] = np.where(found[at] < 0, row, found[at])
                places = places + 1
            first += len(batch)
        return _back(order, highs, lows, found)

    def column(self, name: str, rows: Numbers) -> Hashes:
        """Return a column of some rows."""
        found = np.empty(self.rows, np.uint64)
        first = 0
        for batch in self._index.read((name,), self._parts):
            found[first : first + len(batch)] = batch[name].to_numpy()
            first += len(batch)
        return found[rows]


class Maybe:
    """A Bloom filter: whether a hash may be among those that were added."""

    def __init__(self, number: int) -> None:
        """Make room for so many hashes."""
        self._bits = min(max(number.bit_length() + 5, _FEWEST), _MOST)
        self._table = np.zeros(1 << self._bits, np.bool_)

    def _place(self, hashes: Hashes, which: int) -> Numbers:
        return (hashes >> np.uint64(19 * which) & np.uint64((1 << self._bits) - 1)).astype(np.int64)

    def add(self, hashes: Hashes) -> None:
        """Add hashes, whose bits must be as if drawn at random."""
        for which in range(3):
            self._table[self._place(hashes, which)] = True

    def has(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        """Return which may be there; of those that aren't, a few in a million are said to be."""
        found = self._table[self._place(hashes, 0)]
        for which in (1, 2):
            left = np.flatnonzero(found)
            found[left] = self._table[self._place(hashes[left], which)]
        return found


def _order(high: Hashes, low: Hashes) -> Numbers:
    """Return the keys' places in their order; those that are the same stand beside each other."""
    order = np.argsort(high)
    highs, lows = high[order], low[order]
    # By both halves it takes four times as long, and keys of which only one is the same are all but unheard of.
    halved = (highs[1:] == highs[:-1]) & (lows[1:] != lows[:-1])
    return np.lexsort((low, high)) if halved.any() else order


def _back(order: Numbers, highs: Hashes, lows: Hashes, found: Numbers) -> Numbers:
    """Return what was found in the order of the keys; of keys that are the same, all have what one of them has."""
    starts = np.ones(len(order), np.bool_)
    starts[1:] = (highs[1:] != highs[:-1]) | (lows[1:] != lows[:-1])
    back = np.empty(len(order), np.int64)
    # Searching found the leftmost of equal ones first.
    back[order] = found[np.flatnonzero(starts)][np.cumsum(starts) - 1] if len(order) else found
    return back


def firsts(keys: Sequence[Hashes]) -> Numbers:
    """Return for each row the first that has the same keys."""
    total = len(keys[0])
    order = np.lexsort(keys[::-1]) if len(keys) > 1 else np.argsort(keys[0], kind="stable")
    starts = np.ones(total, np.bool_)
    starts[1:] = np.logical_or.reduce([key[order][1:] != key[order][:-1] for key in keys]) if total else starts[1:]
    found = np.empty(total, np.int64)
    # The sort is stable, so that the first of those that are the same leads them.
    found[order] = order[np.flatnonzero(starts)][np.cumsum(starts) - 1] if total else order
    return found
