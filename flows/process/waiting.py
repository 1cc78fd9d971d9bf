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
    """Return what work returns. Where the run stops first, the work gets `grace_s` to end and is then cancelled: return None."""
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
