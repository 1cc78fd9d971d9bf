"""Outboxes in the store: what workers put there is taken over once, wherever they and their run have gone."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pyarrow.parquet as pq
import pytest

from storage import journal
from storage.answers import Answers
from storage.errors import LeaseLost, StorageError
from storage.journal import Journal
from storage.lake import Lake
from storage.outbox import Outbox, open_run
from storage.remote import sweep
from storage.remote.depot import Depot
from storage.remote.lease import taken_over
from storage.remote.objects import Objects
from storage.remote.watch import Watch
from storage.verdicts import VerdictStore
from storage.waste import Waste, rows_of
from tests.fakes import make_sample, make_verdict
from tests.storage.remote.test_replica import CARRIED, keys, stored

Machine = Callable[[str], Lake]
BOX = "journal/outbox/run/w1"


class Certain(Watch):
    """A watch that is certain until it is told otherwise."""

    def __init__(self) -> None:
        self.over = None

    @property
    def sure(self) -> bool:
        """See `Watch`."""
        return self.over is None

    @contextmanager
    def kept(self, lost: Callable[[StorageError], None]) -> Iterator[None]:
        """See `Watch`."""
        yield


@pytest.fixture
def watch() -> Certain:
    """Return one that is certain."""
    return Certain()


class Worker:
    """A worker of a run, on a machine that shares the run's working copy. It is killed rather than closed."""

    def __init__(self, lake: Lake, objects: Objects, watch: Watch) -> None:
        self.box = Outbox(lake.outboxes / "run" / "w1")
        self.depot = Depot(objects, watch, lake.root, self.box)
        self.box.folder.mkdir(parents=True, exist_ok=True)
        self.journal = Journal(self.box.journal, self.box.samples, run=self.box.name, mirror=self.depot)

    async def buy(self, *ids: str) -> None:
        """Buy samples, each in a commit of its own."""
        if self.journal._writer is None:
            await self.journal.__aenter__()
        for identifier in ids:
            await self.journal.append([make_sample(identifier)])

    async def die(self) -> None:
        """End where it stands."""
        assert self.journal._writer is not None
        self.journal._writer.cancel()
        await asyncio.wait({self.journal._writer})
        if self.journal._file is not None:
            self.journal._file.close()


@asynccontextmanager
async def working(lake: Lake, objects: Objects, watch: Watch) -> AsyncIterator[Worker]:
    """Give a worker of a run that holds the lake; it is killed on leaving, and then the run ends."""
    with lake.writing(pytest.fail):
        worker = Worker(lake, objects, watch)
        yield worker
        await worker.die()


async def test_machines_that_are_gone(machine: Machine, objects: Objects, watch: Certain):
    """A run, its worker, and their disk: another machine finds what was counted, and makes it part of the lake, once."""
    first = machine("a")
    async with working(first, objects, watch) as worker:
        await worker.buy("s1", "s2")
        assert len(keys(objects, f"{BOX}/journal/run-w1-000000")) == 2
        shutil.rmtree(first.outboxes)
    shutil.rmtree(first.root)
    second = machine("b")
    assert second.replica is not None
    assert second.replica.waiting
    assert second.recover_if_idle()
    assert stored(second) == ["s1", "s2"]
    assert "samples/run-w1-000000.parquet" in keys(objects)
    assert keys(objects, "journal") == ["journal/lease"]
    assert not list(second.outboxes.glob("*"))
    assert stored(machine("c")) == ["s1", "s2"]


