"""Which texts are compared: those that share a band, and of large groups of these, no more than need be.

Texts are numbers from 0 on, in the order in which they are preferred; the first `settled` of them are kept whatever comes, and
are never compared among themselves. What is held in memory is some 40 bytes for each text, and what is found.

A few texts that share a band are all compared with each other. Of many, as boilerplate makes them, the first is compared with
all others, whereupon those that it drops leave the group, then the next that is left, and so on: a million texts that are all
similar take some millions of comparisons, not a million squared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tasks.duplicates.distinct import distinct
from tasks.duplicates.greedy import DROPPED, KEPT, Numbers, Pairs, greedy
from tasks.duplicates.minhash import Hashes

Compare = Callable[[Numbers, Numbers], npt.NDArray[np.float64]]
"""Returns the similarity of each pair of texts."""
SMALL = 32
"""Texts in a group that are all compared with each other."""
EFFORT = 16
"""Comparisons for each text within large groups, at most. Where very many texts share bands and yet aren't similar, that may not
be enough to find all that are."""
_HELD = 10_000_000
"""Pairs that are held before repetitions are removed."""


class _Groups(NamedTuple):
    """The groups of texts that share a band."""

    members: Numbers
    """One group behind the other, each in order."""
    starts: Numbers
    """Where each begins."""
    sizes: Numbers
    """How many it has."""

    @property
    def places(self) -> Numbers:
        """Each member's place in its group."""
        return np.arange(len(self.members)) - np.repeat(self.starts, self.sizes)

    def where(self, wanted: npt.NDArray[np.bool_]) -> _Groups:
        """Return the wanted groups."""
        sizes = self.sizes[wanted]
        return _Groups(self.members[np.repeat(wanted, self.sizes)], np.cumsum(sizes) - sizes, sizes)


