"""Grams: sorted hashes of n-grams, each with the places where it stands, made to be looked up a million at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from tasks.words import Hashes, Numbers, of_each

_SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""Multiplying by it makes the upper bits depend on all others (Knuth, The Art of Computer Programming 6.4)."""
_FEWEST, _MOST = 16, 27
"""Bits of the numbers of the first look-up's entries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Where n-grams of texts stand in the index: a row for each pair of places."""

    place: Numbers
    """In the texts."""
    gram: Numbers
    """The n-gram's number in the index."""
    part: Numbers
    """The part of a benchmark that has it."""
    at: Numbers
    """Where in that part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grams:
    """An index of n-grams."""

    keys: Hashes
    """Sorted, each once."""
    first: Numbers
    """Where a key's places begin in `part` and `at`; one more at the end."""
    part: npt.NDArray[np.int32]
    """By key."""
    at: npt.NDArray[np.int32]
    """By key: words, or characters, before the n-gram."""
    _maybe: npt.NDArray[np.bool_]
    """Whether any key has these upper bits: most n-grams of most texts are ruled out by one look."""

    @classmethod
    def of(cls, hashes: Hashes, part: Numbers, at: Numbers) -> Self:
        """Make an index of n-grams and their places."""
        order = np.lexsort((at, part, hashes))
        hashes, part, at = hashes[order], part[order], at[order]
        first = np.flatnonzero(np.concatenate(([True], hashes[1:] != hashes[:-1]))) if len(hashes) else np.zeros(0, np.int64)
        keys = hashes[first]
        bits = min(max(int(len(keys) * 8).bit_length(), _FEWEST), _MOST)
        maybe = np.zeros(1 << bits, np.bool_)
        maybe[_upper(keys, bits)] = True
        return cls(
            keys=keys,
            first=np.append(first, len(hashes)),
            part=part.astype(np.int32),
            at=at.astype(np.int32),
            _maybe=maybe,
        )

    def __len__(self) -> int:
        return len(self.keys)

    def look_up(self, hashes: Hashes) -> tuple[Numbers, Numbers]:
        """Return the places of those that are in the index, and their numbers in it."""
        if not len(self.keys):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        bits = len(self._maybe).bit_length() - 1
        places = np.flatnonzero(self._maybe[_upper(hashes, bits)])
        wanted = hashes[places]
        numbers = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        there = self.keys[numbers] == wanted
        return places[there], numbers[there]

    def expand(self, places: Numbers, numbers: Numbers) -> Found:
        """Return all places in the index of what was looked up."""
        counts = self.first[numbers + 1] - self.first[numbers]
        which = of_each(counts)
        within = np.arange(len(which)) - (np.cumsum(counts) - counts)[which]
        listed = self.first[numbers][which] + within
        return Found(
            place=places[which],
            gram=numbers[which],
            part=self.part[listed].astype(np.int64),
            at=self.at[listed].astype(np.int64),
        )


def _upper(hashes: Hashes, bits: int) -> Hashes:
    return (hashes * _SPREAD) >> np.uint64(64 - bits)