async def test_full_segments(machine: Machine, objects: Objects, watch: Certain, monkeypatch: pytest.MonkeyPatch):
    """They are parts there, without their commits; whoever takes over has the store copy them to their places."""
    monkeypatch.setattr(journal, "SEGMENT_ROWS", 2)
    first = machine("a")
    async with working(first, objects, watch) as worker:
        await worker.buy("s1", "s2", "s3")
        await asyncio.gather(*worker.journal._landings)
        assert [key.removeprefix(f"{BOX}/") for key in keys(objects, BOX)] == [
            "journal/run-w1-000001/commit-000000",
            "samples/_run-w1-000000.footer",
            "samples/run-w1-000000.parquet",
        ]
        part = objects.get(f"{BOX}/samples/run-w1-000000.parquet")
        shutil.rmtree(first.outboxes)
    shutil.rmtree(first.root)
    sent: list[str] = []
    upload = objects.upload

    def noting(path: str, *given: Any, **more: Any) -> object:
        sent.append(path)
        return upload(path, *given, **more)

    monkeypatch.setattr(objects, "upload", noting)
    assert machine("b").recover_if_idle()
    assert stored(machine("c")) == ["s1", "s2", "s3"]
    copied = objects.get("samples/run-w1-000000.parquet")
    assert part is not None
    assert copied is not None
    assert copied[0] == part[0]
    assert sorted(sent) == ["samples/_run-w1-000001.footer", "samples/run-w1-000001.parquet"]
    assert keys(objects, "journal") == ["journal/lease"]


@pytest.mark.parametrize("until", ["the part", "all"])
async def test_what_a_sample_carries(machine: Machine, objects: Objects, watch: Certain, until: str):
    """It counts once, however far a worker gets that is gone then, and with it what was to be swept yet."""
    first = machine("a")
    async with working(first, objects, watch) as worker:
        with Waste(worker.box.waste, run=worker.box.name) as waste:
            waste.note(**CARRIED)
            worker.depot._sweep(worker.box.waste / "run-w1.jsonl")
            swept = {key: objects.get(key) for key in keys(objects, f"{BOX}/waste")}
            await worker.buy()
            await worker.journal.append([make_sample("s1")], carries=[CARRIED], carried=lambda: waste.take_back([CARRIED]))
            swept |= {key: objects.get(key) for key in keys(objects, f"{BOX}/journal")}
            await worker.journal.settle()
        if until == "the part":
            for key, found in swept.items():
                assert found is not None
                objects.put(key, found[0])
        shutil.rmtree(first.outboxes)
    shutil.rmtree(first.root)
    assert machine("b").recover_if_idle()
    third = machine("c")
    assert stored(third) == ["s1"]
    assert sum(row["cost_usd"] for path in third.waste.glob("*.jsonl") for row in rows_of(path)) == 0
    assert keys(objects, "journal") == ["journal/lease"]


async def test_late_commits_and_parts(machine: Machine, objects: Objects, watch: Certain, monkeypatch: pytest.MonkeyPatch):
    """A worker that hasn't heard that its lake was taken over: what it puts meanwhile is found by the next, and what is there stays."""
    first = machine("a")
    async with working(first, objects, watch) as worker:
        await worker.buy("s1")
        copy = first.outboxes.rename(first.root.parent / "elsewhere")  # nobody sees its lock
        lost = machine("b")
        assert first.replica is not None
        monkeypatch.setattr(first.replica.lease, "_again", lambda **_: None)  # it isn't given back
        monkeypatch.setattr("storage.remote.lease.Lease._over", lambda *_: True)
        assert lost.recover_if_idle()
        made = objects.get("samples/run-w1-000000.parquet")
        copy.rename(first.outboxes)
        await worker.buy("s2")
        assert machine("c").recover_if_idle()
        assert stored(machine("c")) == ["s1", "s2"]
        await worker.journal.settle()  # it makes a part of both
        assert f"{BOX}/samples/run-w1-000000.parquet" in keys(objects)
        await worker.buy("s3")
        assert machine("d").recover_if_idle()
    assert [key for key in keys(objects, "samples") if key.endswith("parquet") and "empty" not in key] == [
        "samples/run-w1-000000.late0.parquet",
        "samples/run-w1-000000.parquet",
        "samples/run-w1-000001.parquet",
    ]
    assert objects.get("samples/run-w1-000000.parquet") == made
    assert stored(machine("e")) == ["s1", "s2", "s3"]
    monkeypatch.undo()
    again = machine("a")
    with again.writing(pytest.fail):  # which has its folder yet
        pass
    assert stored(machine("f")) == ["s1", "s2", "s3"]
    assert keys(objects, "journal") == ["journal/lease"]
    assert not list(again.outboxes.glob("*"))