class Candidates:
    """One search for texts that are similar."""

    def __init__(self, band: Callable[[int], Hashes], bands: int, total: int, settled: int) -> None:
        """`band` returns a band's hash of each text."""
        self._band = band
        self._bands = bands
        self._total = total
        self._settled = settled
        self.needed = np.zeros(total, np.bool_)
        """Texts that may be compared; `find` sets it."""

    def find(self) -> tuple[Numbers, Numbers]:
        """Return the pairs of small groups, the later text of each first. The rest is for `resolve`."""
        self._used = np.zeros((-(-self._bands // 64), self._total), np.uint64)
        self._members = np.arange(self._total)
        held = [np.zeros(0, np.int64)]
        for number in range(self._bands):
            groups = self._groups(number, self._members)
            self.needed[groups.members] = True
            small = groups.where(groups.sizes <= SMALL)
            self._use(number, small.members)
            held.append(distinct(self._all_pairs(small)))
            if sum(map(len, held)) > _HELD:
                held = [distinct(np.concatenate(held))]
        self._members = np.flatnonzero(self.needed)
        return np.divmod(distinct(np.concatenate(held)), self._total) if self._total else (held[0], held[0])

    def resolve(self, pairs: Pairs, threshold: float, compare: Compare) -> tuple[Pairs, npt.NDArray[np.uint8]]:
        """Go through large groups; return all similar pairs, and for each text whether it is KEPT or DROPPED."""
        found, left = [pairs], EFFORT * self._total
        while True:
            incomplete = self._incomplete()
            if left <= 0 or not incomplete.any():
                return pairs, greedy(pairs, self._total)
            state = greedy(pairs, self._total, incomplete=incomplete).copy()
            for number in range(self._bands):
                later, earlier = self._next(number, state)
                if not len(later):
                    continue
                left -= len(later)
                similarity = compare(later, earlier)
                alike = similarity >= threshold
                later, earlier, similarity = later[alike], earlier[alike], similarity[alike]
                found.append(Pairs(later, earlier, similarity))
                # For certain already, so that they need no place in the bands that follow.
                state[later[state[earlier] == KEPT]] = DROPPED
            pairs = Pairs.of(found).sorted()
            found = [pairs]
            self._members = self._members[state[self._members] != DROPPED]

    def _groups(self, number: int, members: Numbers) -> _Groups:
        """Return the groups of two or more, of which one is not settled."""
        hashes = self._band(number)[members]
        if self._settled > 0 and len(members):
            # Most settled texts share no band with any other: a table of hashes' lowest bits tells that quickly.
            new = members >= self._settled
            bits = max(16, int(new.sum()).bit_length() + 4)
            low = (hashes & np.uint64((1 << bits) - 1)).astype(np.int64)
            table = np.zeros(1 << bits, np.bool_)
            table[low[new]] = True
            kept = table[low]
            hashes, members = hashes[kept], members[kept]
        order = np.argsort(hashes)
        ordered = hashes[order]
        same = np.zeros(len(ordered) + 1, np.bool_)
        same[1:-1] = ordered[1:] == ordered[:-1]
        several = same[1:] | same[:-1]
        group = np.cumsum(~same[:-1])[several]
        keys = group * self._total + members[order][several]
        keys.sort()
        group, members = np.divmod(keys, max(self._total, 1))
        starts = np.flatnonzero(np.concatenate(([True], group[1:] != group[:-1]))) if len(group) else np.zeros(0, np.int64)
        sizes = np.diff(np.append(starts, len(group)))
        groups = _Groups(members, starts, sizes)
        return groups.where(members[starts + sizes - 1] >= self._settled) if len(starts) else groups

    def _all_pairs(self, groups: _Groups) -> Numbers:
        """Return all pairs of members of a group, each as one number, the later member first."""
        found = [np.zeros(0, np.int64)]
        left = np.repeat(groups.sizes, groups.sizes) - groups.places - 1
        for apart in range(1, SMALL):
            first = np.flatnonzero(left >= apart)
            if not len(first):
                break
            earlier, later = groups.members[first], groups.members[first + apart]
            found.append((later * self._total + earlier)[later >= self._settled])
        return np.concatenate(found)

    def _use(self, number: int, members: Numbers) -> None:
        """Note that a band's members have been compared with all later ones of their groups."""
        self._used[number // 64, members] |= np.uint64(1 << number % 64)

    def _is_used(self, number: int, members: Numbers) -> npt.NDArray[np.bool_]:
        found: npt.NDArray[np.bool_] = (self._used[number // 64, members] & np.uint64(1 << number % 64)) != 0
        return found

    def _open_groups(self, number: int, members: Numbers) -> tuple[_Groups, npt.NDArray[np.bool_]]:
        """Return the groups in which somebody is to be compared yet, and for each member whether it is that."""
        groups = self._groups(number, members)
        if not len(groups.starts):
            return groups, np.zeros(0, np.bool_)
        fresh = ~self._is_used(number, groups.members)
        wanted = np.logical_or.reduceat(fresh, groups.starts)
        return groups.where(wanted), fresh[np.repeat(wanted, groups.sizes)]

    def _incomplete(self) -> npt.NDArray[np.bool_]:
        """Return which texts have an earlier one in a group with which they haven't been compared."""
        found = np.zeros(self._total, np.bool_)
        members = np.zeros(self._total, np.bool_)
        for number in range(self._bands):
            groups, fresh = self._open_groups(number, self._members)
            if len(groups.members):
                before = _before(fresh)
                found[groups.members] |= before > np.repeat(before[groups.starts], groups.sizes)
                members[groups.members] = True
        found[: self._settled] = False
        self._members = np.flatnonzero(members)
        return found

    def _next(self, number: int, state: npt.NDArray[np.uint8]) -> tuple[Numbers, Numbers]:
        """Return the next pairs of a band, the later text of each first."""
        groups, fresh = self._open_groups(number, self._members[state[self._members] != DROPPED])
        if not len(groups.members):
            return groups.members, groups.members
        unsettled = np.add.reduceat((groups.members >= self._settled).astype(np.int64), groups.starts)
        many = np.maximum(1, SMALL * SMALL // unsettled)
        rank = _before(fresh)
        rank = rank - np.repeat(rank[groups.starts], groups.sizes)
        leaders = np.flatnonzero(fresh & (rank < np.repeat(many, groups.sizes)))
        self._use(number, groups.members[leaders])
        ends = np.repeat(groups.starts + groups.sizes, groups.sizes)[leaders]
        # A settled one is compared with those that aren't, the first of which stands behind all settled ones.
        firsts = np.maximum(leaders + 1, np.repeat(groups.starts + groups.sizes - unsettled, groups.sizes)[leaders])
        counts = np.maximum(ends - firsts, 0)
        shift = np.repeat(firsts - (np.cumsum(counts) - counts), counts)
        later = groups.members[shift + np.arange(len(shift))]
        return later, np.repeat(groups.members[leaders], counts)


def _before(flags: npt.NDArray[np.bool_]) -> Numbers:
    """Return how many are set before each."""
    counts = flags.astype(np.int64)
    return np.cumsum(counts) - counts


def similar(pairs: tuple[Numbers, Numbers], threshold: float, compare: Compare) -> Pairs:
    """Return which of the pairs are similar."""
    later, earlier = pairs
    similarity = compare(later, earlier)
    alike = similarity >= threshold
    return Pairs(later[alike], earlier[alike], similarity[alike])
