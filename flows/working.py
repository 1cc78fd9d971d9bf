"""Working a run's shards, and ending in order where it is told to stop: signals, and a moment for what is in flight."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence

from flows.run import GRACE_S, Run, Say
from storage.errors import Interrupted


async def work_shards(run: Run, work: Callable[[int], Awaitable[object]]) -> None:
    """Work all shards, a few side by side. Where the run stops, what is in flight gets a moment and is then cancelled."""
    numbers = iter(await run.shards())

    async def worker() -> None:
        for number in numbers:
            if run.stop:
                return
            await work(number)

    async def workers() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(run.side_by_side):
                group.create_task(worker())

    working, stopping = asyncio.create_task(workers()), asyncio.create_task(run.stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            await asyncio.wait({working}, timeout=GRACE_S)
            working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
    finally:
        working.cancel()
        stopping.cancel()


@contextlib.contextmanager
def signals(run: Run, say: Say, pending: Sequence[int] = ()) -> Iterator[None]:
    """Let SIGINT and SIGTERM stop the run in order. A second one ends the process at once: the journal has what was paid for.

    `pending` came before this could hear them.
    """

    def interrupt(number: int) -> None:
        if run.stop:
            os._exit(Interrupted.exit_code)
        name = signal.Signals(number).name
        say(f"{name}: asking for nothing more, landing what was paid for (again to stop at once)")
        run.stop.set(Interrupted(f"interrupted by {name}; what was paid for is landed, and a rerun goes on"))

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    numbers = (int(signal.SIGINT), int(signal.SIGTERM))
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        loop.add_signal_handler(number, interrupt, number)
    for number in pending[:1]:
        interrupt(number)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
            signal.signal(number, before[number])
