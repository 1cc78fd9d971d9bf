"""Signals, heard in the event loop by the innermost who wants them."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys

import pytest

from flows.process.signals import Terminations, handled


async def send(number: int) -> None:
    """Signal this process, and let the loop hear it."""
    os.kill(os.getpid(), number)
    await asyncio.sleep(0.05)


async def test_one_within_another():
    """The innermost hears signals, then the one around it again, and in the end whoever did before."""
    before = signal.getsignal(signal.SIGTERM)
    outer, inner = list[int](), list[int]()
    with handled(outer.append):
        await send(signal.SIGTERM)
        with handled(inner.append):
            await send(signal.SIGINT)
        await send(signal.SIGINT)
    assert (outer, inner) == ([signal.SIGTERM, signal.SIGINT], [signal.SIGINT])
    assert signal.getsignal(signal.SIGTERM) is before


async def test_pending():
    """A signal that came before is heard at once, and one is enough."""
    heard = list[int]()
    with handled(heard.append, [signal.SIGINT, signal.SIGTERM]):
        assert heard == [signal.SIGINT]


@pytest.mark.parametrize(("name", "said"), [("TerminationSignal", False), ("ValueError", True)])
def test_what_asyncio_says_of_it(name: str, *, said: bool):
    """That Prefect's handler raised in the loop isn't logged; whatever else asyncio complains of is."""
    try:
        raise type(name, (Exception,), {})
    except Exception:  # noqa: BLE001 - of a class that is made here
        record = logging.LogRecord("asyncio", logging.ERROR, "", 1, "unhandled", None, sys.exc_info())
    assert Terminations().filter(record) is said
