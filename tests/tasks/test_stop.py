"""How a run ends early."""

from __future__ import annotations

import asyncio

import pytest

from storage.errors import BudgetSpent, Interrupted, LeaseLost, UserError
from tasks.stop import Stop
from tests.fakes import in_virtual_time


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


@pytest.mark.parametrize(
    ("first", "hurried"), [(BudgetSpent("spent"), False), (Interrupted("now"), True), (LeaseLost("somebody else has it"), True)]
)
def test_haste(first: UserError, hurried: bool):
    """Who interrupts wants the end soon, whatever the reason was by then."""
    stop = Stop()
    stop.set(first)
    assert stop.hurried == hurried
    stop.set(Interrupted("again"))
    assert stop.hurried
    assert stop.reason is first


def test_pause():
    """A pause is as long as it is to be, and ends where the run stops."""

    async def main() -> list[float]:
        stop, loop, ended = Stop(), asyncio.get_running_loop(), list[float]()
        for seconds in (5.0, 0.0, 100.0, 100.0):
            loop.call_later(20, stop.set, BudgetSpent("spent"))
            await stop.pause(seconds)
            ended.append(loop.time())
        return ended

    assert in_virtual_time(main()) == [5.0, 5.0, 20.0, 20.0]


async def test_from_threads():
    """Another thread may set it, and whoever waits in the loop goes on."""
    stop = Stop()
    waiting = asyncio.create_task(stop.wait())
    await asyncio.to_thread(stop.from_threads(), Interrupted("by a thread"))
    await asyncio.wait_for(waiting, 5)
    assert str(stop.reason) == "by a thread"
