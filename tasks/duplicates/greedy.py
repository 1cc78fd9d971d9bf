"""Which of many similar things are kept: each one, in order, unless it is similar to one that is kept already."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
KEPT, DROPPED, OPEN = 0, 1, 2
_CHUNK = 500_000
"""Pairs that are gone through at a time."""


class Pairs(NamedTuple):
    """Pairs of things that are similar. A thing's number is its place in the order in which things are preferred."""

    later: Numbers
    """The one that is less preferred."""
    earlier: Numbers
    """The one that is more."""
    similarity: npt.NDArray[np.float64]
    """Of the two."""

    def sorted(self) -> Pairs:
        """Return the pairs in order, each of them once."""
        order = np.lexsort((self.earlier, self.later))
        later, earlier = self.later[order], self.earlier[order]
        once = np.ones(len(order), np.bool_)
        once[1:] = (later[1:] != later[:-1]) | (earlier[1:] != earlier[:-1])
        return Pairs(later[once], earlier[once], self.similarity[order][once])

    @classmethod
    def of(cls, parts: list[Pairs]) -> Pairs:
        """Return the pairs of several."""
        if not parts:
            return cls(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float64))
        return cls(
            np.concatenate([each.later for each in parts]),
            np.concatenate([each.earlier for each in parts]),
            np.concatenate([each.similarity for each in parts]),
        )


def greedy(pairs: Pairs, total: int, *, incomplete: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.uint8]:
    """Return for each of `total` things KEPT or DROPPED: in order, one is dropped where it is similar to one that is kept.

    So nothing is dropped for the sake of what is dropped itself, and similarity never runs along a chain. `incomplete` marks the
    things of which not all pairs with earlier ones are known: they are OPEN, and so is what depends on them, unless a kept one
    drops them.
    """
    pairs = pairs.sorted()
    state = bytearray(total) if incomplete is None else bytearray((incomplete * np.uint8(OPEN)).tobytes())
    for begin in range(0, len(pairs.later), _CHUNK):
        later, earlier = pairs.later[begin : begin + _CHUNK].tolist(), pairs.earlier[begin : begin + _CHUNK].tolist()
        for one, before in zip(later, earlier, strict=True):
            # All pairs of `before` are behind us, since they are in order.
            if state[before] == KEPT:
                state[one] = DROPPED
            elif state[before] == OPEN and state[one] == KEPT:
                state[one] = OPEN
    return np.frombuffer(state, np.uint8)


def most_similar(pairs: Pairs, state: npt.NDArray[np.uint8]) -> Pairs:
    """Return for each dropped thing the kept one that it is most similar to, and of several the most preferred."""
    mine = (state[pairs.later] == DROPPED) & (state[pairs.earlier] == KEPT)
    later, earlier, similarity = pairs.later[mine], pairs.earlier[mine], pairs.similarity[mine]
    order = np.lexsort((earlier, -similarity, later))
    later = later[order]
    first = np.ones(len(later), np.bool_)
    first[1:] = later[1:] != later[:-1]
    return Pairs(later[first], earlier[order][first], similarity[order][first])
