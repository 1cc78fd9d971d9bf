"""Cells: only vectors of one cell are compared. A vector stands in the cells of its nearest means, or in one alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tasks.splitmix import mixed

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEAREST = 3
"""Cells that a vector stands in: in the first alone, similar vectors that a border parts would never meet."""
PASSES = 8
"""Of k-means."""
TRAINED = 32
"""Vectors for each mean that the means are found by."""
BLOCK = 4_096
"""Vectors that are compared with all means at a time."""
FEW = 2_000
"""Vectors that need no cells: each is compared with each."""


class Cells(NamedTuple):
    """Vectors by cell."""

    order: NDArray[np.int64]
    """Numbers of vectors, one cell behind the other, each in order."""
    starts: NDArray[np.int64]
    """Where each cell begins in `order`."""
    ends: NDArray[np.int64]
    """Where it ends."""

    def members(self, cell: int) -> NDArray[np.int64]:
        """Return the numbers of a cell's vectors, in order."""
        return self.order[self.starts[cell] : self.ends[cell]]

    def holding(self, wanted: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the cells that have one of the wanted vectors."""
        before = np.concatenate(([0], np.cumsum(wanted[self.order])))
        return np.flatnonzero(before[self.ends] > before[self.starts])


def by_key(keys: NDArray[np.int64], known: NDArray[np.int64]) -> Cells:
    """Return a cell for each key that several of the `known` vectors share."""
    return _cells(keys[known].astype(np.int64), known)


def by_means(vectors: NDArray[np.int16], known: NDArray[np.int64]) -> Cells:
    """Return a cell for each of about sqrt(n) means: with the vectors to which it is one of the NEAREST.

    The means are found on a sample that depends on the number of vectors alone.
    """
    if len(known) <= FEW:
        return _cells(np.zeros(len(known), np.int64), known)
    means = _means(vectors, known, count=round(len(known) ** 0.5))
    nearest = np.empty((NEAREST, len(known)), np.int64)
    for begin in range(0, len(known), BLOCK):
        likeness = _block(vectors, known[begin : begin + BLOCK]) @ means.T
        rows = np.arange(len(likeness))
        for place in range(NEAREST):
            nearest[place, begin : begin + BLOCK] = best = likeness.argmax(axis=1)
            likeness[rows, best] = -np.inf
    return _cells(nearest.reshape(-1), np.tile(known, NEAREST))


def _cells(keys: NDArray[np.int64], numbers: NDArray[np.int64]) -> Cells:
    order = np.lexsort((numbers, keys))
    keys = keys[order]
    starts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1]))) if len(keys) else np.zeros(0, np.int64)
    ends = np.append(starts[1:], len(keys)) if len(keys) else starts
    several = ends - starts > 1
    return Cells(numbers[order], starts[several], ends[several])


def _block(vectors: NDArray[np.int16], numbers: NDArray[np.int64]) -> NDArray[np.float32]:
    return vectors[numbers].astype(np.float32)


def _means(vectors: NDArray[np.int16], known: NDArray[np.int64], *, count: int) -> NDArray[np.float32]:
    """Return the means of a sample by k-means over cosines; one that nothing is nearest to stays where it is."""
    random = mixed(np.arange(len(known), dtype=np.uint64))
    chosen = np.sort(np.argsort(random)[: count * TRAINED])
    sample = _block(vectors, known[chosen])
    means = sample[np.argsort(mixed(random[chosen]))[:count]]
    for _ in range(PASSES):
        means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
        nearest = np.concatenate(
            [(sample[begin : begin + BLOCK] @ means.T).argmax(axis=1) for begin in range(0, len(sample), BLOCK)]
        )
        order = np.argsort(nearest, kind="stable")
        starts = np.flatnonzero(np.concatenate(([True], np.diff(nearest[order]) > 0)))
        means[nearest[order][starts]] = np.add.reduceat(sample[order], starts)
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
    return means
