"""Packing: sequences are joined into rows of a length at most, none of them cut (best-fit decreasing, Ding et al. 2024)."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

WINDOW_TOKENS = 4_000_000
"""Tokens that are held and packed at a time."""
WINDOW = 16_384
"""Sequences that are at most."""


class Sized(Protocol):
    """What has a length."""

    def __len__(self) -> int:
        """Return it."""
        ...


S = TypeVar("S", bound=Sized)


def packed(sequences: Iterable[S], length: int) -> Iterator[list[S]]:
    """Yield rows of sequences of `length` in all at most, which each sequence must fit alone.

    Rows, and sequences in a row, are in the order of arrival, window by window, so that no row is packed of the longest first.
    Best-fit decreasing: arXiv:2404.10830.
    """
    window: list[S] = []
    tokens = 0
    for sequence in sequences:
        window.append(sequence)
        tokens += len(sequence)
        if tokens >= WINDOW_TOKENS or len(window) >= WINDOW:
            yield from ([window[number] for number in row] for row in bins([len(each) for each in window], length))
            window, tokens = [], 0
    yield from ([window[number] for number in row] for row in bins([len(each) for each in window], length))


def bins(sizes: Sequence[int], capacity: int) -> list[list[int]]:
    """Return the numbers of items in bins that hold `capacity` each, by best-fit decreasing."""
    rows: list[list[int]] = []
    room: list[tuple[int, int]] = []  # what is left in a row, and the row's number; in order
    for item in sorted(range(len(sizes)), key=lambda number: -sizes[number]):
        place = bisect.bisect_left(room, (sizes[item], -1))
        left, row = room.pop(place) if place < len(room) else (capacity, len(rows))
        if row == len(rows):
            rows.append([])
        rows[row].append(item)
        bisect.insort(room, (left - sizes[item], row))
    return sorted(sorted(row) for row in rows)
