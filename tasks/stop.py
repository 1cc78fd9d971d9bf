"""How a run ends early: nothing new is asked, what was sent is waited for (after a signal not for long), what came lands."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from storage.errors import Interrupted, StorageError, UserError
from tasks.teachers.protocol import Flight


class Stop:
    """Set once, by a signal, a spent budget, or a teacher that is down."""

    def __init__(self) -> None:
        """Nothing has happened yet."""
        self._event, self._hurry = asyncio.Event(), asyncio.Event()
        self.flying: set[Flight] = set()
        """What is under way to teachers."""
        self.reason: UserError | None = None
        """Why; what the run raises when it has landed."""
        self.later: UserError | None = None
        """Why something is left open while the rest goes on."""
        self._left: set[str] = set()

    def __bool__(self) -> bool:
        return self.reason is not None

    def set(self, reason: UserError) -> None:
        """Stop. The first reason counts; whoever interrupts wants the end soon, whatever the first one was.

        So does a lake that takes no more, or is somebody else's by now: what is waited for couldn't be kept.
        """
        if isinstance(reason, Interrupted | StorageError):
            self.hurry()
        if self.reason is None:
            self.reason = reason
            self._event.set()

    def put_off(self, reason: UserError) -> bool:
        """Go on with the rest, and stop once that is done (`conclude`). Return whether this reason is a new one."""
        said = str(reason)
        if said in self._left:
            return False
        self._left.add(said)
        self.later = reason if self.later is None else type(self.later)(f"{self.later}; {said}")
        return True

    def conclude(self) -> None:
        """Hear that all is done but what was left open, and stop where anything was."""
        if self.later is not None:
            self.set(self.later)

    def from_threads(self) -> Callable[[UserError], None]:
        """Return `set` for threads other than the loop's."""
        loop = asyncio.get_running_loop()

        def later(reason: UserError) -> None:
            loop.call_soon_threadsafe(self.set, reason)

        return later

    def check(self) -> None:
        """Raise the reason, where there is one: for work that no flag ends, such as reading a long file."""
        if self.reason is not None:
            raise self.reason

    def hurry(self) -> None:
        """End within seconds, where it ends: who waits for answers shall wait no longer."""
        self._hurry.set()

    @property
    def hurried(self) -> bool:
        """Whether somebody wants the end within seconds, and waits for no answer."""
        return self._hurry.is_set()

    @property
    def in_flight(self) -> int:
        """Requests that were sent, and that no answer has come to."""
        return sum(flight.sent for flight in self.flying)

    async def wait(self) -> None:
        """Return when it is set."""
        await self._event.wait()

    async def wait_for_haste(self) -> None:
        """Return when it is `hurried`."""
        await self._hurry.wait()

    async def pause(self, seconds: float) -> None:
        """Sleep so long, or until it is set."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()
