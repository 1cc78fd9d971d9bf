"""Jaccard similarity of sets of n-grams, exactly, for many pairs of texts.

Two n-grams count as the same where 55 bits of their hashes are: of two texts of a thousand words, any two do so by chance in one
of 10^10 cases.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from storage.disk import writing
from tasks.duplicates.minhash import Hashes, Offsets

Numbers = npt.NDArray[np.int64]

_PAIRS = 256
"""That are compared at a time, in the processor's cache."""
_OWNER = np.uint64(55)
"""Bits of a hash that count; the eight above them take the pair's number."""
_KEPT = np.uint64(1 << 63 | (1 << 55) - 1)
_HALF = np.uint64(1 << 63)
"""N-grams from here on are of the other sort of text; see `tasks.duplicates.minhash.shingles`."""


class Grams:
    """The n-grams of some texts by number, in a file, since there may be more than memory holds."""

    def __init__(self, path: Path, total: int) -> None:
        """Make the file, for texts whose numbers are below `total`."""
        with writing(path):
            self._file = path.open("w+b")
        self._path = path
        self._starts = np.zeros(total, np.int64)
        self._sizes = np.zeros(total, np.int32)
        self._others = np.zeros(total, np.int32)
        self._end = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)

    def add(self, numbers: Numbers, hashes: Hashes, offsets: Offsets) -> None:
        """Add what `shingles` returned of the texts of these numbers. A text that is here already stays as it is."""
        sizes = np.diff(offsets)
        fresh = self._sizes[numbers] == 0
        numbers, begins, sizes = numbers[fresh], offsets[:-1][fresh], sizes[fresh]
        with writing(self._path):
            for first in range(0, len(numbers), _PAIRS):
                part = slice(first, first + _PAIRS)
                self._file.write(self._add(numbers[part], hashes, begins[part], sizes[part]))

    def _add(self, numbers: Numbers, hashes: Hashes, begins: Offsets, sizes: Offsets) -> bytes:
        """Note where the n-grams of some texts stand, and return them: each text's in order, each of them once."""
        ends = np.cumsum(sizes)
        keys = hashes[np.repeat(begins - ends + sizes, sizes) + np.arange(sizes.sum())] & _KEPT
        keys |= np.repeat(np.arange(len(numbers), dtype=np.uint64) << _OWNER, sizes)
        keys.sort()
        keys = keys[np.concatenate(([True], keys[1:] != keys[:-1]))]
        owners = (keys >> _OWNER & np.uint64(_PAIRS - 1)).astype(np.uint8)
        other = keys >= _HALF
        if other[-1]:  # these stand behind those of all texts
            order = np.argsort(owners, kind="stable")
            keys, owners, other = keys[order], owners[order], other[order]
        once = np.bincount(owners, minlength=len(numbers))
        self._starts[numbers] = self._end + np.cumsum(once) - once
        self._sizes[numbers] = once
        self._others[numbers] = np.bincount(owners[other], minlength=len(numbers))
        self._end += len(keys)
        found: bytes = (keys & _KEPT).tobytes()
        return found

    def similarities(self, first: Numbers, second: Numbers) -> npt.NDArray[np.float64]:
        """Return the Jaccard similarity of each pair of texts; of two sorts of text, the lower one.

        A text that was never added is a defect, and raises.
        """
        with writing(self._path):
            self._file.flush()
        if not (self._sizes[first].all() and self._sizes[second].all()):
            raise AssertionError("a text that was to be compared isn't there")
        found = np.empty(len(first), np.float64)
        for begin in range(0, len(first), _PAIRS):
            part = slice(begin, begin + _PAIRS)
            found[part] = self._compare(first[part], second[part])
        return found

    def _compare(self, first: Numbers, second: Numbers) -> npt.NDArray[np.float64]:
        pairs = len(first)
        sizes = self._sizes[first], self._sizes[second]
        owners = np.concatenate([np.arange(pairs, dtype=np.uint64)] * 2) << _OWNER
        keys = np.concatenate([self._read(first), self._read(second)])
        keys |= np.repeat(owners, np.concatenate(sizes))
        keys.sort()
        # An n-gram of both texts of a pair is there twice, and nothing else is.
        twice = keys[1:][keys[1:] == keys[:-1]]
        owner = ((twice >> _OWNER) & np.uint64(_PAIRS - 1)).astype(np.int64)
        other = twice >= _HALF
        others = self._others[first], self._others[second]
        lowest = np.ones(pairs, np.float64)
        for mine, total in ((other, others[0] + others[1]), (~other, sizes[0] + sizes[1] - others[0] - others[1])):
            shared = np.bincount(owner[mine], minlength=pairs)
            lowest = np.minimum(lowest, np.divide(shared, total - shared, out=np.ones(pairs), where=total > 0))
        return lowest

    def _read(self, numbers: Numbers) -> Hashes:
        handle, starts, sizes = self._file.fileno(), self._starts[numbers].tolist(), self._sizes[numbers].tolist()
        read = [os.pread(handle, 8 * size, 8 * start) for start, size in zip(starts, sizes, strict=True)]
        return np.frombuffer(b"".join(read), np.uint64).copy()
