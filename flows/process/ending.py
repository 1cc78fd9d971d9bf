"""How a flow ends that the command line launched, whatever becomes of Prefect's server.

A run does its work by itself: the server is told of it, and isn't asked. But the flow begins and ends with calls to it, and a
server that hangs would hold a build up whose data has long landed. So what the run came to is kept here as soon as it is known,
and that counts; the server gets some time to hear of it, and is then left alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from flows.process.signals import handled
from storage.errors import Interrupted, SetupError

CANCEL_S = 0.5
"""Between two cancellations of Prefect's engine. It tells the server of each, and may wait for the server again."""
CANCELS = 20
"""Of the engine, at most."""
BEGIN_S = 5.0
"""A run that is interrupted before it begins still gets so long to begin: then it is Cancelled for the server too."""
HASTE_S = 15.0
"""Prefect gets so long at most to hear of the end of a run that somebody interrupted, who waits for that."""


class Outcome:
    """What a run came to."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self.begun = asyncio.Event()
        """Set when the run's own work begins."""
        self.known = asyncio.Event()
        """Set when it has ended."""
        self.error: Exception | None = None
        """What ended it early."""
        self._found: dict[str, Any] = {}

    def found(self, found: dict[str, Any]) -> None:
        """Note what a run found."""
        self._found = found
        self.known.set()

    def failed(self, error: Exception) -> None:
        """Note what ended it early."""
        self.error = error
        self.known.set()

    @contextlib.contextmanager
    def noting(self, then: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Note what ends a run early as soon as it does, and do something `then`, however it ended."""
        try:
            yield
        except Exception as error:
            self.failed(error)
            raise
        finally:
            then()

    def result(self) -> dict[str, Any]:
        """Return what it found, or raise what ended it."""
        if self.error is not None:
            raise self.error
        return self._found


async def outlasting(
    flow: Coroutine[Any, Any, dict[str, Any]],
    outcome: Outcome,
    *,
    begin_s: float | None,
    end_s: float,
    pending: list[int],
    leave: Callable[[], None],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Run a flow that notes its outcome, and return what it found, or raise what ended it.

    Once the outcome is known, Prefect's server gets `end_s` seconds to hear of it, or until a signal; `say` is told where it
    didn't. `begin_s`: raise SetupError where the flow hasn't begun by then; None: wait for it. `pending` has the signals that
    came before the flow could hear them, and gets those that come now: raise Interrupted where it doesn't begin within BEGIN_S
    either. `leave` gives the server up.
    """
    impatient = asyncio.Event()

    def interrupt(number: int) -> None:
        impatient.set()
        pending.append(number)
        if len(pending) > 1 and not outcome.known.is_set():
            raise KeyboardInterrupt

    with handled(interrupt):
        if pending:
            impatient.set()
        running = asyncio.create_task(flow)
        await _first(running, outcome.begun, impatient, within_s=begin_s)
        if impatient.is_set():
            await _first(running, outcome.begun, within_s=BEGIN_S)
        if not running.done() and not outcome.begun.is_set():
            leave()
            await _cancelled(running)
            if pending:
                raise Interrupted(f"interrupted by {signal.Signals(pending[0]).name}; nothing was asked yet")
            raise SetupError(f"Prefect's server didn't answer within {begin_s:.0f} s; nothing was asked yet")
        impatient.clear()  # the run itself hears of what is pending
        await _first(running, outcome.known)
        if not outcome.known.is_set():
            return await running
        hasty = isinstance(outcome.error, Interrupted)
        await _first(running, impatient, within_s=min(end_s, HASTE_S) if hasty else end_s)
        if not running.done():
            leave()
        error = await _cancelled(running)
        if error is not None and type(error) is not type(outcome.error):
            say("Prefect's server didn't hear how the run ended: that is lost there, and nowhere else")
        return outcome.result()


async def _first(running: asyncio.Task[Any], *events: asyncio.Event, within_s: float | None = None) -> None:
    """Wait for a task or one of some events."""
    waiting = {asyncio.create_task(event.wait()) for event in events}
    try:
        await asyncio.wait({running, *waiting}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()


async def _cancelled(running: asyncio.Task[Any]) -> BaseException | None:
    """Have a task end, and return what it raised: who catches a cancellation to tell the server of it is cancelled again."""
    for _ in range(CANCELS):
        if running.done():
            break
        running.cancel()
        await asyncio.wait({running}, timeout=CANCEL_S)
    return running.exception() if running.done() and not running.cancelled() else asyncio.CancelledError()
