"""Batches by tokens, in an order that seed and epoch alone decide, so that a run that was ended goes on where it was.

Blocks are shuffled; some are read together, their conversations shuffled, and those of like length put into batches, whose order
is shuffled again. What a resumed run has had already is passed over by its lengths alone: nothing of it is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.distillation.shards import MASKED, Index, Ints, Rows, read

WINDOW_TOKENS = 4_000_000
"""Of blocks that are held in memory together; one block at least."""
POOL = 50
"""Batches that are made from conversations sorted by length together: enough for little padding, few enough to stay mixed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Conversations side by side, filled up at their right ends, where a causal model doesn't look."""

    tokens: Ints
    """A row each."""
    places: Ints
    """Where in all rows, one behind the other, something to learn is predicted: one before it stands."""
    targets: Ints
    """What follows there."""
    ids: Ints | None
    """The alternatives there, where any has some; filled up with the first of a place, or 0."""
    logprobs: NDArray[np.float32] | None
    """Theirs; -inf where filled up."""


@dataclass(frozen=True, slots=True)
class _Window:
    blocks: tuple[int, ...]
    batches: list[Ints]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batches:
    """The batches of a split."""

    index: Index
    tokens: int
    """Of a batch at most, filled up; a conversation of more is a batch of its own."""
    seed: int | None = 0
    """None leaves everything in its order, but for lengths."""

    def count(self, epoch: int) -> int:
        """Return how many there are in an epoch."""
        return sum(len(window.batches) for window in self._windows(epoch))

    def epoch(self, epoch: int, skip: int = 0) -> Iterator[Batch]:
        """Yield an epoch's batches but for the first `skip`."""
        for window in self._windows(epoch):
            if skip >= len(window.batches):
                skip -= len(window.batches)
                continue
            held = {number: read(self.index.blocks[number]) for number in window.blocks}
            for conversations in window.batches[skip:]:
                yield self._collated(conversations, held)
            skip = 0

    def _windows(self, epoch: int) -> Iterator[_Window]:
        index, starts = self.index, self.index.starts
        sums = np.concatenate([[0], np.cumsum(index.lengths, dtype=np.int64)])
        sizes = sums[starts[1:]] - sums[starts[:-1]]
        order = np.arange(len(index.blocks))
        if self.seed is not None:
            order = np.random.default_rng([self.seed, epoch]).permutation(order)
        group: list[int] = []
        held, number = 0, 0
        for place, block in enumerate(order.tolist()):
            group.append(block)
            held += int(sizes[block])
            if held >= WINDOW_TOKENS or place == len(order) - 1:
                yield self._window(tuple(group), epoch, number)
                group, held, number = [], 0, number + 1

    def _window(self, blocks: tuple[int, ...], epoch: int, number: int) -> _Window:
        starts, lengths = self.index.starts, self.index.lengths
        members = np.concatenate([np.arange(starts[block], starts[block + 1]) for block in blocks])
        members = members[self.index.trained[members] > 0]
        mixed = np.random.default_rng([self.seed, epoch, number]) if self.seed is not None else None
        if mixed is not None:
            members = mixed.permutation(members)
        batches: list[Ints] = []
        pools = np.cumsum(lengths[members], dtype=np.int64) // (POOL * self.tokens)
        for pool in np.split(members, np.flatnonzero(np.diff(pools)) + 1):
            batches += self._cut(pool[np.argsort(lengths[pool], kind="stable")])
        if mixed is not None:
            batches = [batches[place] for place in mixed.permutation(len(batches)).tolist()]
        return _Window(blocks, batches)

    def _cut(self, ascending: Ints) -> Iterator[Ints]:
        begin = 0
        for end, length in enumerate(self.index.lengths[ascending].tolist()):
            if end > begin and (end - begin + 1) * length > self.tokens:
                yield ascending[begin:end]
                begin = end
        if begin < len(ascending):
            yield ascending[begin:]

    def _collated(self, conversations: Ints, held: dict[int, Rows]) -> Batch:
        width = int(self.index.lengths[conversations].max())
        tokens = np.zeros((len(conversations), width), np.int64)
        places, targets, soft = [], [], []
        for row, conversation in enumerate(conversations.tolist()):
            block = int(np.searchsorted(self.index.starts, conversation, side="right")) - 1
            rows = held[block]
            begin, end = rows.bounds[conversation - self.index.starts[block] :][:2].tolist()
            tokens[row, : end - begin] = rows.tokens[begin:end]
            learnt = begin + np.flatnonzero(rows.labels[begin:end] != MASKED)
            places.append(row * width + learnt - begin - 1)
            targets.append(rows.labels[learnt])
            soft.append((rows, learnt))
        ids, logprobs = _alternatives(soft)
        return Batch(
            tokens=tokens,
            places=np.concatenate(places),
            targets=np.concatenate(targets).astype(np.int64),
            ids=ids,
            logprobs=logprobs,
        )


def _alternatives(soft: list[tuple[Rows, Any]]) -> tuple[Ints | None, NDArray[np.float32] | None]:
    """Return a table of alternatives, as wide as the most that a place has."""
    numbers = [np.zeros(len(learnt), np.int64) if rows.marks is None else np.diff(rows.marks)[learnt] for rows, learnt in soft]
    widest = max((int(each.max()) for each in numbers if len(each)), default=0)
    if not widest:
        return None, None
    ids: list[Any] = []
    logprobs: list[Any] = []
    column = np.arange(widest)
    for (rows, learnt), number in zip(soft, numbers, strict=True):
        known = column < number[:, None]
        if rows.marks is None or rows.ids is None or rows.logprobs is None or not len(rows.ids):
            ids.append(np.zeros(known.shape, np.int64))
            logprobs.append(np.full(known.shape, -np.inf, np.float32))
            continue
        # Beyond the last of a place its first stands again; a place without any may point behind the end.
        spots = np.minimum(rows.marks[learnt][:, None] + np.where(known, column, 0), len(rows.ids) - 1)
        ids.append(rows.ids[spots].astype(np.int64))
        logprobs.append(np.where(known, rows.logprobs[spots].astype(np.float32), -np.inf).astype(np.float32))
    return np.concatenate(ids), np.concatenate(logprobs)
