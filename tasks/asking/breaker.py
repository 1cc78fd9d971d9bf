"""A circuit breaker: a teacher that fails for everybody is asked by one request at a time, ever more rarely, until it answers.

closed ──FAILURES in a row──▶ open ──a probe is answered──▶ closed
│
└──no answer for `patience_s`──▶ down
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Hashable

FAILURES = 5
"""In a row: by then it isn't one request's fault. Of a server that has answered, and was at work on what it was asked, on so many
prompts, since it may be well with all but a few."""
EXCUSED_S = 900.0
"""Waits that a server asks for don't count against it, up to so many seconds in a row."""


class Breaker:
    """One line's, for one event loop. Times are seconds of its clock."""

    def __init__(
        self, *, first_wait_s: float, max_wait_s: float, patience_s: float, clock: Callable[[], float] | None = None
    ) -> None:
        """Begin closed. Probes wait `first_wait_s`, twice as long after each that fails, `max_wait_s` at most."""
        self._first_wait_s, self._max_wait_s, self._patience_s = first_wait_s, max_wait_s, patience_s
        self._clock = clock or asyncio.get_running_loop().time
        self._failures = 0
        self._failing: set[Hashable] = set()
        """What was asked in vain since it answered."""
        self._failing_since = 0.0
        self._wait_s = first_wait_s
        self._probe_at = 0.0
        self._probing_since: float | None = None
        self._excused_until = self._excused_s = 0.0
        self._changed = asyncio.Event()
        self.probes = 0
        """Probes in a row that failed."""
        self.answers = 0
        """Requests that it has answered."""
        self.doubtful = False
        """Whether what failed last may have been at fault itself."""
        self.answered_before = False
        """Whether it answered an earlier run."""

    @property
    def open(self) -> bool:
        """Whether requests have to wait."""
        known = self.answers or self.answered_before
        return self._failures >= FAILURES and (not known or len(self._failing) >= FAILURES)

    @property
    def failing_s(self) -> float:
        """Seconds since the first failure that no answer followed, less what the server asked for; 0 after an answer."""
        return max(0.0, self._clock() - self._failing_since) if self._failures else 0.0

    @property
    def out_of_patience(self) -> bool:
        """Whether it has been open for longer than anybody should wait."""
        return self.open and self.failing_s >= self._patience_s

    @property
    def wants_probe(self) -> bool:
        """Whether it is open, and time to try whether it answers."""
        return self.open and self._clock() >= max(self._probe_at, self._next_probe_at)

    @property
    def _next_probe_at(self) -> float:
        # A probe that hangs must not keep others from finding that the server is well again.
        return float("-inf") if self._probing_since is None else self._probing_since + self._max_wait_s

    async def turn(self, leave: Callable[[], bool]) -> bool:
        """Return once a request may be sent, and whether it is a probe. Return without that where it had better `leave`."""
        while self.open:
            if self.wants_probe:
                self._probing_since = self._clock()
                return True
            if leave():
                break
            # A second at most, so that a reason to leave is noticed.
            wait = min(1.0, max(self._probe_at, self._next_probe_at) - self._clock())
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue
        return False

    def answered(self) -> None:
        """Hear of an answer: the teacher is there."""
        self.answers += 1
        self._failures = self.probes = 0
        self._failing.clear()
        self._wait_s = self._first_wait_s
        self._probing_since = None
        self._notify()

    def failed(self, *, probe: bool = False, asked_s: float = 0.0, asked: Hashable | None = None, at_fault: bool = False) -> None:
        """Hear of a request that the teacher could not answer, and for how long it asked to wait.

        `asked`: what was asked, where that may be at fault. `at_fault`: it has failed before where others were answered, so
        that it says nothing of a teacher that has answered.
        """
        now = self._clock()
        was_open = self.open
        if not self._failures:
            self._failing_since = self._excused_until = now
            self._excused_s = 0.0
        self._failures += 1
        self.doubtful = asked is not None
        if len(self._failing) < FAILURES and not at_fault:
            self._failing.add(object() if asked is None else asked)
        self.probes += probe
        if now + asked_s > self._excused_until:  # many may be told of one and the same wait
            more = min(now + asked_s - max(now, self._excused_until), EXCUSED_S - self._excused_s)
            self._failing_since += more
            self._excused_s += more
            self._excused_until = now + asked_s
        if probe or (self.open and not was_open):
            # Jitter, so that several processes don't knock at the same moment.
            self._probe_at = now + max(asked_s, random.uniform(0.5, 1.0) * self._wait_s)  # noqa: S311 - no secret
            self._wait_s = min(self._max_wait_s, 2 * self._wait_s)
            if probe:
                self._probing_since = None
            self._notify()

    def released(self) -> None:
        """Hear that a probe came to nothing: it was cancelled, or the run stops."""
        self._probing_since = None
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
