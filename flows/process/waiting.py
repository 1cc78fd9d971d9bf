"""Waiting for work of a run that may be told to stop, and doing some beside it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from tasks.stop import Stop

T = TypeVar("T")
GRACE_S = 5.0
"""What is in flight gets so long when a run stops."""


async def with_grace(stop: Stop, work: Coroutine[Any, Any, T], *, grace_s: float = GRACE_S) -> T | None:
    """Await work. Where the run stops, what is in flight gets a moment and is then cancelled: None."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            await asyncio.wait({working}, timeout=grace_s)
            working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            return await working
        return None
    finally:
        working.cancel()
        stopping.cancel()


@contextlib.asynccontextmanager
async def entered(manager: AbstractContextManager[T]) -> AsyncIterator[T]:
    """Enter and leave, in threads, what may take its time for either. It isn't told what ended the block."""
    given = await asyncio.to_thread(manager.__enter__)
    try:
        yield given
    finally:
        await asyncio.to_thread(manager.__exit__, None, None, None)


@contextlib.asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do some work until this is left. What it raised by then is raised on leaving."""
    working = asyncio.create_task(work)
    try:
        yield
    finally:
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
