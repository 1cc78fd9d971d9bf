"""Checks run on threads beside the event loop, and what they return or raise comes back to it."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Iterator

import pytest

from tasks.threads import Threads


@pytest.fixture
def threads() -> Iterator[Threads]:
    """Give two threads, and let them go."""
    made = Threads(2, name="check")
    yield made
    made.close()


async def test_what_a_call_returns_or_raises(threads: Threads) -> None:
    """Each call's own result comes back, in whatever order the calls end."""

    def call(number: int) -> int:
        if number % 7 == 3:
            raise ValueError(str(number))
        return number

    found = await asyncio.gather(*(threads.submit(lambda n=n: call(n)) for n in range(500)), return_exceptions=True)
    assert [str(each) for each in found] == [str(n) for n in range(500)]
    assert all(isinstance(each, ValueError) == (n % 7 == 3) for n, each in enumerate(found))


async def test_calls_run_side_by_side_and_beside_the_loop(threads: Threads) -> None:
    """Two calls that wait for one another end, and so does one that waits for the loop."""
    barrier, told = threading.Barrier(2), threading.Event()
    waiting = [threads.submit(lambda: barrier.wait(10)) for _ in range(2)]
    assert sorted(await asyncio.gather(*waiting)) == [0, 1]
    told_by_loop = threads.submit(lambda: told.wait(10))
    await asyncio.sleep(0.01)
    told.set()
    assert await told_by_loop


async def test_results_that_come_together_share_a_wake_up(threads: Threads, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that is busy while a thousand calls end is woken a few times, not a thousand."""
    loop, woken = asyncio.get_running_loop(), []
    wake = loop.call_soon_threadsafe
    monkeypatch.setattr(loop, "call_soon_threadsafe", lambda *call, **given: (woken.append(1), wake(*call, **given)))
    done = threading.Event()
    calls = [threads.submit(lambda: None) for _ in range(1_000)]
    last = threads.submit(done.set)
    assert done.wait(10)  # the loop hears of nothing meanwhile
    await asyncio.gather(*calls, last)
    assert len(woken) < 20


async def test_a_call_nobody_waits_for_is_not_begun() -> None:
    """A future that is cancelled before its turn takes its call with it; one that runs already runs to its end."""
    threads, gate, begun = Threads(1, name="check"), threading.Barrier(2), []
    first = threads.submit(lambda: (begun.append("first"), gate.wait(10), gate.wait(10)))
    await asyncio.to_thread(gate.wait, 10)
    second, third = threads.submit(lambda: begun.append("second")), threads.submit(lambda: begun.append("third"))
    first.cancel()
    second.cancel()
    await asyncio.to_thread(gate.wait, 10)
    await third
    assert begun == ["first", "third"]
    threads.close()


async def test_closed() -> None:
    """What has not begun when they are closed never begins, and the threads end."""
    threads, gate, begun = Threads(1, name="closing"), threading.Barrier(2), []
    running = threads.submit(lambda: (begun.append("first"), gate.wait(10), gate.wait(10)))
    waiting = threads.submit(lambda: begun.append("second"))
    await asyncio.to_thread(gate.wait, 10)
    threads.close()
    await asyncio.to_thread(gate.wait, 10)
    await running
    for thread in threading.enumerate():
        if thread.name.startswith("closing"):
            await asyncio.to_thread(thread.join, 10)
            assert not thread.is_alive()
    assert begun == ["first"]
    with pytest.raises(RuntimeError, match="closed"):
        await waiting
    with pytest.raises(RuntimeError, match="closed"):
        threads.submit(lambda: None)


async def test_a_thread_that_waits_keeps_nothing() -> None:
    """Once a result is there, its thread holds neither the call nor what it was about."""

    class Response:
        """Something that can be watched."""

        def judge(self) -> bool:
            """Return a verdict."""
            return True

    threads, response = Threads(1, name="check"), Response()
    watched = weakref.ref(response)
    assert await threads.submit(response.judge)
    del response
    gc.collect()
    assert watched() is None
    threads.close()
