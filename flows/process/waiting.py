"""Waiting for work of a run that may be told to stop, and doing some beside it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from storage.wording import counted
from tasks.stop import Stop

logger = logging.getLogger(__name__)
T = TypeVar("T")
GRACE_S = 5.0
"""Where a run stops, what is under way gets so long, once what was sent to teachers is answered, or by a signal at once."""
LOOK_S = 0.2
"""How often it is looked whether requests are in flight."""


async def with_grace(
    stop: Stop, work: Coroutine[Any, Any, T], *, grace_s: float = GRACE_S, in_flight: Callable[[], int] | None = None
) -> T | None:
    """Return what work returns. Where the run stops first, the work gets `grace_s` to end and is then cancelled: return None.

    Before that, what was sent is waited for as long as its own time limit lets it be, since it is paid for; not where somebody
    interrupts. `in_flight` says how many such requests there are, where the stop itself doesn't know.
    """
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        flying = in_flight or (lambda: stop.in_flight)
        while not working.done():
            await _answered(stop, working, flying)
            await asyncio.wait({working}, timeout=grace_s)
            if stop.hurried or not flying():  # who says so may have been late
                working.cancel()
                break
        with contextlib.suppress(asyncio.CancelledError):
            return await working
        return None
    finally:
        working.cancel()
        stopping.cancel()


async def _answered(stop: Stop, working: asyncio.Task[Any], in_flight: Callable[[], int]) -> None:
    """Wait until nothing is in flight, or somebody interrupts."""
    hurrying = asyncio.create_task(stop.wait_for_haste())
    told = False
    try:
        while not working.done() and not stop.hurried and (flying := in_flight()):
            if not told:
                logger.warning("waiting for %s in flight (Ctrl-C ends that)", counted(flying, "request"))
                told = True
            await asyncio.wait({working, hurrying}, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        hurrying.cancel()


@contextlib.asynccontextmanager
async def entered(manager: AbstractContextManager[T]) -> AsyncIterator[T]:
    """Enter and leave a context manager in threads, since either may block. It isn't told of an error that ends the block."""
    given = await asyncio.to_thread(manager.__enter__)
    try:
        yield given
    finally:
        await asyncio.to_thread(manager.__exit__, None, None, None)


@contextlib.asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do some work beside the block, and cancel it where the block ends. An error that had ended it before is raised then."""
    working = asyncio.create_task(work)
    try:
        yield
    finally:
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
