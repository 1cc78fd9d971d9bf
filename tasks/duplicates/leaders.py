"""Leaders: of vectors that are compared with each other, those that are similar to no leader before them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tasks.duplicates.greedy import Pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = 512
"""Vectors that are compared with all leaders at a time."""
SLACK = 1e-4
"""By how much less than the threshold a cosine in single precision may be, to be computed again in whole numbers."""


def similar_pairs(vectors: NDArray[np.int16], members: NDArray[np.int64], threshold: float, *, settled: int = 0) -> Pairs:
    """Return for each member that is similar to a leader before it the pair of both; the others are leaders, in their order.

    So a million vectors that are all similar take a million comparisons, and not their square. Members below `settled` are all
    leaders.
    """
    dimensions = vectors.shape[1]
    leaders = np.empty((min(len(members), BLOCK), dimensions), np.float32)
    numbers = np.empty(len(members), np.int64)
    count = 0
    found: list[Pairs] = []
    for begin in range(0, len(members), BLOCK):
        mine = members[begin : begin + BLOCK]
        block = vectors[mine].astype(np.float32)
        block /= np.maximum(np.linalg.norm(block, axis=1, keepdims=True), 1e-9)
        free = np.ones(len(mine), np.bool_)
        if count:
            likeness = block @ leaders[:count].T
            best = likeness.argmax(axis=1)
            places = np.flatnonzero((likeness[np.arange(len(mine)), best] >= threshold - SLACK) & (mine >= settled))
            pairs = checked(vectors, mine[places], numbers[best[places]], threshold)
            found.append(pairs)
            free[np.isin(mine, pairs.later)] = False
        among = np.flatnonzero(free)
        own, pairs = _within(vectors, block[among], mine[among], threshold, settled=settled)
        found.append(pairs)
        new = among[own]
        if count + len(new) > len(leaders):
            grown = np.empty((min(len(members), 2 * (count + len(new))), dimensions), np.float32)
            grown[:count] = leaders[:count]
            leaders = grown
        leaders[count : count + len(new)] = block[new]
        numbers[count : count + len(new)] = mine[new]
        count += len(new)
    return Pairs.of(found)


def _within(
    vectors: NDArray[np.int16], block: NDArray[np.float32], mine: NDArray[np.int64], threshold: float, *, settled: int
) -> tuple[NDArray[np.bool_], Pairs]:
    """Return which of a block are leaders, and the pairs of the others."""
    likeness = np.tril(block @ block.T, -1)
    later, earlier = np.nonzero(likeness >= threshold - SLACK)
    wanted = mine[later] >= settled
    pairs = checked(vectors, mine[later[wanted]], mine[earlier[wanted]], threshold)
    leads = dict.fromkeys(mine.tolist(), True)
    kept: list[int] = []
    for place, (one, before) in enumerate(zip(pairs.later.tolist(), pairs.earlier.tolist(), strict=True)):
        if leads[before]:  # all pairs of `before` are behind us, since they are in order
            leads[one] = False
            kept.append(place)
    own = Pairs(pairs.later[kept], pairs.earlier[kept], pairs.similarity[kept])
    return np.fromiter(leads.values(), np.bool_, count=len(leads)), own


def checked(vectors: NDArray[np.int16], later: NDArray[np.int64], earlier: NDArray[np.int64], threshold: float) -> Pairs:
    """Return the pairs that are similar by whole numbers, which are the same on any machine."""
    found = []
    for begin in range(0, len(later), BLOCK * 8):
        one, other = (vectors[part[begin : begin + BLOCK * 8]].astype(np.int64) for part in (later, earlier))
        both = np.einsum("ij,ij->i", one, other)
        lengths = np.einsum("ij,ij->i", one, one), np.einsum("ij,ij->i", other, other)
        found.append(both / np.sqrt(lengths[0].astype(np.float64)) / np.sqrt(lengths[1].astype(np.float64)))
    cosine = np.minimum(np.concatenate(found), 1.0) if found else np.zeros(0, np.float64)
    alike = cosine >= threshold
    return Pairs(later[alike], earlier[alike], cosine[alike])
