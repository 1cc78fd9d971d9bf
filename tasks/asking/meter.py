"""What a line to a teacher has done so far, counted as it goes: a few additions a request, read by whoever watches."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from storage.errors import BadResponse, Overloaded, RateLimited, RequestRejected, TimedOut, Unavailable, Unreachable

BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""Upper bounds of the latency histogram, in seconds; what took longer has a bucket of its own."""
_ENDS: tuple[tuple[type[Exception], str], ...] = (
    (RateLimited, "refused"),
    (Overloaded, "overloaded"),
    (Unreachable, "unreachable"),
    (TimedOut, "timed_out"),
    (Unavailable, "unavailable"),
    (RequestRejected, "rejected"),
    (BadResponse, "malformed"),
)
ANSWERED, OTHER = "answered", "other"
OUTCOMES = (ANSWERED, *(name for _, name in _ENDS), OTHER)
"""How a request may end: with a response, or with one of the errors of `storage.errors`."""
STANDINGS = ("well", "paused", "failing", "closed")
"""How a line stands, from good to bad."""
REFUSALS = ("refused", "overloaded")
"""Of these, the server's way to say that it was asked for too much."""


@dataclass(slots=True)
class Meter:
    """One line's counters. They only grow, but for what is in flight."""

    sent: int = 0
    """Requests."""
    again: int = 0
    """Of these, such as were sent before."""
    in_flight: int = 0
    """Requests that were sent and have not ended."""
    tokens: int = 0
    """Billed, in and out."""
    ended: Counter[str] = field(default_factory=Counter)
    """Requests by how they ended: one of OUTCOMES. One that was cancelled isn't among them."""
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    """Answered requests by how long they took, each in the first of BUCKETS_S that holds it, or in the last."""
    seconds: float = 0.0
    """That answered requests took in all."""

    @property
    def refused(self) -> int:
        """Return how many requests the server had no room for."""
        return sum(self.ended[name] for name in REFUSALS)

    def answered(self, seconds: float) -> None:
        """Count a response, and how long it took."""
        self.ended[ANSWERED] += 1
        self.buckets[bisect_left(BUCKETS_S, seconds)] += 1
        self.seconds += seconds

    def failed(self, error: Exception) -> None:
        """Count a request that ended in an error."""
        self.ended[next((name for kind, name in _ENDS if isinstance(error, kind)), OTHER)] += 1

    def add(self, other: Meter) -> None:
        """Count what another process counted of the line."""
        self.sent += other.sent
        self.again += other.again
        self.in_flight += other.in_flight
        self.tokens += other.tokens
        self.ended.update(other.ended)
        self.buckets = [mine + theirs for mine, theirs in zip(self.buckets, other.buckets, strict=True)]
        self.seconds += other.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class LineState:
    """How one line to a teacher stands at this moment."""

    teacher: str
    """Its name in the spec."""
    line: int
    """The replica's number, from 0."""
    standing: str
    """well; paused: the server asked for it; failing: the circuit breaker is open; closed: it won't be asked again."""
    in_flight: int
    """Requests that were sent and have not ended."""
    window: int
    """Requests that may be in flight now."""
    waiting: int
    """Requests that wait for a place, a rate or the circuit breaker."""
    requests_per_minute: float
    """The rate that holds now; 0: none is known."""
    tokens_per_minute: float
    """The rate that holds now, in and out; 0: none is known."""
    meter: Meter
    """What it has done so far."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        meter = {each.name: getattr(self.meter, each.name) for each in fields(Meter)}
        return {each.name: getattr(self, each.name) for each in fields(self)} | {
            "meter": meter | {"ended": dict(self.meter.ended)}
        }

    @classmethod
    def of(cls, said: dict[str, Any]) -> LineState:
        """Return what `as_dict` made of one."""
        meter = said["meter"]
        return cls(**{**said, "meter": Meter(**{**meter, "ended": Counter(meter["ended"])})})

    def over(self) -> LineState:
        """Return how it stands once its process has ended: what it counted remains."""
        return replace(self, standing="well", in_flight=0, window=0, waiting=0, meter=replace(self.meter, in_flight=0))


def together(own: Sequence[LineState], others: Iterable[Sequence[LineState]]) -> list[LineState]:
    """Return how lines stand that several processes ask by, this one and others: the worst of them says how well.

    What is in flight and waits is added up. Of rates each process knows the whole; the places are the others' shares, unless none
    of them has any, since this process's own limits are for what it asks by itself.
    """
    found = []
    shares = [{(state.teacher, state.line): state for state in states} for states in others]
    for mine in own:
        parts = [each[mine.teacher, mine.line] for each in shares if (mine.teacher, mine.line) in each]
        meter = Meter()
        for each in (mine, *parts):
            meter.add(each.meter)
        found.append(
            LineState(
                teacher=mine.teacher,
                line=mine.line,
                standing=max((each.standing for each in (mine, *parts)), key=STANDINGS.index),
                in_flight=mine.in_flight + sum(each.in_flight for each in parts),
                window=sum(each.window for each in parts) or mine.window,
                waiting=mine.waiting + sum(each.waiting for each in parts),
                requests_per_minute=max(each.requests_per_minute for each in (mine, *parts)),
                tokens_per_minute=max(each.tokens_per_minute for each in (mine, *parts)),
                meter=meter,
            )
        )
    return found
