"""Threads that checks run on, beside the event loop that draws."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Job:
    call: Callable[[], Any]
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class Threads:
    """Runs blocking calls, first come, first served, for one event loop.

    An executor wakes the loop for each result, which costs more than a cheap check does. Here all that is done by the time that
    the loop looks shares one wake-up.
    """

    def __init__(self, number: int, *, name: str) -> None:
        """Start so many threads. They don't keep the process alive: a check that hangs must not outlive the run."""
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._done: deque[_Job] = deque()
        self._awake = False
        self._closed = False
        self._number = number
        for each in range(number):
            threading.Thread(target=self._work, name=f"{name}-{each}", daemon=True).start()

    def submit(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Have a thread call this, and return the future of what it returns or raises."""
        self._check()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.put(_Job(call, future))
        return future

    def close(self) -> None:
        """Begin no other call, and let the threads go when they are done with those that they are at."""
        self._closed = True
        for _ in range(self._number):
            self._jobs.put(None)

    def _check(self) -> None:
        if self._closed:
            raise RuntimeError("the threads are closed")

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            loop = job.future.get_loop()
            if job.future.cancelled():
                continue
            try:
                self._check()
                job.result = job.call()
            except BaseException as error:  # noqa: BLE001 - whoever waits hears of it
                job.error = error
            self._done.append(job)
            del job  # a thread that waits for another must not keep what the last one was about
            if not self._awake:
                self._awake = True
                try:
                    loop.call_soon_threadsafe(self._deliver)
                except RuntimeError:  # the loop is closed, and nobody waits
                    return

    def _deliver(self) -> None:
        self._awake = False  # before looking: what is done from now on wakes the loop again
        while self._done:
            job = self._done.popleft()
            if job.future.done():
                continue
            if job.error is not None:
                job.future.set_exception(job.error)
            else:
                job.future.set_result(job.result)
