"""A teacher's limits: requests in flight, requests a minute, tokens a minute.

Rates follow the generic cell rate algorithm (ITU-T I.371): each request moves the earliest time of the next by its share of a
minute. So a limit is used evenly, with bursts of one second at most, and costs two floats however many requests wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tasks.teachers.options import LimitOptions

BURST_S = 1.0
"""How much of its allowance, in seconds, an idle teacher may get at once."""


class Pace:
    """One rate. Amounts are requests or tokens."""

    def __init__(self, per_minute: float) -> None:
        """Allow `per_minute`; 0: anything."""
        self._seconds_each = 60 / per_minute if per_minute else 0.0
        self._next = float("-inf")

    def reserve(self, amount: float, now: float) -> float:
        """Take `amount` and return for how many seconds to wait before using it."""
        if not self._seconds_each:
            return 0.0
        start = max(self._next, now - BURST_S)
        self._next = start + amount * self._seconds_each
        return max(0.0, start - now)

    def settle(self, difference: float) -> None:
        """Correct a reservation: `difference` more (or, negative, less) was used."""
        self._next += difference * self._seconds_each


@dataclass(slots=True)
class Lease:
    """One request's permission."""

    estimate: int
    """Tokens reserved."""
    used: int | None = None
    """Tokens really used; set it once they are known."""


class Limiter:
    """All limits of one teacher, for one event loop."""

    def __init__(self, options: LimitOptions, *, clock: Callable[[], float] | None = None) -> None:
        """Take the limits; `clock` is the loop's by default."""
        self._slots = asyncio.Semaphore(options.concurrency)
        self._requests = Pace(options.requests_per_minute)
        self._tokens = Pace(options.tokens_per_minute)
        self._clock = clock or asyncio.get_running_loop().time
        self._paused_until = float("-inf")

    @asynccontextmanager
    async def lease(self, estimate: int) -> AsyncIterator[Lease]:
        """Wait for permission to send a request of about `estimate` tokens, in and out."""
        async with self._slots:
            now = self._clock()
            wait = max(self._requests.reserve(1, now), self._tokens.reserve(estimate, now))
            if wait > 0:
                await asyncio.sleep(wait)
            while (pause := self._paused_until - self._clock()) > 0:  # noqa: ASYNC110 - a pause may grow meanwhile
                await asyncio.sleep(pause)
            lease = Lease(estimate)
            try:
                yield lease
            finally:
                if lease.used is not None:
                    self._tokens.settle(lease.used - estimate)

    def pause(self, seconds: float) -> None:
        """Send nothing for so long: the server said so."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)
