"""Signatures that an index holds, by the number of their row in it: parts in order, and rows in order.

A band's hashes are read by themselves. Those of a small index stay in memory, since each band is looked at several times; of a
large one, only those of the rows that are wanted do, so that what is held is a few numbers for each text. Where only those
rows count that share a band with some, what they share is noted as it is found, and no band is read again.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from storage.index import Index
from storage.parquet import ROW_GROUP, Some, count_rows, some_rows
from tasks.duplicates.ahead import ahead
from tasks.duplicates.greedy import Numbers
from tasks.duplicates.minhash import Hashes

HELD = 256_000_000
"""Bytes of columns that stay in memory, at most: 21 bands of 1.5 million texts."""
_BLOCK = 1 << 20
"""Rows whose keys are ordered at a time."""
_FEWEST, _MOST = 16, 26
"""Bits of the places of a table that tells quickly what isn't there."""
_ONE = np.uint64(1)
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
        self._place: npt.NDArray[np.int32] | None = None
        self.look()

    def look(self) -> tuple[list[Path], int]:
        """Take what was added since; return these parts, and the number of their first row."""
        before = self.rows
        added = [path for path in self._index.parts if path not in set(self._parts)]
        self._parts += added
        if added:
            self._held, self._place = {}, None
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
        """Return which keys no row has, by 63 bits of them: of a billion keys, two have the same once in 18 cases.

        Mostly there is none, and sorting all at once takes a tenth of what finding each one's row does.
        """
        wanted = high | _ONE
        # Keys that are looked for are odd, so that one that leads its equals is one that no row has.
        both = np.concatenate([self.column("key_high") & ~_ONE, wanted])
        both.sort()
        leads = np.ones(len(both), np.bool_)
        leads[1:] = (both[1:] ^ both[:-1]) > _ONE
        missing = both[leads & (both & _ONE).astype(np.bool_)]
        return np.flatnonzero(np.isin(wanted, missing)) if len(missing) else np.zeros(0, np.int64)

    def sharing(self, names: Sequence[str], rows: Numbers) -> Numbers:
        """Return the rows, in order, that have in one of these columns what one of some rows has, these among them.

        A few in a million are said to that don't. From now on `column` may have 0 in these columns of what no such row has.
        """
        wanted = np.sort(rows)
        flags = np.zeros(self.rows, np.bool_)
        hits: list[tuple[Numbers, Hashes]] = []
        # So many columns of these rows at a time as take an eighth of what may be held.
        many = max(1, HELD // max(1, wanted.nbytes) // 8)
        for some in (names[first : first + many] for first in range(0, len(names), many)):
            known = self._columns_of(some, wanted)
            for places, hashes in ahead(functools.partial(self._hits, known), some):
                flags[places] = True
                hits.append((places, hashes))
                if len(names) * places.nbytes > HELD:
                    hits.clear()  # too many to hold, so columns are read again
        shared = np.flatnonzero(flags)
        self._held, self._place = {}, None
        if len(hits) == len(names):
            self._place = np.cumsum(flags, dtype=np.int32) - np.int32(1)
            for name, (places, hashes) in zip(names, hits, strict=True):
                self._held[name] = np.zeros(len(shared), np.uint64)
                self._held[name][self._place[places]] = hashes
        return shared

    def _hits(self, known: Mapping[str, Hashes], name: str) -> tuple[Numbers, Hashes]:
        """Return the rows that have one of some hashes in a column, and which."""
        maybe = Maybe(len(known[name]))
        maybe.add(known[name])
        places, hashes, first = [np.zeros(0, np.int64)], [np.zeros(0, np.uint64)], 0
        for batch in self._index.read((name,), self._parts, rows=_CACHED):
            theirs = batch[name].to_numpy()
            found = np.flatnonzero(maybe.has(theirs))
            places.append(first + found)
            hashes.append(theirs[found])
            first += len(batch)
        return np.concatenate(places), np.concatenate(hashes)

    def _columns_of(self, names: Sequence[str], rows: Numbers) -> dict[str, Hashes]:
        """Return columns of rows that are in order, of which those row groups alone are read that have some."""
        tables = [some.read(names, at_once=ROW_GROUP) for some in self._some(rows)]
        return {name: np.concatenate([np.zeros(0, np.uint64), *(table[name].to_numpy() for table in tables)]) for name in names}

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
        if rows is not None and self._place is not None and name in self._held:
            return self._held[name][self._place[rows]]
        found = self._held.get(name) if self._place is None else None
        if found is None:
            found = np.empty(self.rows, np.uint64)
            first = 0
            for batch in self._index.read((name,), self._parts):
                found[first : first + len(batch)] = batch[name].to_numpy()
                first += len(batch)
            if self._place is None and sum(each.nbytes for each in self._held.values()) + found.nbytes <= HELD:
                self._held[name] = found
        return found if rows is None else found[rows]

    def _some(self, rows: Numbers) -> Iterator[Some]:
        first = 0
        for path in self._parts:
            behind = first + count_rows(path)
            yield from some_rows(path, rows[slice(*np.searchsorted(rows, (first, behind)))] - first)
            first = behind

    def picked(self, names: Sequence[str], rows: Numbers, *, many: int) -> Iterator[tuple[Numbers, pa.Table]]:
        """Yield columns of some rows, at most so many at a time, with the places of these among the wanted."""
        order = np.argsort(rows, kind="stable")
        begin = 0
        for found in ahead(lambda some: some.read(names), self._some(rows[order]), workers=1):
            for start in range(0, len(found), many):
                part = found.slice(start, many)
                yield order[begin : begin + len(part)], part
                begin += len(part)


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
