"""How a launched flow ends: what the run came to counts, whether Prefect's server hears of it or not."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import pytest

from flows.process.ending import Outcome, outlasting
from storage.errors import BudgetSpent, Interrupted, SetupError
from tests.fakes import in_virtual_time

FOUND = {"kept": 7}


class Prefect:
    """Stands for Prefect's engine around a run: `hangs_at` its beginning or end, as where its server doesn't answer."""

    def __init__(self, *, hangs_at: str = "", raises: Exception | None = None, ends_in: Exception | None = None) -> None:
        self.hangs_at, self.raises, self.ends_in = hangs_at, raises, ends_in
        self.outcome = Outcome()
        self.said: list[str] = []
        self.left = 0
        self.cancelled = 0

    async def call(self, name: str) -> None:
        """Ask the server, and ask it again to say that this was cancelled."""
        while name == self.hangs_at and self.cancelled < 3:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                self.cancelled += 1
        if name == self.hangs_at:
            raise asyncio.CancelledError

    async def flow(self) -> dict[str, Any]:
        """Begin, work, and end."""
        await self.call("beginning")
        self.outcome.begun.set()
        await asyncio.sleep(500)  # work may take longer than any patience
        if self.raises is not None:
            self.outcome.failed(self.raises)
        else:
            self.outcome.found(FOUND)
        await self.call("end")
        if self.ends_in is not None or self.raises is not None:
            raise self.ends_in or self.raises or AssertionError
        return FOUND

    def leave(self) -> None:
        """Give the server up."""
        self.left += 1

    async def outlast(self, *, pending: list[int] | None = None) -> dict[str, Any]:
        """Run it."""
        wanted = {"begin_s": 120, "end_s": 15, "leave": self.leave, "say": self.said.append}
        return await outlasting(self.flow(), self.outcome, pending=[] if pending is None else pending, **wanted)


def test_all_is_well():
    """Where the server answers, nothing is said, and it is left to whoever started it."""
    prefect = Prefect()
    assert in_virtual_time(prefect.outlast()) == FOUND
    assert (prefect.said, prefect.left) == ([], 0)


def test_a_server_that_hangs_at_the_end():
    """What was found is returned after a while, one line says so, and the server is given up."""
    prefect = Prefect(hangs_at="end")
    assert in_virtual_time(prefect.outlast()) == FOUND
    assert (len(prefect.said), prefect.left, prefect.cancelled) == (1, 1, 3)


def test_a_server_that_fails_at_the_end():
    """So it is where telling the server fails."""
    prefect = Prefect(ends_in=OSError("refused"))
    assert in_virtual_time(prefect.outlast()) == FOUND
    assert (len(prefect.said), prefect.left) == (1, 0)


@pytest.mark.parametrize("hangs_at", ["", "end"])
def test_what_ended_it_early(hangs_at: str):
    """An error of the run is raised as it is, and what Prefect makes of it is nobody's concern."""
    prefect = Prefect(hangs_at=hangs_at, raises=BudgetSpent("spent"))
    with pytest.raises(BudgetSpent, match="spent"):
        in_virtual_time(prefect.outlast())
    assert len(prefect.said) == bool(hangs_at)


def test_a_server_that_hangs_at_the_beginning():
    """Nothing was asked yet: an error in one line, exit 2."""
    prefect = Prefect(hangs_at="beginning")
    with pytest.raises(SetupError, match="didn't answer within 120 s; nothing was asked yet"):
        in_virtual_time(prefect.outlast())
    assert prefect.left == 1


def test_a_defect_of_the_flow():
    """What isn't the run's own is raised where nothing is known of that."""

    async def flow() -> dict[str, Any]:
        raise ZeroDivisionError

    given = {"begin_s": 1, "end_s": 1, "pending": [], "leave": lambda: None, "say": lambda _: None}
    with pytest.raises(ZeroDivisionError):
        in_virtual_time(outlasting(flow(), Outcome(), **given))


async def test_a_signal_while_it_waits():
    """A person who has waited long enough for the server need not: what was found is returned at once."""
    prefect = Prefect(hangs_at="end")
    prefect.outcome.begun.set()
    prefect.outcome.found(FOUND)
    pending: list[int] = []
    asyncio.get_running_loop().call_later(0.2, os.kill, os.getpid(), signal.SIGINT)
    given = {"begin_s": 120, "end_s": 600, "leave": prefect.leave, "say": prefect.said.append}
    async with asyncio.timeout(10):
        assert await outlasting(prefect.call("end"), prefect.outcome, pending=pending, **given) == FOUND  # type: ignore[arg-type]
    assert (pending, prefect.left) == ([signal.SIGINT], 1)


@pytest.mark.parametrize("hangs", [True, False])
def test_a_signal_before_it_begins(hangs: bool):
    """One signal ends what waits for a server to begin; where the server answers by then, the run itself hears of the signal."""
    prefect = Prefect(hangs_at="beginning" if hangs else "", raises=Interrupted("by itself"))

    async def main() -> float:
        with pytest.raises(Interrupted, match="SIGTERM; nothing was asked yet" if hangs else "by itself"):
            await prefect.outlast(pending=[signal.SIGTERM])
        return asyncio.get_running_loop().time()

    ended = in_virtual_time(main())
    assert prefect.left == hangs
    assert ended < 10 if hangs else ended >= 500


@pytest.mark.parametrize(("error", "within_s"), [(Interrupted("by a signal"), 30), (BudgetSpent("spent"), 600)])
def test_haste(error: Exception, within_s: float):
    """Who has interrupted a run doesn't wait long for the server; else it may be away for a while."""
    prefect = Prefect(hangs_at="end", raises=error)
    given = {"begin_s": None, "end_s": 590, "pending": [], "leave": prefect.leave, "say": prefect.said.append}

    async def main() -> float:
        with pytest.raises(type(error)):
            await outlasting(prefect.flow(), prefect.outcome, **given)  # type: ignore[arg-type]
        return asyncio.get_running_loop().time() - 500

    assert within_s - 30 < in_virtual_time(main()) < within_s
