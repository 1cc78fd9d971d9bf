"""A teacher's limits: requests in flight, requests and tokens a minute, and a day."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tasks.asking.capacity import Capacity
from tasks.asking.pace import Cell, Pace, open_cells
from tasks.asking.quota import Quota
from tasks.teachers.headers import Allowance, Window
from tasks.teachers.options import LimitOptions

MINUTE_S = 66.0
"""A server's window that is full again by then is one of a minute; a longer one is spread over what is left of it."""
HOUR_S = 3_600.0
"""A window that takes longer is an allowance for a day: it is no pace, and the server says when it is used."""

SLOWEST = 1_000
"""However little a server says is left, a minute gets this part of its limit: it will say when it is too much."""
FIRST_PER_MINUTE = 1_920.0
"""Requests a minute until the first answer, where no rate is given: only that tells what the server says of its limits."""
LOOK_S = 0.25
"""Whether a rate has room is looked at anew so often at least: a usage that another process settles brings it nearer."""


@dataclass(slots=True)
class Lease:
    """One request's permission."""

    reserved: int
    """Tokens."""
    counted: bool
    """Whether anybody counted tokens when it was given."""
    sent_at: float
    """When it was given, on the limiter's clock."""
    full: bool
    """Whether it took the last place, or others waited for one: the limit on requests in flight was felt."""
    sent: bool = False
    """Whether the request was sent; one that was not gives all back."""
    used: int | None = None
    """Tokens really used; set it once they are known."""


