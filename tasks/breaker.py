"""A circuit breaker: a teacher that fails for everybody is asked by one request at a time, ever more rarely, until it answers.

closed ──FAILURES in a row──▶ open ──a probe is answered──▶ closed
│
└──no answer for `patience_s`──▶ down
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

FAILURES = 5
"""In a row, by whichever requests: by then it isn't one request's fault."""


class Breaker:
    """One line's, for one event loop. Times are seconds of its clock."""

    def __init__(
        self, *, first_wait_s: float, max_wait_s: float, patience_s: float, clock: Callable[[], float] | None = None
    ) -> None:
        """Begin closed. Probes wait `first_wait_s`, twice as long after each that fails, `max_wait_s` at most."""
        self._first_wait_s, self._max_wait_s, self._patience_s = first_wait_s, max_wait_s, patience_s
        self._clock = clock or asyncio.get_running_loop().time
        self._failures = 0
        self._failing_since = 0.0
        self._wait_s = first_wait_s
        self._probe_at = 0.0
        self._probing = False
        self._changed = asyncio.Event()
        self.probes = 0
        """Probes in a row that failed."""
        self.ever_answered = False
        """Whether it has answered at all."""

    @property
    def open(self) -> bool:
        """Whether requests have to wait."""
        return self._failures >= FAILURES

    @property
    def failing_s(self) -> float:
        """Seconds since the first failure that no answer followed; 0 where the last request was answered."""
        return self._clock() - self._failing_since if self._failures else 0.0

    @property
    def out_of_patience(self) -> bool:
        """Whether it has been open for longer than anybody should wait."""
        return self.open and self.failing_s >= self._patience_s

    @property
    def wants_probe(self) -> bool:
        """Whether it is open, and time to try whether it answers."""
        return self.open and not self._probing and self._clock() >= self._probe_at

    async def turn(self, leave: Callable[[], bool]) -> bool:
        """Return once a request may be sent, and whether it is a probe. Return without that where it had better `leave`."""
        while self.open:
            if self.wants_probe:
                self._probing = True
                return True
            if leave():
                break
            # A second at most, so that a reason to leave is noticed.
            wait = 1.0 if self._probing else min(1.0, self._probe_at - self._clock())
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue
        return False

    def answered(self) -> None:
        """Hear of an answer: the teacher is there."""
        self.ever_answered = True
        self._failures = self.probes = 0
        self._wait_s = self._first_wait_s
        self._probing = False
        self._notify()

    def failed(self, *, probe: bool = False) -> None:
        """Hear of a request that the teacher could not answer."""
        if not self._failures:
            self._failing_since = self._clock()
        self._failures += 1
        self.probes += probe
        if probe or self._failures == FAILURES:
            # Jitter, so that several processes don't knock at the same moment.
            self._probe_at = self._clock() + random.uniform(0.5, 1.0) * self._wait_s  # noqa: S311 - no secret
            self._wait_s = min(self._max_wait_s, 2 * self._wait_s)
            self._probing = self._probing and not probe
            self._notify()

    def released(self) -> None:
        """Hear that a probe came to nothing: it was cancelled, or the run stops."""
        self._probing = False
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
