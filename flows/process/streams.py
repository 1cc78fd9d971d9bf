"""Standard streams that are closed, or take no more: what a command is there for is done all the same."""

from __future__ import annotations

import io
import os
import select
import sys
from pathlib import Path
from typing import Any

_stdout = [1]
"""Descriptors of stdout, of which the last is polled: a copy, since rich puts the null device in the place of a pipe that nobody
reads any more."""


def mend() -> None:
    """Put the null device where a stream is closed, and have stderr fail nobody.

    Else the next file or socket that is opened gets the number of a closed one, and with it all that is printed there.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - by the lowest number that is free: this one
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)  # which keeps it open, whatever takes its place
    _stdout.append(os.dup(sys.stdout.fileno()))
    told = io.BufferedWriter(_Told(sys.stderr.fileno(), "w", closefd=False))
    sys.stderr = io.TextIOWrapper(told, encoding=sys.stderr.encoding, errors="backslashreplace", line_buffering=True)


def reader_gone() -> bool:
    """Return whether stdout is a pipe that nobody reads any more."""
    looking = select.poll()
    looking.register(_stdout[-1], 0)
    return any(events & select.POLLERR for _, events in looking.poll(0))


class _Told(io.FileIO):
    """A stderr that may be full, or that nobody reads any more: progress is lost there, and no more than that."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data) or len(data)  # none of it where it would block
        except OSError:
            return len(data)
