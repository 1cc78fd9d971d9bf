"""SIGINT and SIGTERM, heard in the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Iterator, Sequence

SIGNALS = (int(signal.SIGINT), int(signal.SIGTERM))
_hearing: list[Callable[[int], None]] = []
"""Who hears signals, the innermost last."""


@contextlib.contextmanager
def handled(interrupt: Callable[[int], None], pending: Sequence[int] = ()) -> Iterator[None]:
    """Call `interrupt` in the running loop for each SIGINT and SIGTERM, first for one that is `pending`.

    Of several, one within the other, the innermost hears them. Only the main thread does; in another one this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in SIGNALS}
    _hearing.append(interrupt)
    _hear(loop)
    for number in pending[:1]:
        interrupt(number)
    try:
        yield
    finally:
        _hearing.pop()
        if _hearing:
            _hear(loop)
        else:
            for number in SIGNALS:
                loop.remove_signal_handler(number)
                signal.signal(number, before[number])


def _hear(loop: asyncio.AbstractEventLoop) -> None:
    for number in SIGNALS:
        loop.add_signal_handler(number, _hearing[-1], number)


class Terminations(logging.Filter):
    """Leaves out what asyncio logs where Prefect's handler of SIGTERM raises in the loop: to be told to end is no fault."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether it is something else."""
        error = record.exc_info[1] if record.exc_info else None
        return type(error).__name__ != "TerminationSignal"


def ignore() -> None:
    """Ignore SIGTERM from now on: what ran is whole and about to end, and only has to say so."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: None)
