"""Signatures that an index holds, by the number of their row in it: parts in order, and rows in order.

A band's hashes are read by themselves. Those of a small index stay in memory, since each band is looked at several times; of a
large one, only those of the rows that are wanted do, so that what is held is a few numbers for each text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from storage.index import Index
from storage.parquet import count_rows, read_rows
from tasks.duplicates.distinct import distinct
from tasks.duplicates.greedy import Numbers
from tasks.duplicates.minhash import Hashes

HELD = 256_000_000
"""Bytes of columns that stay in memory, at most: 21 bands of 1.5 million texts."""
_BLOCK = 1 << 20
"""Rows whose keys are ordered at a time."""
_FEWEST, _MOST = 16, 26
"""Bits of the places of a table that tells quickly what isn't there."""
_CACHED = 1 << 15
"""Hashes that are looked up at a time: what is reckoned of more leaves the processor's cache, and takes four times as long."""


class Signed:
    """The rows of an index."""

    def __init__(self, index: Index) -> None:
        """Take the parts that are there now."""
        self._index = index
        self._parts: list[Path] = []
        self._held: dict[str, Hashes] = {}
        self.rows = 0
        """In the index."""
        self.look()

    def look(self) -> tuple[list[Path], int]:
        """Take what was added since; return these parts, and the number of their first row."""
        before = self.rows
        added = [path for path in self._index.parts if path not in set(self._parts)]
        self._parts += added
        self._held = {} if added else self._held
        self.rows += sum(map(count_rows, added))
        return added, before

    def find(self, high: Hashes, low: Hashes, parts: Sequence[Path] | None = None, first: int = 0) -> Numbers:
        """Return the row of each key, -1 where there is none: of all parts, or of some, the first of whose rows is `first`."""
        order = np.argsort(high)
        highs, lows = high[order], low[order]
        found = np.full(len(order), -1, np.int64)
        maybe = Maybe(len(order))
        maybe.add(high)
        for rows, theirs, lower in self._blocks(maybe, self._parts if parts is None else parts, first):
            # Both in order, so that what is searched for next lies beside it, and is in the processor's cache.
            keys = np.flatnonzero(found < 0)
            places = np.searchsorted(theirs, highs[keys])
            while len(keys):  # mostly once: for as long as keys have the same upper half
                there = places < len(theirs)
                there[there] = theirs[places[there]] == highs[keys[there]]
                keys, places = keys[there], places[there]
                same = lower[places] == lows[keys]
                found[keys[same]] = rows[places[same]]
                keys, places = keys[~same], places[~same] + 1
        back = np.empty(len(order), np.int64)
        back[order] = found
        return back

    def lacking(self, high: Hashes) -> Numbers:
        """Return which keys no row has, by their upper halves: of a billion keys, two have the same one once in 37 cases.

        Mostly there is none, and sorting both sides takes a tenth of what finding each one's row does.
        """
        wanted = distinct(high)
        found = np.zeros(len(wanted), np.bool_)
        for batch in self._index.read(("key_high",), self._parts) if len(wanted) else ():
            theirs = np.sort(batch["key_high"].to_numpy())
            places = np.minimum(np.searchsorted(wanted, theirs), len(wanted) - 1)
            found[places[wanted[places] == theirs]] = True
        return np.zeros(0, np.int64) if found.all() else np.flatnonzero(np.isin(high, wanted[~found]))

    def sharing(self, names: Sequence[str], rows: Numbers) -> npt.NDArray[np.bool_]:
        """Return for each row whether it has in one of these columns what one of some rows has, these among them.

        A few in a million are said to that don't.
        """
        shared = np.zeros(self.rows, np.bool_)
        for name in names:
            theirs = self.column(name)
            maybe = Maybe(len(rows))
            maybe.add(theirs[rows])
            shared |= maybe.has(theirs)
        return shared

    def _blocks(self, maybe: Maybe, parts: Sequence[Path], first: int) -> Iterator[tuple[Numbers, Hashes, Hashes]]:
        """Yield those rows of parts that may be there, with both halves of their keys, many at a time in order of the upper."""
        held: list[tuple[Numbers, Hashes, Hashes]] = []
        for batch in self._index.read(("key_high", "key_low"), parts):
            high, low = (column.to_numpy() for column in batch.columns)
            rows = np.flatnonzero(maybe.has(high))
            held.append((first + rows, high[rows], low[rows]))
            first += len(batch)
            if sum(len(each[0]) for each in held) >= _BLOCK:
                yield _ordered(held)
                held = []
        if held:
            yield _ordered(held)

    def column(self, name: str, rows: Numbers | None = None) -> Hashes:
        """Return a column, of all rows or of some."""
        found = self._held.get(name)
        if found is None:
            found = np.empty(self.rows, np.uint64)
            first = 0
            for batch in self._index.read((name,), self._parts):
                found[first : first + len(batch)] = batch[name].to_numpy()
                first += len(batch)
            if sum(each.nbytes for each in self._held.values()) + found.nbytes <= HELD:
                self._held[name] = found
        return found if rows is None else found[rows]

    def picked(self, names: Sequence[str], rows: Numbers, *, many: int) -> Iterator[tuple[Numbers, pa.Table]]:
        """Yield columns of some rows, at most so many at a time, with the places of these among the wanted."""
        order = np.argsort(rows, kind="stable")
        wanted = rows[order]
        first = begin = 0
        for path in self._parts:
            behind = first + count_rows(path)
            end = int(np.searchsorted(wanted, behind))
            for found in read_rows(path, wanted[begin:end] - first, columns=names):
                for start in range(0, len(found), many):
                    part = found.slice(start, many)
                    yield order[begin : begin + len(part)], part
                    begin += len(part)
            first = behind


class Maybe:
    """A Bloom filter: whether a hash may be among those that were added."""

    def __init__(self, number: int) -> None:
        """Make room for so many hashes."""
        self._bits = min(max(number.bit_length() + 5, _FEWEST), _MOST)
        self._table = np.zeros(1 << self._bits, np.bool_)

    def _place(self, hashes: Hashes, which: int) -> Numbers:
        return (hashes >> np.uint64(19 * which) & np.uint64((1 << self._bits) - 1)).view(np.int64)

    def add(self, hashes: Hashes) -> None:
        """Add hashes, whose bits must be as if drawn at random."""
        for which in range(3):
            self._table[self._place(hashes, which)] = True

    def has(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        """Return which may be there; of those that aren't, a few in a million are said to be."""
        found = np.empty(len(hashes), np.bool_)
        for first in range(0, len(hashes), _CACHED):
            part = hashes[first : first + _CACHED]
            # All places are in the table; with `clip`, numpy doesn't go through them to make sure.
            there = self._table.take(self._place(part, 0), mode="clip")
            for which in (1, 2):
                left = np.flatnonzero(there)
                there[left] = self._table[self._place(part[left], which)]
            found[first : first + _CACHED] = there
        return found


def _ordered(held: list[tuple[Numbers, Hashes, Hashes]]) -> tuple[Numbers, Hashes, Hashes]:
    rows, high, low = (np.concatenate(parts) for parts in zip(*held, strict=True))
    # Of several rows with the same key, the first stays the first.
    order = np.argsort(high, kind="stable")
    return rows[order], high[order], low[order]


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
