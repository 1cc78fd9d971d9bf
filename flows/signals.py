"""SIGINT and SIGTERM, heard in the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence

SIGNALS = (int(signal.SIGINT), int(signal.SIGTERM))


@contextlib.contextmanager
def handled(interrupt: Callable[[int], None], pending: Sequence[int] = ()) -> Iterator[None]:
    """Call `interrupt` in the running loop for each SIGINT and SIGTERM, first for one that is `pending`.

    Only the main thread hears signals; in another one this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        loop.add_signal_handler(number, interrupt, number)
    for number in pending[:1]:
        interrupt(number)
    try:
        yield
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
            signal.signal(number, before[number])
