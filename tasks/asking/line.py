"""A line: one way to a teacher, such as a replica of its model or the key of one of several accounts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from storage.errors import TeacherError, Unreachable, UserError
from tasks.asking.breaker import Breaker
from tasks.asking.limits import Limiter, own_limiter, shared_limiter
from tasks.asking.meter import LineState, Meter
from tasks.asking.pace import Cell
from tasks.teachers.options import TeacherOptions
from tasks.teachers.protocol import Teacher


@runtime_checkable
class KnowsCapacity(Protocol):
    """A teacher that knows how many requests it serves well."""

    @property
    def capacity(self) -> int:
        """Return how many."""
        ...


@dataclass(slots=True, kw_only=True)
class Line:
    """One way to a teacher."""

    teacher: Teacher
    """Who is asked."""
    limiter: Limiter
    """When."""
    breaker: Breaker
    """Whether."""
    down: UserError | None = None
    """Why it won't be asked again in this run."""
    meter: Meter = field(default_factory=Meter)
    """What it has done so far."""

    def lost(self, error: TeacherError, attempts: int) -> bool:
        """Whether there is no hope left for this run: nobody was ever there, or nobody has answered for too long."""
        if self.down is not None or self.breaker.out_of_patience:
            return True
        # A wrong address is told soon; a server that has answered before is waited for.
        return isinstance(error, Unreachable) and not self.breaker.answers and self.breaker.probes >= attempts - 1

    @property
    def closed(self) -> bool:
        """Whether it won't be asked again."""
        return self.down is not None

    @property
    def well(self) -> bool:
        """Whether it can be asked now."""
        return not self.closed and not self.breaker.open and not self.limiter.paused

    def state(self, teacher: str, number: int) -> LineState:
        """Return how it stands just now, as the `number`-th line to a teacher."""
        limiter, meter = self.limiter, self.meter
        failing = "failing" if self.breaker.open else "paused" if limiter.paused else "well"
        return LineState(
            teacher=teacher,
            line=number,
            standing="closed" if self.closed else failing,
            in_flight=meter.in_flight,
            window=limiter.window,
            # Who has a place and hasn't sent yet waits for a rate, or for the breaker.
            waiting=limiter.waiting + max(0, limiter.inside - meter.in_flight),
            requests_per_minute=limiter.requests_per_minute,
            tokens_per_minute=limiter.tokens_per_minute,
            meter=meter,
        )


def open_line(
    teacher: Teacher, options: TeacherOptions, *, account: str | None = None, cells: tuple[Cell, Cell] | None = None
) -> Line:
    """Return a line to a teacher with its options' limits, kept together with all who ask the same `account`, or for itself.

    `cells` hold the account's rates in this process, where somebody says which part of them is its own (`Limiter.allot`). Needs a
    running event loop.
    """
    limits = options.limits
    if not limits.concurrency and isinstance(teacher, KnowsCapacity):
        limits = limits.model_copy(update={"concurrency": teacher.capacity})
    limiter = shared_limiter(limits, account=account, cells=cells) if account else own_limiter(limits)
    retry = options.retry
    breaker = Breaker(first_wait_s=retry.first_wait_s, max_wait_s=retry.max_wait_s, patience_s=retry.patience_s)
    return Line(teacher=teacher, limiter=limiter, breaker=breaker)
