"""Leaving the process, also where Prefect's server hangs: what is still queued for it would be waited for without end."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

FLUSH_FAILED = 120
"""The exit code where what was printed could not be written: the interpreter's own."""
_forsaken: list[str] = []
"""Why nothing is waited for any more, where that is so."""


def forsake(why: str) -> None:
    """Have this process wait for nothing when it leaves: not for what Prefect's services would still send at exit."""
    _forsaken.append(why)


def leave(code: int) -> NoReturn:
    """Exit with a code: at once where somebody was forsaken, and else as any process does."""
    if not _forsaken:
        sys.exit(code)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = code or FLUSH_FAILED
    os._exit(code)
