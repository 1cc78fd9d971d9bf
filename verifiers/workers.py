"""Processes for checks that may hang, crash or fill the memory: each call has a limit by the clock, which holds from outside.

A worker is forked from a server process that has loaded little, and nothing of a build's: one that was killed is replaced in
milliseconds.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import multiprocessing
import os
import pickle
import queue
import resource
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Any, TypeVar, cast

from storage.errors import SetupError, VerifierError

T = TypeVar("T")

MEMORY_BYTES = 4 << 30
"""Address space of a worker: past it, a check gets a MemoryError in place of the machine's memory."""
PRELOADED = ("verifiers.workers", "verifiers.protocol", "verifiers.bundle", "verifiers.exact_match")
"""What the server of forks imports once, and so no worker: most of what verifiers are made of, and most of a worker's start."""
LOADING_S = 60.0
"""For the imports of what a call needs, the first time."""
CALLS = 10_000
"""After so many, a worker is replaced: what somebody's code leaks must not grow for as long as a build runs."""
SERVERS = 3
"""So many servers of forks are asked for a worker, one after the other: the kernel may have killed one where memory is short."""
ENDING_S = 0.1
"""It takes a moment until the end of one is known."""
NONE_WITHIN: ContextVar[bool] = ContextVar("none_within", default=False)
"""Whether no call may be made."""


class NeedsWorker(BaseException):
    """A check asks for a worker where it may have none, or comes to no good end there. Not for the check itself to handle."""


@contextlib.contextmanager
def none_within() -> Iterator[None]:
    """Have calls raise NeedsWorker in place of being made."""
    token = NONE_WITHIN.set(True)
    try:
        yield
    finally:
        NONE_WITHIN.reset(token)


class Workers:
    """A pool of processes. Safe to call from any number of threads; a call waits for a worker that is free."""

    def __init__(self, number: int | None = None) -> None:
        """Use so many processes, by default one for each processor. None is started before it is needed."""
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["__main__", *PRELOADED])
        self._number = number or len(os.sched_getaffinity(0))
        self._free: queue.SimpleQueue[_Worker | None] = queue.SimpleQueue()
        for _ in range(self._number):
            self._free.put(None)

    def call(self, function: Callable[..., T], *arguments: Any, timeout_s: float) -> T:
        """Return what a function returns in a worker, or raise what it raises. Both must survive pickling.

        Raise VerifierError where it takes longer than `timeout_s`, or ends its process twice: the first time it may have been
        a neighbour's fault, for which the kernel killed it. Raise SetupError where no process can be had.
        """
        if NONE_WITHIN.get():
            raise NeedsWorker
        if multiprocessing.current_process().daemon:  # within a worker, whose limit holds for this too
            return function(*arguments)
        job = pickle.dumps((function, arguments))  # first: what can't be sent takes no worker along
        try:
            done, value = self._run(job, timeout_s)
        except _Ended:
            try:
                done, value = self._run(job, timeout_s)
            except _Ended as again:
                raise VerifierError(f"the check ended its process: {again}") from None
        if done:
            return cast("T", value)
        raise value

    def _run(self, job: bytes, timeout_s: float) -> tuple[bool, Any]:
        worker = self._free.get()
        try:
            worker = worker or _Worker(self._context)
            found = worker.run(job, timeout_s)
        except BaseException:
            if worker is not None:
                worker.kill()
            self._free.put(None)
            raise
        if worker.calls >= CALLS:
            worker.kill()
            worker = None
        self._free.put(worker)
        return found

    def close(self) -> None:
        """End the processes, once those at work are done. The pool can be used again."""
        workers = [self._free.get() for _ in range(self._number)]
        for worker in workers:
            if worker is not None:
                worker.kill()
            self._free.put(None)


class _Ended(Exception):
    """A worker ended in the middle of a call."""


