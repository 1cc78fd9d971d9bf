"""The run's side of a cluster, with workers that do one thing: what they leave undone stops the run, and says why."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows.cluster import driver, notes
from flows.cluster.apart import DRAW
from flows.cluster.driver import ATTEMPTS, Driver
from flows.cluster.notes import State
from flows.cluster.options import RunnerOptions
from flows.cluster.shards import shard as task
from flows.process.waiting import GRACE_S
from flows.spec import Spec
from storage.errors import BudgetSpent, Interrupted, SetupError, StorageError, UserError
from storage.lake import Lake
from storage.outbox import Outbox
from storage.parquet import write_rows
from tasks.draw import Budget, Spending
from tasks.orders import Ordered, Staged
from tasks.shard import ASKED
from tasks.stop import Stop
from tasks.tally import Passing, Tally

ROW = {"arm": 0, "sample_index": 0, "bought": True}
Works = Callable[[Path, Path], dict[str, int]]
"""What a worker does with an order: of the folder of the run, and of where files about the order are."""


class Nothing(Staged):
    """A workspace whose orders need not be there."""

    def write(self, number: int, path: Path) -> None:
        """Write none."""


@dataclass
class House:
    """A run, as far as a driver knows it."""

    lake: Lake
    rows: list[dict[str, Any]] = field(default_factory=list)
    """What was noted of shards."""
    refuses: UserError | None = None
    """What the disk says to them."""
    stop: Stop = field(default_factory=Stop)
    orders: int = 0
    """That went out."""
    spec: Any = field(default_factory=lambda: SimpleNamespace(dataset="d", teachers=[], model_dump=lambda **_: {}))
    """What is built."""

    def extend(self, rows: list[dict[str, Any]]) -> None:
        """Note them, or not."""
        if self.refuses is not None:
            raise self.refuses
        self.rows += rows

    def run(self) -> Any:
        """Return the run."""
        source = Nothing(None)  # type: ignore[arg-type]
        return SimpleNamespace(
            lake=self.lake,
            stop=self.stop,
            build_id="b",
            say=print,
            spec=self.spec,
            progress=SimpleNamespace(
                budget=Budget(None),
                spending=Spending(),
                tally=Tally(),
                passing=Passing(),
                afar={},
                desks=[SimpleNamespace(options=SimpleNamespace(timeout_s=each)) for each in (30.0, 600.0)],
            ),
            at_work=SimpleNamespace(source=source, asked=self, worked={}, verdicts_lost=False),
        )

    async def work(self, monkeypatch: pytest.MonkeyPatch, works: Works) -> UserError | None:
        """Have two shards worked on a cluster of one such worker, and return what stopped the run."""
        run = self.run()

        async def carried_out(_: object, given: dict[str, Any], part: str | None) -> dict[str, int]:
            assert part is None
            self.orders += 1
            order = Ordered(self.lake.staging / "b" / "orders").order(given["shard"], DRAW, given["attempt"])
            found = await asyncio.to_thread(works, Path(given["folder"]), order)
            if "silent" in found:
                await asyncio.Event().wait()
            return found

        @contextlib.contextmanager
        def opened(*_: object) -> Iterator[Any]:
            yield SimpleNamespace(places=1, run=carried_out)

        monkeypatch.setattr(driver, "opened", opened)
        monkeypatch.setattr(driver, "CLOSE_S", 0.3)
        async with asyncio.timeout(30):
            await Driver(run, RunnerOptions(use="dask"), Path("spec.yaml"), draw=task).work([0, 1])
        return self.stop.reason


@pytest.fixture
def house(lake: Lake) -> House:
    """Make a run."""
    return House(lake)


@contextlib.contextmanager
def worker(ledger: bytes = b'{"host": "h", "closed": true}', *, notes_rows: bool = True) -> Iterator[Works]:
    """Be a worker that notes what it is asked for, or works on it for ever, and is there until this is left."""
    with contextlib.ExitStack() as stack:
        one_by_one = threading.Lock()

        def works(folder: Path, order: Path) -> dict[str, int]:
            box = Outbox(folder / "w1")
            with one_by_one:
                if not box.folder.exists():
                    stack.enter_context(box.held())
                    box.asked.mkdir()
                    box.ledger.write_bytes(ledger)
            number = int(order.name.split("-")[0])
            order.with_suffix(".claim").write_text("w1")
            if not notes_rows:
                return {"taken": 1}
            write_rows(box.noted(number, DRAW), ASKED, [ROW | {"ord": number}])
            return {"prompts": 1}

        yield works


async def test_a_worker_that_hangs(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """It noted its shards and never landed: the build stops, since its samples would be found missing."""
    with worker() as works:
        reason = await house.work(monkeypatch, works)
    assert len(house.rows) == 2
    assert isinstance(reason, StorageError)
    assert f"{house.lake.outboxes}/b/w1: its worker doesn't land what it bought" in str(reason)


async def test_the_disk_is_full(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a shard was asked for can't be noted: the run stops for that, in its own words."""
    house.refuses = StorageError("asked.parquet: no space left on device")
    with worker() as works:
        assert await house.work(monkeypatch, works) is house.refuses


