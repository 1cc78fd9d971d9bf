"""How a run's shards are worked, and how a run ends where it is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from flows import working
from flows.building import Run
from flows.process.waiting import GRACE_S, with_grace
from flows.working import signals, work_shards
from storage.errors import BudgetSpent, Interrupted, StorageError
from tasks.stop import Stop
from tests.fakes import in_virtual_time


class FakeRun:
    """Has four shards, of which two are worked at a time."""

    side_by_side = 2

    def __init__(self) -> None:
        self.stop = Stop()

    async def shards(self) -> list[int]:
        """Name them."""
        return [0, 1, 2, 3]


def work(run: FakeRun, shard: Callable[[int], Awaitable[object]]) -> None:
    """Work all shards, in no time."""
    in_virtual_time(work_shards(cast("Run", run), shard))


class TestWork:
    """Working shards."""

    def test_all(self):
        """Every shard is worked once."""
        seen: list[int] = []

        async def shard(number: int) -> None:
            seen.append(number)
            await asyncio.sleep(1)

        work(FakeRun(), shard)
        assert sorted(seen) == [0, 1, 2, 3]

    @pytest.mark.parametrize("depth", [0, 1, 2], ids="in {} groups".format)
    def test_what_the_user_can_mend(self, depth: int):
        """It stops the run and is the reason as it is, however many task groups have wrapped it; the other shard comes to its end."""
        run, ended = FakeRun(), list[int]()
        error: Exception = StorageError("full")
        for _ in range(depth):
            error = ExceptionGroup("unhandled errors in a TaskGroup", [error])

        async def shard(number: int) -> None:
            await asyncio.sleep(1 + number)
            if number == 0:
                raise error
            ended.append(number)

        work(run, shard)
        assert (type(run.stop.reason), str(run.stop.reason), ended) == (StorageError, "full", [1])

    def test_a_defect(self):
        """A defect is raised."""

        async def shard(number: int) -> None:
            raise ExceptionGroup("both", [ZeroDivisionError(), StorageError("full")])

        with pytest.raises(ExceptionGroup) as raised:
            work(FakeRun(), shard)
        assert raised.group_contains(ZeroDivisionError)
        assert not raised.group_contains(StorageError)


@pytest.mark.parametrize(("takes", "ends"), [(1.0, 2.0), (1e6, 1.0 + GRACE_S)], ids=["soon done", "cancelled"])
def test_grace(takes: float, ends: float) -> None:
    """Work that is under way when the run stops gets a moment to end, and is then cancelled."""
    run = FakeRun()

    async def slow() -> None:
        await asyncio.sleep(1.0)
        run.stop.set(Interrupted("SIGINT"))
        await asyncio.sleep(takes)

    async def main() -> float:
        await with_grace(run.stop, slow())
        return asyncio.get_running_loop().time()

    assert in_virtual_time(main()) == pytest.approx(ends)


@pytest.fixture
def exits(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Note what would end this process."""
    found: list[Any] = []
    monkeypatch.setattr(working.os, "_exit", found.append)
    return found


@pytest.mark.parametrize("reason", [None, BudgetSpent("spent")], ids=["at work", "stopping already"])
async def test_signals(exits: list[Any], reason: BudgetSpent | None) -> None:
    """The first signal lets the run end in order, whatever may have stopped it before; the second tidies up and ends it at once."""
    run, said = FakeRun(), list[str]()
    if reason:
        run.stop.set(reason)
    with signals(run.stop, said.append, leave=lambda: exits.append("left")):
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(0.05)
        assert (exits, len(said)) == ([], 1)
        assert run.stop.reason is reason or isinstance(run.stop.reason, Interrupted)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.05)
    assert exits == ["left", 130]
    assert said[0].startswith("SIGINT: ")
    assert said[1].startswith("SIGTERM: ended at once")