class _Worker:
    """One process."""

    _starting = threading.Lock()
    """The server of forks is started once."""

    def __init__(self, context: ForkServerContext) -> None:
        self.calls = 0
        for left in reversed(range(SERVERS)):
            try:
                self._start(context)
            except (OSError, EOFError) as error:
                if left and isinstance(error, EOFError | ConnectionError):  # the server ended, and the next to ask starts another
                    time.sleep(ENDING_S)
                    continue
                raise SetupError(f"no process can be started for a check: {type(error).__name__}: {error}") from error
            return

    def _start(self, context: ForkServerContext) -> None:
        self._connection, theirs = context.Pipe()
        try:
            with self._starting, _deaf(), theirs:
                self._process: ForkServerProcess = context.Process(target=_serve, args=(theirs,), daemon=True)
                self._process.start()
        except BaseException:
            self._connection.close()
            raise

    def run(self, job: bytes, timeout_s: float) -> tuple[bool, Any]:
        """Return whether the function returned, and what it returned or raised."""
        self.calls += 1
        try:
            self._connection.send_bytes(job)
            # Its imports are no part of a check; a module that can't be loaded in a minute never will be.
            if not self._connection.poll(LOADING_S):
                raise VerifierError(f"what the check needs was not loaded within {LOADING_S:g} s")
            self._connection.recv_bytes()
            if not self._connection.poll(timeout_s):
                raise VerifierError(f"no verdict within {timeout_s:g} s")
            return cast("tuple[bool, Any]", self._connection.recv())
        except (EOFError, OSError):
            raise _Ended(self._ended()) from None

    def _ended(self) -> str:
        self._process.join(1)
        code = self._process.exitcode
        if code is not None and code < 0:
            number = -code
            return f"killed by {signal.Signals(number).name}" if number in set(signal.Signals) else f"killed by signal {number}"
        return f"exit code {code}"

    def kill(self) -> None:
        """End the process and all that it started, whatever they are at."""
        self._connection.close()
        with contextlib.suppress(OSError):
            os.killpg(cast("int", self._process.pid), signal.SIGKILL)
        self._process.kill()  # one that had no group of its own yet
        self._process.join()


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Start processes that don't hear what ends a build: its whole group is told so, and the build says when they end."""
    resource_tracker.ensure_running()  # which multiprocessing else starts in between, and lets the signals through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection) -> None:
    """Work for as long as the other end is there."""
    _end_with_parent()
    os.setsid()  # what reaches all processes of a terminal or a service isn't meant for this one
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.dup2(2, 1)  # what a check prints must not get into the command's own output
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            job = connection.recv_bytes()
            try:
                function, arguments = pickle.loads(job)  # noqa: S301 - from the build itself
            except Exception as error:  # noqa: BLE001 - a plug-in's import, say
                function, arguments = _raise, (error,)
            connection.send_bytes(b"")
            connection.send_bytes(_outcome(function, arguments))


def _end_with_parent() -> None:
    """Have the kernel end this process when the build's is gone: whoever is stuck in a check wouldn't hear of it."""
    parent = multiprocessing.parent_process()
    if parent is not None:  # its sentinel is a pipe, which tells of its end by SIGIO, and that ends a process
        fcntl.fcntl(parent.sentinel, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(parent.sentinel, fcntl.F_SETFL, fcntl.fcntl(parent.sentinel, fcntl.F_GETFL) | os.O_ASYNC)


def _raise(error: Exception) -> None:
    raise error


def _outcome(function: Callable[..., Any], arguments: tuple[Any, ...]) -> bytes:
    try:
        return pickle.dumps((True, function(*arguments)))
    except Exception as error:  # noqa: BLE001 - whoever called hears of it
        error.add_note("".join(traceback.format_exception(error)).rstrip())
        try:
            raised = pickle.dumps((False, error))
            pickle.loads(raised)  # noqa: S301 - an exception may be pickled and yet not be read
        except Exception:  # noqa: BLE001 - somebody else's class
            return pickle.dumps((False, VerifierError(f"the check raised {type(error).__name__}: {error}")))
        return raised


@functools.cache
def default() -> Workers:
    """Return the pool that all checks of this process share."""
    return Workers()
