"""Leaving the process, also where Prefect's server hangs: what is still queued for it would be waited for without end."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Iterator
from typing import NoReturn

FLUSH_FAILED = 120
"""The exit code where what was printed could not be written: the interpreter's own."""
_forsaken: list[str] = []
"""Why nothing is waited for any more, where that is so."""


@contextlib.contextmanager
def whole_process() -> Iterator[None]:
    """Have the process that leaves within this end without the interpreter's teardown, behind all that is done at exit.

    Threads of Arrow and of fsspec outlive the main one, and one that asks for the interpreter meanwhile aborts the process. A
    signal that comes late ends it with the code that it has. Entered before all else: who is registered first is called last.
    """
    codes: list[int] = []

    def end(*_: object) -> None:
        if codes:
            logging.shutdown()  # which would be called behind this one
            _exit(codes[-1])

    atexit.register(end)
    try:
        yield
    except SystemExit as left:
        codes.append(left.code if isinstance(left.code, int) else 1)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, end)
        raise


def forsake(why: str) -> None:
    """Have this process wait for nothing when it leaves: not for what Prefect's services would still send at exit."""
    _forsaken.append(why)


def leave(code: int) -> NoReturn:
    """Exit with a code: at once where somebody was forsaken, and else as any process does."""
    if not _forsaken:
        sys.exit(code)
    _exit(code)


def _exit(code: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = code or FLUSH_FAILED
        except RuntimeError:
            continue  # a signal that came in the middle of a flush, which ends with this process
    os._exit(code)