class _Gate:
    """Lets so many through at a time, first come, first served; how many may change at any time."""

    def __init__(self) -> None:
        self.inside = 0
        self._waiting: deque[asyncio.Future[bool]] = deque()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def enter(self, limit: Callable[[], int]) -> bool:
        """Return whether there is a place: not for whoever was sent away."""
        if self.inside < limit() and not self._waiting:
            self.inside += 1
            return True
        place: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                if place.result():
                    self.leave(limit)
            else:
                with contextlib.suppress(ValueError):  # passed over already
                    self._waiting.remove(place)
            raise

    def leave(self, limit: Callable[[], int]) -> None:
        self.inside -= 1
        self.admit(limit)

    def admit(self, limit: Callable[[], int]) -> None:
        while self._waiting and self.inside < limit():
            place = self._waiting.popleft()
            if not place.done():
                self.inside += 1
                place.set_result(True)

    def dismiss(self) -> None:
        """Send everybody away who waits."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(False)


class Place:
    """A place among the requests in flight, as a context; `contextlib` would make it cost twice as much."""

    __slots__ = ("_entered", "_gate", "_kept", "_limit")

    def __init__(self, gate: _Gate, limit: Callable[[], int]) -> None:
        """Wait at a gate."""
        self._gate, self._limit = gate, limit
        self._entered = self._kept = False

    async def __aenter__(self) -> Self | None:
        self._entered = await self._gate.enter(self._limit)
        return self if self._entered else None

    async def __aexit__(self, *exc: object) -> None:
        if not self._kept:
            self.leave()

    def keep(self) -> None:
        """Have it until `leave` is called, and not only to the end of the context."""
        self._kept = True

    def leave(self) -> None:
        """Make room for the next request."""
        if self._entered:
            self._entered = False
            self._gate.leave(self._limit)


class Limiter:
    """All limits of one line to a teacher, for one event loop."""

    def __init__(
        self,
        options: LimitOptions,
        *,
        cells: tuple[Cell, Cell] | None = None,
        quota: Quota | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """Take the limits. `cells` and `quota` may be shared with other processes; `clock` is the loop's by default."""
        requests, tokens = cells or (None, None)
        self._clock = clock or asyncio.get_running_loop().time
        self._requests = Pace(options.requests_per_minute, requests)
        self._tokens = Pace(options.tokens_per_minute, tokens)
        self._first = None if options.requests_per_minute else Pace(FIRST_PER_MINUTE)
        self._quota = quota
        self._fixed = options.concurrency
        self._capacity = None if options.concurrency else Capacity(self._clock, ceiling=options.most)
        self._gate = _Gate()
        self._looking = asyncio.Lock()
        self._settled = asyncio.Event()
        self._paused_until = float("-inf")
        self._unsettled = 0
        """Requests under way, which may use fewer tokens than are reserved for them."""

    @property
    def window(self) -> int:
        """Requests that may be in flight now."""
        return self._capacity.window if self._capacity else self._fixed

    @property
    def inside(self) -> int:
        """Requests that have a place: in flight, about to be sent, or answered with what isn't on disk yet."""
        return self._gate.inside

    @property
    def waiting(self) -> int:
        """Requests that wait for a place."""
        return self._gate.waiting

    @property
    def requests_per_minute(self) -> float:
        """The rate that holds now; 0: none is known."""
        return self._requests.per_minute

    @property
    def tokens_per_minute(self) -> float:
        """The rate that holds now; 0: none is known."""
        return self._tokens.per_minute

    @property
    def load(self) -> float:
        """Requests in flight and waiting, as a share of the window."""
        return (self._gate.inside + self._gate.waiting) / max(1, self.window)

    def allot(self, *, part: float, concurrency: int) -> None:
        """Keep to a part of every rate and, where the requests in flight are limited, to so many: others have the rest."""
        self._requests.part = self._tokens.part = part
        if self._capacity is None:
            self._fixed = concurrency
        self._gate.admit(self._window)
        self._settled.set()

    @property
    def paused(self) -> bool:
        """Whether the server wants nothing just now."""
        return self._pause_s() > 0

    def place(self) -> Place:
        """Wait until there is room for one more request in flight. Give None where `dismiss` was called meanwhile."""
        return Place(self._gate, self._window)

    def dismiss(self) -> None:
        """Send everybody away who waits for a place."""
        self._gate.dismiss()

    @contextlib.asynccontextmanager
    async def lease(self, estimate: Callable[[], int], leave: Callable[[], bool] = lambda: False) -> AsyncIterator[Lease | None]:
        """Wait until a request of about `estimate` tokens, in and out, may be sent by one who has a place.

        The estimate is asked for when the request's turn comes: whoever waits behind others can be told better by then. Give
        None where it had better `leave` than wait on. Raise QuotaSpent where the day's is spent.
        """
        taken = await self._turn(estimate, leave)
        if taken is None:
            yield None
            return
        reserved, counted, day = taken
        full = bool(self._gate.waiting) or self._gate.inside >= self.window
        lease = Lease(reserved, counted, self._clock(), full)
        self._unsettled += 1
        try:
            yield lease
        finally:
            self._unsettled -= 1
            if not lease.sent:
                self._requests.settle(-1, self._clock())
            used = lease.used if lease.sent else 0
            if used is not None and counted:
                # What a first guess held back for long is gone: a server remembers unused allowance for a second or so.
                held = min(reserved, estimate()) if used else reserved
                self._tokens.settle(used - held, self._clock())
                self._settled.set()
                if self._quota is not None:
                    self._quota.settle(used - reserved, requests=0 if lease.sent else -1, since=day)

    async def _turn(self, estimate: Callable[[], int], leave: Callable[[], bool]) -> tuple[int, bool, int | None] | None:
        """Wait until the rates have room and the server wants no pause, and return the tokens reserved; None: it leaves.

        With them comes whether anybody counts them, and to which day.
        One request at a time looks. So nobody holds a place in the future that usages of the present may bring nearer, and after
        a pause the rates let one after the other go.
        """
        reserved, counted = 0, False
        day: int | None = None

        def take_tokens() -> float:
            nonlocal reserved, counted, day
            counted = self._quota is not None or self._tokens.per_minute > 0
            if not counted:
                return 0.0
            reserved = estimate()
            wait = self._tokens.take(reserved, self._clock())
            if wait or self._quota is None:
                return wait
            left = False
            try:
                left = self._quota.take(reserved, settling=self._unsettled > 0)
                day = self._quota.day
            finally:
                if not left:
                    self._tokens.settle(-reserved, self._clock())
            return 0.0 if left else LOOK_S

        async with self._looking:
            if self._quota is not None:
                self._quota.check(settling=self._unsettled > 0)
            if not await self._room(lambda: (self._first or self._requests).take(1, self._clock()), leave):
                return None
            taken = False
            try:
                taken = await self._room(take_tokens, leave)
            finally:
                if not taken:
                    self._requests.settle(-1, self._clock())
            return (reserved, counted, day) if taken else None

    async def _room(self, take: Callable[[], float], leave: Callable[[], bool]) -> bool:
        """Take where that can be, and return whether it was: not where it had better leave."""
        while (wait := self._pause_s() or take()) > 0:
            if leave():
                return False
            await self._look_again(wait)
        return True

    async def _look_again(self, seconds: float) -> None:
        """Wait so long, or until something is settled or another process may have settled something."""
        self._settled.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, LOOK_S)):
                await self._settled.wait()

    def _pause_s(self) -> float:
        return max(0.0, self._paused_until - self._clock())

    def answered(self, lease: Lease, allowance: Allowance | None) -> None:
        """Hear of a response, and of what its headers say."""
        self.heard()
        if self._capacity is not None:
            self._capacity.succeeded(max(1, lease.used or 1), lease.sent_at, full=lease.full)
            self._gate.admit(self._window)
        if allowance is not None:
            _follow(self._requests, allowance.requests)
            tokens = allowance.tokens
            if tokens is not None and tokens.limit >= (lease.used or 0):  # less than what was just let through is no limit
                _follow(self._tokens, tokens)

    def heard(self) -> None:
        """Hear that the server serves: whatever it says of its limits is known by now."""
        if self._first is not None:
            self._first = None
            self._settled.set()

    def refused(self, lease: Lease) -> None:
        """Hear that the server had too much to do."""
        if self._capacity is not None:
            self.pause(self._capacity.refused(lease.sent_at))

    def pause(self, seconds: float) -> None:
        """Send nothing for so long: the server said so."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)

    def _window(self) -> int:
        return self.window


def own_limiter(limits: LimitOptions) -> Limiter:
    """Return a limiter that nobody else knows of, and that leaves no trace."""
    return Limiter(limits, quota=Quota(None, limits) if limits.requests_per_day or limits.tokens_per_day else None)


def shared_limiter(limits: LimitOptions, *, account: str, cells: tuple[Cell, Cell] | None = None) -> Limiter:
    """Return a limiter that keeps rates and daily caps together with all processes of this machine that ask one account.

    With `cells` of this process, daily caps alone: somebody gives it a part of the rates (`Limiter.allot`).

    Raise StorageError where its files can't be written.
    """
    quota = None
    folder = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "stillhouse" / "limits"
    if cells is None and (limits.requests_per_minute or limits.tokens_per_minute):
        first, second = open_cells(folder, account, 2)
        cells = (first, second)
    if limits.requests_per_day or limits.tokens_per_day:
        quota = Quota(folder / f"{account}-day", limits)
    return Limiter(limits, cells=cells, quota=quota)


def _follow(pace: Pace, window: Window | None) -> None:
    if window is None:
        return
    if window.reset_s <= MINUTE_S:
        pace.follow(window.limit)
    elif window.reset_s <= HOUR_S and window.remaining > 0:
        pace.follow(max(window.remaining / window.reset_s * 60, window.limit / SLOWEST))
