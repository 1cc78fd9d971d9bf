"""Who waits for what is in a batch, and what the batches of one desk share."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from dataclasses import dataclass

from storage.intents import Intents
from tasks.asking.counts import Counts
from tasks.asking.usable import Distributions
from tasks.batches.patience import Patience
from tasks.teachers.batches import BatchTeacher
from tasks.teachers.options import TeacherOptions
from tasks.teachers.protocol import Completion, Request, Usage

Place = tuple[str, int]
"""A request by what nothing else in a batch has: its address and the index of its first sample."""


@dataclass(slots=True, kw_only=True, eq=False)
class Slot:
    """One caller who waits for a request's answer."""

    place: Place
    """What is in a batch for it."""
    request: Request
    """What is wanted of that, or is to be sent."""
    may_send: Callable[[], bool]
    """Asked before it is sent."""
    billed: Callable[[Usage], object]
    """Told of what it costs."""
    future: asyncio.Future[tuple[Completion, float]]
    """The answer, and for how many seconds it took."""

    @property
    def part(self) -> slice:
        """Which of the samples that come are wanted: another run may have asked for more."""
        skipped = self.request.sample_index - self.place[1]
        return slice(skipped, skipped + self.request.n)

    def fail(self, error: BaseException) -> None:
        """Raise an error where this is waited for. Each caller gets an error of its own."""
        if not self.future.done():
            self.future.set_exception(_copied(error))
            self.future.exception()  # its caller may be gone: that is no reason for a warning


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What all batches of one desk share."""

    options: TeacherOptions
    """The teacher's."""
    linger_s: float
    """How long nobody may have come before what waits is fetched at once."""
    timeout_s: float
    """How old a batch may get."""
    teacher: BatchTeacher
    """The provider."""
    patience: Patience
    """With it."""
    distributions: Distributions
    """Whether it gives what it is asked for."""
    counts: Counts
    """Whether its counts of tokens can be."""
    intents: Intents
    """Where a batch is noted."""
    say: Callable[[str], None]
    """Hears what a person should know."""
    board: dict[str, str]
    """How each batch stands, for a display."""
    others: Callable[[], set[str]]
    """Ids of the batches that are known."""
    alone: Callable[[str], bool]
    """Whether no batch of ours but the one with this key is under way."""
    shrink: Callable[[int], int]
    """Hears how many requests a batch may have at most, and returns how many by all that it heard."""
    gather: Callable[[Slot], object]
    """Takes a slot for a later batch."""
    ended: Callable[[Place, Usage | None], object]
    """Hears of each request that came to an end, and what it is billed for."""


def _copied(error: BaseException) -> BaseException:
    try:
        return copy.copy(error)
    except Exception:  # noqa: BLE001 - not every foreign error can be copied
        return error