async def test_a_folder_that_is_not_shared(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker on a machine without the lake says so, and the run says what to do."""
    reason = await house.work(monkeypatch, lambda *_: {"unseen": 1})
    assert isinstance(reason, SetupError)
    assert f"a worker doesn't see {house.lake.outboxes}/b: the lake must be in a folder that all machines share" in str(reason)


async def test_a_working_copy_that_is_not_shared(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a lake on an object store it is the working copy that a worker must see."""
    replica: Any = SimpleNamespace(url="s3://b/l", lease=SimpleNamespace(name="a-1"), depots=None)
    house.lake.replica = replica
    reason = await house.work(monkeypatch, lambda *_: {"unseen": 1})
    assert isinstance(reason, SetupError)
    assert "the working copy (STILLHOUSE_CACHE) must be in a folder that all machines share" in str(reason)


async def test_in_flight(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """What workers have in flight is known until all of it must have ended, and they hear where nobody waits for it any more."""
    run = house.run()
    one = Driver(run, RunnerOptions(use="dask"), Path("spec.yaml"), draw=task)
    folder = house.lake.outboxes / "b"
    folder.mkdir(parents=True)
    run.progress.afar = {"w1": [SimpleNamespace(in_flight=3), SimpleNamespace(in_flight=1)], "w2": [SimpleNamespace(in_flight=2)]}
    assert one._in_flight() == 6
    now = time.monotonic()
    for later, in_flight in ((600.0, 6), (600.0 + GRACE_S + 1, 0)):
        with monkeypatch.context() as clock:
            clock.setattr(time, "monotonic", lambda later=later: now + later)
            assert one._in_flight() == in_flight
    for reason, hurried in ((BudgetSpent("spent"), False), (Interrupted("SIGINT"), True)):
        house.stop.set(reason)
        await one._tell(closing=False)
        state = notes.read(State, folder / "state.json")
        assert state is not None
        assert (state.stop, state.hurried) == (["BudgetSpent", "spent"], hurried)


async def test_killed_before_it_signed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """An order whose claim is empty was never begun: it goes out again, so many times, and nobody waits for ever."""
    monkeypatch.setattr(driver, "TICK_S", 0.01)

    def works(_: Path, order: Path) -> dict[str, int]:
        order.with_suffix(".claim").touch()
        return {"taken": 1}

    reason = await house.work(monkeypatch, works)
    assert "was lost with 4 workers" in str(reason)
    assert house.orders >= ATTEMPTS


async def test_a_ledger_of_another_version(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run stops, and says what it found."""
    with worker(b'{"host": "h", "unheard_of": 1}', notes_rows=False) as works:
        reason = await house.work(monkeypatch, works)
    assert "w1/ledger.json: was written by another version of stillhouse" in str(reason)


async def test_a_defect_in_looking(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run doesn't go on unattended: it stops, and the defect is raised as what it is."""
    with worker(b'{"host": "h", "passing": 3}', notes_rows=False) as works, pytest.raises(AttributeError):
        await house.work(monkeypatch, works)
    assert "can't be looked at any more" in str(house.stop.reason)


async def test_a_cluster_that_does_not_say_that_a_worker_is_gone(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run sees by the worker's lock that it has ended, and has another one go on with its shard."""
    monkeypatch.setattr(
        driver, "UNHEARD_S", 0.5
    )  # longer than a worker of the pool takes to begin, also where the machine is busy
    taken: list[str] = []
    with worker() as works:

        def killed_at_first(folder: Path, order: Path) -> dict[str, int]:
            if "w0" in taken:
                return works(folder, order)
            taken.append("w0")
            with Outbox(folder / "w0").held():
                order.with_suffix(".claim").write_text("w0")
            return {"silent": 1}

        await house.work(monkeypatch, killed_at_first)
    assert sorted(row["ord"] for row in house.rows) == [0, 1]
    assert house.orders == 3


async def test_the_spec_that_workers_read(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the run's: what a spec leaves out isn't said in its stead, where that would contradict what it says."""
    house.spec = Spec.model_validate(
        {
            "dataset": "d",
            "prompts": [{"source": "p.jsonl", "license": "MIT"}],
            "teachers": [{"name": "t", "provider": "replay", "model": "m", "path": "a.jsonl", "license": "MIT"}],
            "dedup": {"near": True},
            "exports": [{"to": "out", "shard_bytes": "500MB", "reasoning": "omit"}],
            "runner": {"use": "dask"},
        }
    )
    read: list[dict[str, Any]] = []

    def works(folder: Path, _: Path) -> dict[str, int]:
        read.append(json.loads((folder / "brief.json").read_bytes())["spec"])
        return {"unseen": 1}

    await house.work(monkeypatch, works)
    assert Spec.model_validate(read[0]).hash == house.spec.hash
