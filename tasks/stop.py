"""How a run ends early: nothing new is asked, what is in flight gets a moment, what was paid for lands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from storage.errors import UserError


class Stop:
    """Set once, by a signal, a spent budget, or a teacher that is down."""

    def __init__(self) -> None:
        """Nothing has happened yet."""
        self._event = asyncio.Event()
        self.reason: UserError | None = None
        """Why; what the run raises when it has landed."""

    def __bool__(self) -> bool:
        return self.reason is not None

    def set(self, reason: UserError) -> None:
        """Stop. The first reason counts."""
        if self.reason is None:
            self.reason = reason
            self._event.set()

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

    async def wait(self) -> None:
        """Return when it is set."""
        await self._event.wait()
