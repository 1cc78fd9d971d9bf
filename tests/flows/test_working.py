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
from flows.process.waiting import GRACE_S, LOOK_S, with_grace
from flows.working import signals, work_shards
from storage.errors import BudgetSpent, Interrupted, StorageError, TeacherDown, UserError
from tasks.stop import Stop
from tasks.teachers.protocol import Flight
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


SPENT, DOWN, CTRL_C = BudgetSpent("spent"), TeacherDown("down"), Interrupted("SIGINT")


@pytest.mark.parametrize(
    ("reason", "interrupted_at", "sent", "ends"),
    [
        (SPENT, None, True, 61.0),
        (DOWN, None, True, 61.0),
        (CTRL_C, None, True, 1.0),
        (SPENT, 20.0, True, 20.0),
        (SPENT, None, False, 1.0),
    ],
    ids=["budget", "down", "signal", "signal meanwhile", "not sent yet"],
)
def test_in_flight(
    reason: UserError, interrupted_at: float | None, sent: bool, ends: float, caplog: pytest.LogCaptureFixture
) -> None:
    """What was sent is waited for, and nothing else; where somebody interrupts, that ends. All the rest gets a moment then."""
    run = FakeRun()

    async def slow() -> None:
        flight = Flight(sent=sent)
        run.stop.flying.add(flight)
        await asyncio.sleep(1.0)
        run.stop.set(reason)
        await asyncio.sleep(60.0)
        run.stop.flying.discard(flight)
        await asyncio.sleep(1e6)  # such as a long wait before a retry

    async def interrupt() -> None:
        await asyncio.sleep(interrupted_at or 1e9)
        run.stop.set(CTRL_C)

    async def main() -> float:
        interrupting = asyncio.create_task(interrupt())
        await with_grace(run.stop, slow())
        interrupting.cancel()
        return asyncio.get_running_loop().time()

    assert in_virtual_time(main()) == pytest.approx(ends + GRACE_S, abs=2 * LOOK_S)
    assert run.stop.reason is reason
    told = [record.message for record in caplog.records]
    assert told == (["waiting for 1 request in flight (Ctrl-C ends that)"] if ends > 1.0 else [])


def test_in_flight_elsewhere() -> None:
    """What other processes have in flight is waited for as well, also where they say so late."""
    run, began = FakeRun(), list[float]()

    def in_flight() -> int:
        return int(3.0 < asyncio.get_running_loop().time() < 40.0)

    async def slow() -> None:
        await asyncio.sleep(1.0)
        run.stop.set(SPENT)
        await asyncio.sleep(1e6)

    async def main() -> None:
        await with_grace(run.stop, slow(), in_flight=in_flight)
        began.append(asyncio.get_running_loop().time())

    in_virtual_time(main())
    assert began == [pytest.approx(40.0 + GRACE_S, abs=2 * LOOK_S)]


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
