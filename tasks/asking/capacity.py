"""A teacher's capacity, found by trying: how many requests in flight it serves best, where nobody says.

The window of requests in flight climbs while throughput climbs with it, and steps back where it doesn't: a server that queues
gives the same with more in flight, only later. It falls at once where the server refuses (429, 503, 529) more than now and then.
In between it tries a little more and a little less from time to time, so that it follows a capacity that changes, and keeps no
queue for nothing.

The decrease is multiplicative at most, as in TCP's congestion control (Jacobson 1988). Increases are judged by throughput rather
than by round-trip time alone, since a batching server's latency rises long before its throughput stops to.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

START = 64
"""Requests in flight to begin with."""
EPOCH_S = 0.5
"""A window is judged by what it did for at least so long."""
LEAST = 32
"""Answers by which a window is judged, at least."""
HOLD_S = 4.0
"""Between two trials at first; it doubles up to LONGEST_HOLD_S while trials bring nothing."""
LONGEST_HOLD_S = 30.0
GAIN = 0.15
"""A larger window must bring this share of what it would bring if throughput rose in proportion."""
ROUND_S = 0.25
"""Refusals that come together count as one round of them."""
TOLERATED = 0.05
"""Share of refusals that are no sign of too much: a gateway or a server that restarts refuses some, whatever is in flight."""
RECENT = 200
"""Answers and refusals of which that share is taken; twice the window where that is more."""
LOSS = 0.03
"""A smaller window may cost this share of the throughput, and is better then: its requests wait less."""


class _Trial(enum.Enum):
    NONE = enum.auto()
    MORE = enum.auto()
    LESS = enum.auto()


class Capacity:
    """Decides the window. Times are seconds of the clock."""

    def __init__(self, clock: Callable[[], float], *, start: int = START, ceiling: int) -> None:
        """Begin with `start` requests in flight."""
        self._clock = clock
        self._ceiling = ceiling
        self._window = float(start)
        self._base = float(start)
        self._best = 0.0
        self._step = 1.0
        self._trial = _Trial.NONE
        self._last = _Trial.LESS
        self._hold_s = 0.0
        self._changed_at = self._held_since = clock()
        self._round_at = float("-inf")
        self._settled_at: float | None = None
        self._work = self._latency = 0.0
        self._done = 0
        self._full = True
        self._floor = self._before = 0.0
        self._refusals = 0.0

    @property
    def window(self) -> int:
        """Requests that may be in flight."""
        return max(1, int(self._window))

    def succeeded(self, work: float, sent_at: float, *, full: bool) -> None:
        """Hear of an answer: the work it was (tokens), when its request was sent, and whether the window was in use."""
        now = self._clock()
        self._refusals -= self._refusals / max(RECENT, 2 * self.window)
        if sent_at < self._changed_at:
            return  # it was sent under another window
        if self._settled_at is None:
            self._settled_at = now  # from here on, the server's queue is this window's
            return
        if sent_at < self._settled_at:
            return
        self._work += work
        self._latency += now - sent_at
        self._done += 1
        self._full = self._full and full
        if self._done >= max(LEAST, self.window) and now - self._settled_at >= EPOCH_S:
            # Little's law. Counting answers by the clock would do as well, but for those that come in bursts.
            self._judge(self._window * self._work / max(self._latency, 1e-9), now)

    def refused(self, sent_at: float) -> float:
        """Hear that the server was asked for too much: each refusal takes its place away, down to half of the window a round.

        Not so where refusals are few: see TOLERATED.

        Return for how many seconds to ask for nothing more: where a round has taken half, until its end.
        """
        now = self._clock()
        self._refusals += (1 - self._refusals) / max(RECENT, 2 * self.window)
        if self._refusals <= TOLERATED:
            return 0.0
        if sent_at > self._round_at and now - self._round_at >= ROUND_S:
            if self._trial is _Trial.MORE:
                self._back_off()
            else:
                self._hold_s = max(self._hold_s, HOLD_S)
            # What was served well before is tried again soon, unless it was that trial which is refused.
            self._before = 0.0 if self._trial is _Trial.MORE else max(self._before, self._window)
            self._round_at = now
            self._floor = self._base if self._trial is _Trial.MORE else self._window / 2
            self._step = 0.05
        self._base = max(1.0, self._floor, self._window - 1)
        self._best = 0.0
        self._held_since = now
        self._trial = _Trial.NONE
        self._set(self._base, now)
        return 0.0 if self._window > max(1.0, self._floor) else ROUND_S - (now - self._round_at)

    def _judge(self, throughput: float, now: float) -> None:
        if not self._full:
            # There was too little to ask: that says nothing of the teacher.
            self._reset(now)
            return
        if self._trial is _Trial.MORE:
            wanted = 1 + GAIN * (self._window / self._base - 1)
            if throughput >= self._best * wanted:
                self._accept(throughput, now)
                self._step = min(1.0, self._step * 2)
                self._hold_s = 0.0
            else:
                self._reject(now)
                self._step = 0.1
        elif self._trial is _Trial.LESS:
            if throughput >= self._best * (1 - LOSS):
                self._accept(max(throughput, self._best * (1 - LOSS)), now)
            else:
                self._reject(now)
        else:
            self._best = throughput if not self._best else 0.5 * self._best + 0.5 * throughput
        if self._trial is _Trial.NONE and now - self._held_since >= self._hold_s:
            self._try(now)
        else:
            self._reset(now)

    def _try(self, now: float) -> None:
        """Try more and less in turn; after a success, the same again."""
        more = self._base + max(1.0, self._base * self._step, (self._before - self._base) / 2)
        upward = self._last is _Trial.LESS or self._hold_s == 0.0
        if upward and self._base < self._ceiling:
            self._trial = self._last = _Trial.MORE
            self._set(min(more, self._ceiling), now)
        elif self._base > 1:
            self._trial = self._last = _Trial.LESS
            self._set(max(1.0, min(self._base * 0.85, self._base - 1)), now)
        else:
            self._last = _Trial.LESS
            self._held_since = now
            self._reset(now)

    def _accept(self, throughput: float, now: float) -> None:
        self._base, self._best = self._window, throughput
        self._held_since = now
        # What worked is tried again at once.
        self._held_since -= self._hold_s
        self._last = _Trial.LESS if self._trial is _Trial.MORE else _Trial.MORE
        self._trial = _Trial.NONE

    def _reject(self, now: float) -> None:
        self._back_off()
        self._trial = _Trial.NONE
        self._held_since = now
        self._set(self._base, now)

    def _back_off(self) -> None:
        self._hold_s = min(LONGEST_HOLD_S, max(HOLD_S, self._hold_s * 2))

    def _set(self, window: float, now: float) -> None:
        self._window = window
        self._changed_at = now
        self._settled_at = None
        self._work, self._latency, self._done, self._full = 0.0, 0.0, 0, True

    def _reset(self, now: float) -> None:
        self._settled_at = now
        self._work, self._latency, self._done, self._full = 0.0, 0.0, 0, True