async def test_a_folder_and_its_depot(machine: Machine, objects: Objects, watch: Certain):
    """Each may have what the other lacks: what the store refused is in the folder, what a restored disk lost is in the store."""
    first = machine("a")
    async with working(first, objects, watch) as worker:
        await worker.buy("s1", "s2")
        watch.over = taken_over("memory://lake", 30)
        with pytest.raises(LeaseLost):
            await worker.buy("s3")
        (segment,) = worker.box.journal.glob("*.jsonl")
        lines = segment.read_bytes().splitlines(keepends=True)
        assert len(lines) == 3
        segment.write_bytes(b"".join(lines[1:]))
        box = worker.box
        assert first.replica is not None
        await worker.die()
        (part,) = box.take_over(first.root, first.waste, first.answers, first.replica.depots)
        assert sorted(pq.read_table(part)["sample_id"].to_pylist()) == ["s1", "s2", "s3"]
        assert not box.folder.exists()
    assert stored(machine("b")) == ["s1", "s2", "s3"]
    assert keys(objects, "journal") == ["journal/lease"]


@pytest.mark.parametrize("broken", ["copy", "upload", "delete"])
async def test_taking_over_is_safe_to_repeat(
    machine: Machine, objects: Objects, watch: Certain, monkeypatch: pytest.MonkeyPatch, broken: str
):
    """Broken off at whatever the store was asked for, and gone on with on that machine or another one, it ends the same."""
    monkeypatch.setattr(journal, "SEGMENT_ROWS", 2)
    first = machine("a")
    async with working(first, objects, watch) as worker:
        await worker.buy("s1", "s2", "s3")
        await asyncio.gather(*worker.journal._landings)
        await worker.die()
        assert first.replica is not None
        with monkeypatch.context() as patched:

            def refuse(*_: Any, **__: Any) -> None:
                raise StorageError("the store answers 500")

            patched.setattr(objects, broken, refuse)
            with pytest.raises(StorageError):
                worker.box.take_over(first.root, first.waste, first.answers, first.replica.depots)
        first.replica.push = lambda: None  # type: ignore[method-assign] - killed
    for name in ("b", "a", "c"):
        with machine(name).writing(pytest.fail):
            pass
        assert stored(machine(name)) == ["s1", "s2", "s3"]
    assert keys(objects, "journal") == ["journal/lease"]


