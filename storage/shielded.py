"""Work that goes on to its end, whoever is cancelled while waiting for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def uncancelled(work: Coroutine[Any, Any, T] | asyncio.Future[T]) -> T:
    """Return what work on the disk does. Whoever is cancelled meanwhile waits for its end, and hears where it fails."""
    working = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        while not working.done():  # it may be cancelled once more
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({working})
        if (error := working.exception()) is not None:
            raise error from None
        raise
