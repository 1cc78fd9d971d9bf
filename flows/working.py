"""Working a run's shards, and ending in order where it is told to stop: signals, and a moment for what is in flight."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence

from flows.building import Run
from flows.process.signals import SIGNALS, handled
from flows.process.waiting import with_grace
from flows.progress import Say
from storage.errors import Interrupted, UserError
from tasks.stop import Stop


async def work_shards(run: Run, work: Callable[[int], Awaitable[object]], shards: Sequence[int] | None = None) -> None:
    """Work all shards, or these, a few side by side. What the user can mend stops the run."""
    numbers = iter(await run.shards() if shards is None else shards)

    async def worker() -> None:
        for number in numbers:
            if run.stop:
                return
            try:
                await work(number)
            except* UserError as group:  # alone, or in what the task groups of a shard make of it
                run.stop.set(first(group))

    async def workers() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(run.side_by_side):
                group.create_task(worker())

    await with_grace(run.stop, workers())


async def conclude(run: Run) -> None:
    """Stop the run where a teacher or a judge was of no use, or something was left open, now that all was asked for."""
    for desk in run.progress.desks:
        try:
            await with_grace(run.stop, desk.conclude())
        except UserError as error:
            run.stop.set(error)
    run.stop.conclude()


def first(group: BaseExceptionGroup[UserError]) -> UserError:
    """Return the first error of a group, however deep."""
    error = group.exceptions[0]
    return first(error) if isinstance(error, BaseExceptionGroup) else error


@contextlib.contextmanager
def signals(stop: Stop, say: Say, pending: Sequence[int] = (), leave: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Let SIGINT and SIGTERM stop the run in order. A second one ends the process at once: the journal has what was paid for.

    `pending` came before this could hear them. `leave` tidies up what an end at once would leave behind.
    """
    # Of their own, since a run that stops for another reason has not been told twice.
    heard: list[int] = []

    def interrupt(number: int) -> None:
        heard.append(number)
        name = signal.Signals(number).name
        if len(heard) > 1:
            for each in SIGNALS:  # should this hang, on a terminal that takes nothing, a third one ends it
                asyncio.get_running_loop().remove_signal_handler(each)
            try:
                leave()
                say(f"{name}: ended at once; what was paid for is in the journal, and a rerun goes on")
            finally:
                os._exit(Interrupted.exit_code)
        doing = "ending already" if stop else "asking for nothing more"
        say(f"{name}: {doing}, landing what was paid for (again to stop at once)")
        stop.set(Interrupted(f"interrupted by {name}; what was paid for is landed, and a rerun goes on"))

    with handled(interrupt, pending):
        yield
