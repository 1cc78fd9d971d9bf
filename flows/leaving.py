"""Leaving the process, also where Prefect's server hangs: what is still queued for it would be waited for without end."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
from typing import NoReturn

FLUSH_FAILED = 120
"""The exit code where what was printed could not be written: the interpreter's own."""
_forsaken: list[str] = []
"""Why nothing is waited for any more, where that is so."""
_codes: list[int] = []
"""With what the process is to exit, once it does."""


def end_at_last() -> None:
    """Have this process end, once all is done that is done at exit, without the interpreter's teardown. Called before all else.

    Threads of Arrow and of fsspec outlive the main one, and one that asks for the interpreter meanwhile aborts the process; a
    signal that comes then would be the exit code.
    """
    atexit.register(_end)  # the first to be registered is the last to be called


def _end() -> None:
    if _codes:
        logging.shutdown()  # which is called behind this one else
        _exit(_codes[-1])


def forsake(why: str) -> None:
    """Have this process wait for nothing when it leaves: not for what Prefect's services would still send at exit."""
    _forsaken.append(why)


def leave(code: int) -> NoReturn:
    """Exit with a code: at once where somebody was forsaken, and else once all is done that is done at exit."""
    _codes.append(code)
    if not _forsaken:
        sys.exit(code)
    _exit(code)


def at_once_on_signals(code: int) -> None:
    """Have a signal end this process with a code: nothing is left to be ended in good order."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: _exit(code))


def _exit(code: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = code or FLUSH_FAILED
        except RuntimeError:
            continue  # a signal that came in the middle of a flush, which ends with this process
    os._exit(code)