async def test_a_part_that_was_cut_short(machine: Machine, objects: Objects, watch: Certain, monkeypatch: pytest.MonkeyPatch):
    """Half a part in a depot, over which its worker died: its commits are there yet, and count."""
    first = machine("a")
    async with working(first, objects, watch) as worker:
        await worker.buy("s1", "s2")
        monkeypatch.setattr(worker.depot, "_remove", lambda _: None)
        await worker.journal.settle()
        name = f"{BOX}/samples/run-w1-000000.parquet"
        part = objects.get(name)
        assert part is not None
        objects.put(name, part[0][: len(part[0]) // 2])
        shutil.rmtree(first.outboxes)
    shutil.rmtree(first.root)
    assert machine("b").recover_if_idle()
    assert stored(machine("c")) == ["s1", "s2"]
    assert keys(objects, "journal") == ["journal/lease"]


async def test_what_else_was_paid_for(machine: Machine, objects: Objects, watch: Certain, monkeypatch: pytest.MonkeyPatch):
    """Judges' verdicts are there before they count; what was billed in vain and answers that were spare come within seconds."""
    monkeypatch.setattr(sweep, "SWEEP_S", 0.05)
    first = machine("a")
    async with working(first, objects, watch) as worker:
        await worker.buy()
        box = worker.box
        store = VerdictStore(box.verdicts, box.judged, run=box.name, mirror=worker.depot)
        with (
            worker.depot.kept(pytest.fail),
            Waste(box.waste, run=box.name) as waste,
            Answers(box.answers, box.checks, run=box.name) as answers,
        ):
            await store.add([make_verdict("s1")], paid=True)
            waste.note(sample_id="s9", teacher="t", cost_usd=1.0, tokens_in=1, tokens_out=1)
            answers.keep({"address": "yes"})
            async with asyncio.timeout(20):
                while len(keys(objects, BOX)) < 3:  # noqa: ASYNC110 - a thread puts them
                    await asyncio.sleep(0.02)
            answers.keep({"another": "no"})
        segment = store._parts[0].segment
        assert segment is not None
        segment.close()  # killed
        shutil.rmtree(first.outboxes)
    shutil.rmtree(first.root)
    second = machine("b")
    assert second.recover_if_idle()
    (part,) = (second.root / "verdicts").glob("run*.parquet")
    assert pq.read_table(part)["sample_id"].to_pylist() == ["s1"]
    assert len((second.root / "waste" / "run-w1.jsonl").read_bytes().splitlines()) == 1
    assert len((second.root / "answers" / "run-w1.jsonl").read_bytes().splitlines()) == 2
    assert keys(objects, "journal") == ["journal/lease"]
    assert {"waste/run-w1.jsonl", "answers/run-w1.jsonl"} <= set(keys(objects))


async def test_nothing_counts_without_the_lake(machine: Machine, objects: Objects, watch: Certain):
    """Once another machine may have the lake, nothing that is put counts, no part is put, and no commit removed."""
    first = machine("a")
    async with working(first, objects, watch) as worker:
        await worker.buy("s1")
        put = objects.put_async

        async def slow(path: str, data: bytes) -> None:
            await put(path, data)
            watch.over = taken_over("memory://lake", 30)

        objects.put_async = slow  # type: ignore[method-assign]
        with pytest.raises(LeaseLost):
            await worker.buy("s2")
        with pytest.raises(LeaseLost):
            await worker.journal.settle()
        assert [key.removeprefix(f"{BOX}/") for key in keys(objects, BOX)] == [
            "journal/run-w1-000000/commit-000000",
            "journal/run-w1-000000/commit-000001",
        ]


def test_a_worker_that_writes_yet(machine: Machine, objects: Objects):
    """While one is there its outbox is left alone, and the run's lease runs out rather than be free: it may yet count by it."""
    first = machine("a")
    run = first.outboxes / "run"
    with first.writing(pytest.fail), open_run(run):
        worker = Outbox(run / "w1").held()
        worker.__enter__()
        objects.put(f"{BOX}/journal/run-w1-000000/commit-000000", b"")
    assert first.replica is not None
    found = objects.get("journal/lease")
    assert found is not None
    assert b'"free": false' in found[0]
    assert machine("a").recover_if_idle()
    assert keys(objects, BOX)
    worker.__exit__(None, None, None)
    assert machine("a").recover_if_idle()
    assert not keys(objects, BOX)
    found = objects.get("journal/lease")
    assert found is not None
    assert b'"free": true' in found[0]


def test_names(machine: Machine, objects: Objects):
    """Runs and workers are told from the paths alone."""
    objects.put("journal/outbox/by-hand", b"")
    for worker in ("one/w1", "one/w2", "two/w1"):
        objects.put(f"journal/outbox/{worker}/waste/x.jsonl", b"")
    replica = machine("a").replica
    assert replica is not None
    assert replica.depots.known() == ["one/w1", "one/w2", "two/w1"]
