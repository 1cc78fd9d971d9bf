"""How a run ends early."""

from __future__ import annotations

import asyncio

import pytest

from storage.errors import BudgetSpent, Interrupted
from tasks.stop import Stop


def test_nothing_has_happened():
    """At first it is false, has no reason, and `check` does nothing."""
    stop = Stop()
    assert not stop
    assert stop.reason is None
    stop.check()


def test_first_reason_counts():
    """Once it is set, it is true, and keeps the first reason."""
    stop = Stop()
    first = BudgetSpent("spent")
    stop.set(first)
    stop.set(Interrupted("too late"))
    assert stop
    assert stop.reason is first
    with pytest.raises(BudgetSpent, match="spent"):
        stop.check()


async def test_wait():
    """Whoever waits for it goes on when it is set, and at once when it was."""
    stop = Stop()
    waiting = asyncio.create_task(stop.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    stop.set(Interrupted("now"))
    await waiting
    await stop.wait()


async def test_from_threads():
    """Another thread may set it, and whoever waits in the loop goes on."""
    stop = Stop()
    waiting = asyncio.create_task(stop.wait())
    await asyncio.to_thread(stop.from_threads(), Interrupted("by a thread"))
    await asyncio.wait_for(waiting, 5)
    assert str(stop.reason) == "by a thread"
