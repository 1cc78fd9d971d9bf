"""A worker: one process's part in one build. It is opened by the first order that reaches the process, and leaves with the run.

It has an event loop of its own, in a thread: the cluster's threads bring orders and wait for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import os
import secrets
import socket
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import uvloop

from flows import judging, wiring
from flows.checks import ready
from flows.cluster import notes
from flows.cluster.allotments import Allotments, accounts
from flows.cluster.apart import DRAW, VERIFY, Apart
from flows.cluster.notes import TICK_S, Brief, Ledger, Refusal, Saved, State
from flows.cluster.purse import Allowance, MeteredDesk
from flows.process.waiting import with_grace
from flows.spec import Spec
from flows.working import first
from storage import memory
from storage.answers import Answers
from storage.errors import Interrupted, SetupError, UserError
from storage.identity import sample_id
from storage.journal import Journal
from storage.lake import Lake
from storage.outbox import Outbox, run_lives
from storage.parquet import write_rows
from storage.records import Sample, Verdict
from storage.rows import sample_of
from storage.verdicts import VerdictStore
from storage.waste import Waste
from tasks.asking.pace import Cell, Own
from tasks.draw import Budget, Draw
from tasks.orders import PROMPTS, Loaded, Ordered
from tasks.shard import ASKED, Shards
from tasks.stop import Stop
from tasks.verify import Verification, alone

if TYPE_CHECKING:
    from storage.remote.depot import Depot

logger = logging.getLogger(__name__)
TRIES = 3
"""Of a shard that raises, as where a run works its shards itself."""
_workers: dict[str, Worker] = {}
_opening = threading.Lock()


def work(folder: str, shard: int, kind: str, attempt: int) -> dict[str, int]:
    """Draw or judge a shard of the run whose folder this is, and return its counts.

    `taken`: somebody has it. `refused`: this process can't work for the run at all, and says why beside the order. `stopped`: the
    run ends, and the shard may not have been worked to its end. `unseen`: the folder isn't there, on this machine.
    """
    where = Path(folder)
    brief = notes.read(Brief, where / "brief.json")
    if brief is None or not run_lives(where):
        return {"stopped": 1} if where.is_dir() else {"unseen": 1}
    order = Ordered(Path(brief.orders)).order(shard, kind, attempt)
    try:
        with _opening:
            worker = _workers.get(folder)
            if worker is None or worker.closed:
                if (notes.read(State, where / "state.json") or State()).closing:
                    return {"stopped": 1}
                worker = _workers[folder] = Worker(where, brief, left=lambda: _workers.pop(folder, None))
                worker.start()
    except UserError as error:
        notes.write(order.with_suffix(".refused.json"), Refusal(problem=notes.told(error)))
        return {"refused": 1}
    try:
        with order.with_suffix(".claim").open("x") as claim:
            claim.write(worker.box.folder.name)
    except FileExistsError:
        return {"taken": 1}
    except FileNotFoundError:  # the run has ended
        return {"stopped": 1}
    try:
        return worker.work(shard, kind, attempt)
    except Exception:
        with contextlib.suppress(OSError):  # the run has ended, and nobody looks for it
            order.with_suffix(".failed").touch()
        raise


class Worker:
    """One process's part in one build."""

    def __init__(self, folder: Path, brief: Brief, *, left: Callable[[], object] = lambda: None) -> None:
        """Name it; `start` makes all that it works with. `left` hears when it has landed and left."""
        self._folder, self._brief, self._left = folder, brief, left
        self._lake = Lake(Path(brief.lake))
        self.box = Outbox(folder / f"{socket.gethostname()[:32]}-{os.getpid()}-{secrets.token_hex(3)}")
        self._orders = Path(brief.orders)
        self._loop = uvloop.new_event_loop()
        # With the context of the task that came first: Prefect's settings are in it.
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._run,), name="stillhouse-worker", daemon=True)
        self._opened = threading.Event()
        self._problem: BaseException | None = None
        self._active: Counter[str] = Counter()
        self._ready = self._closing = self._quiet = False
        self.closed = False
        """Whether it has landed and left."""

    def start(self) -> None:
        """Make all that it works with. Raise UserError where something isn't there."""
        memory.settle()
        self._thread.start()
        self._opened.wait()
        if self._problem is not None:
            raise self._problem

    def work(self, shard: int, kind: str, attempt: int) -> dict[str, int]:
        """Carry out an order, from one of the cluster's threads."""
        try:
            order = asyncio.run_coroutine_threadsafe(self._order(shard, kind, attempt), self._loop)
        except RuntimeError:  # it has left
            return {"stopped": 1}
        while True:
            try:
                return order.result(timeout=TICK_S)
            except TimeoutError:
                if self.closed and not order.done():
                    return {"stopped": 1}

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._live())
        except BaseException as error:
            self._problem = error
            if self._opened.is_set():  # else whoever waits for it to open hears of it
                if isinstance(error, UserError):
                    logger.warning("%s ended: %s", self.box.name, error)
                else:
                    logger.exception("%s ended", self.box.name)
        finally:
            self.closed = True
            self._left()
            self._opened.set()
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    async def _live(self) -> None:
        """Be there until the run ends, or closes."""
        self._stop = Stop()
        self._idle = asyncio.Event()
        async with contextlib.AsyncExitStack() as stack:
            await self._open(stack)
            self._opened.set()
            try:
                await self._attend()
            finally:
                await self._leave()

    async def _open(self, stack: contextlib.AsyncExitStack) -> None:
        spec, path, box = Spec.model_validate(self._brief.spec), Path(self._brief.path), self.box
        made = await stack.enter_async_context(wiring.open_teachers(spec, path, keys=True))
        depot = await asyncio.to_thread(self._depot)
        stack.enter_context(box.held())
        stack.push(self._report_closed)
        if depot is not None:
            stack.enter_context(depot.kept(self._stop.from_threads()))
            await depot.certain()  # what was bought before that might not count
        store = await stack.enter_async_context(VerdictStore(box.verdicts, box.judged, run=box.name, mirror=depot))
        waste = stack.enter_context(Waste(box.waste, run=box.name))
        journal = await stack.enter_async_context(Journal(box.journal, box.samples, run=box.name, mirror=depot))
        answers = stack.enter_context(Answers(self._lake.answers, box.checks, run=box.name, to=box.answers))
        budget = Budget(None)
        self._allowance = Allowance(budget) if spec.budget else None
        cells: defaultdict[str, tuple[Cell, Cell]] = defaultdict(lambda: (Own(), Own()))
        desks = [
            wiring.one_by_one(each, lines, self._stop, cells.__getitem__) for each, lines in zip(spec.teachers, made, strict=True)
        ]
        verifiers = alone(judging.make_verifiers(spec, path))
        judges = {name for named in verifiers for name in judging.asks(named.verifier)}
        self._allotments = Allotments(accounts(made, desks, judges))
        if self._allowance is not None:
            desks = [MeteredDesk(desk, self._allowance, self._stop) for desk in desks]
        asking = frozenset(arm.teacher.name for arm in spec.arms)
        self._draw = Draw(sampling=spec.sampling, journal=journal, budget=budget, stop=self._stop, waste=waste, asking=asking)
        self._desks = desks
        verifiers = judging.with_desks(verifiers, spec, desks, self._draw.spending, budget, self._stop, answers=answers)
        self._verification = Verification(
            verifiers, store, self._stop.set, workers=len(os.sched_getaffinity(0)), waste=waste, answers=answers
        )
        stack.callback(self._verification.close)
        await ready(verifiers)
        drawing = {desk.options.name: desk for desk in desks}
        self._apart = Apart(self._orders, self._verification) if self._brief.apart else None
        self._shards = Shards(
            source=Ordered(self._orders),
            template=wiring.template(spec, path),
            desks=[drawing[arm.teacher.name] for arm in spec.arms],
            strategies=[arm.strategy for arm in spec.arms],
            draw=self._draw,
            verification=self._apart or self._verification,
            rule=judging.rule(spec, verifiers),
            asked=self,
            cascades=spec.cascades,
        )
        await stack.enter_async_context(self._allotments.kept())
        self._ready = True
        self._report()

    def _depot(self) -> Depot | None:
        """Reach the object store that the lake is in, where it is in one. Raise SetupError where this process can't."""
        if self._brief.store is None:
            return None
        from storage.remote.depot import Depot

        try:
            return Depot.open(self._brief.store, self._brief.lease, self._lake.root, self.box)
        except UserError as error:
            raise SetupError(f"a worker on {socket.gethostname()}, with its own environment: {error}") from None

    def extend(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Note what a shard asked for, where the run finds it. Not where it was told to stop: some of it may be missing then."""
        if self._stop.later is not None:
            self._report()  # first: with its rows alone, nobody would know that some are missing
        if rows and not self._stop:
            shard = rows[0]["ord"] // PROMPTS
            if self._apart is not None:
                self._apart.hand_over(shard)  # first: a shard that is noted is judged next, whatever becomes of this worker
            write_rows(self.box.noted(shard, DRAW), ASKED, rows)

    async def _order(self, shard: int, kind: str, attempt: int) -> dict[str, int]:
        if self._closing:
            return {"stopped": 1}
        self._active[kind] += 1
        self._idle.clear()
        self._ask()
        self._report()
        try:
            counts = await with_grace(self._stop, self._tried(shard, attempt) if kind == DRAW else self._judged(shard, attempt))
        except* UserError as group:
            self._stop.set(first(group))
            counts = None
        finally:
            self._active[kind] -= 1
            self._ask()
            if not self._active.total():
                self._idle.set()
                if self._allowance is not None:
                    self._allowance.give_back()
            self._report()
        return counts if counts is not None and not self._stop else {"stopped": 1}

    def _ask(self) -> None:
        """Have a share of what the teachers allow that are asked by what is at work."""
        kinds = {kind for kind, orders in self._active.items() if orders}
        self._allotments.set(kinds if self._apart is not None or not kinds else {DRAW, VERIFY})

    async def _tried(self, shard: int, attempt: int) -> dict[str, int]:
        if (saved := notes.read(Saved, self._saved_at(shard, DRAW, attempt))) is not None:
            await self._shards.resume(shard, *await self._saved(shard, saved))
        if self._apart is not None:
            await asyncio.to_thread(self._apart.expect, shard)
        for left in reversed(range(TRIES)):
            try:
                counts = await self._shards.work(shard)
            except Exception as error:
                if self._stop or not left or (isinstance(error, ExceptionGroup) and error.subgroup(UserError)):
                    raise
                await asyncio.sleep(1)
            else:
                for desk in self._desks:
                    await desk.conclude()
                return counts
        raise AssertionError("the last try returns or raises")

    async def _judged(self, shard: int, attempt: int) -> dict[str, int]:
        """Judge what another worker drew of a shard."""
        if self._apart is None:
            raise AssertionError("shards are judged where they are drawn")
        saved = notes.read(Saved, self._saved_at(shard, VERIFY, attempt))
        _, verdicts = await self._saved(shard, saved) if saved is not None else ({}, {})
        counts = await self._apart.judge_shard(shard, verdicts, self._shards.rule)
        await self._verification.flush()
        write_rows(self.box.noted(shard, VERIFY), ASKED, ())
        return counts

    def _saved_at(self, shard: int, kind: str, attempt: int) -> Path:
        return Ordered(self._orders).order(shard, kind, attempt).with_suffix(".saved.json")

    async def _saved(self, shard: int, saved: Saved) -> tuple[dict[str, Sample], dict[str, list[Verdict]]]:
        """Return what a worker that was lost had bought and judged of a shard."""
        source = Ordered(self._orders)
        return await asyncio.to_thread(_saved, self._lake, saved.outboxes, lambda: source.load(shard))

    async def _attend(self) -> None:
        """Look at the run until it closes or is gone."""
        while True:
            state = await asyncio.to_thread(self._look)
            if state is None:
                self._stop.set(Interrupted("the run has ended; what was paid for is in its outbox, and a rerun goes on"))
                return
            if state.stop is not None:
                self._stop.set(notes.raised(state.stop))
            if state.hurried:
                self._stop.hurry()
            if self._stop and self._allowance is not None:
                self._allowance.end()
            elif self._allowance is not None:
                self._allowance.grant(state.granted.get(self.box.folder.name, 0.0))
            if state.closing:
                return
            self._report()
            await asyncio.sleep(TICK_S)

    def _look(self) -> State | None:
        if not run_lives(self._folder):
            return None
        return notes.read(State, self._folder / "state.json") or State()

    async def _leave(self) -> None:
        """Let the orders at work come to their end: they were told to stop, or there are none."""
        self._closing = True
        if self._allowance is not None:
            self._allowance.end()
        if self._active.total():
            self._quiet = not self._stop
            self._stop.set(Interrupted("the run closes; what was paid for is in its outbox, and a rerun goes on"))
            await self._idle.wait()

    def _report_closed(self, kind: type[BaseException] | None, *_: object) -> None:
        self._report(closed=kind is None)  # else the run makes good what couldn't be landed

    def _report(self, *, closed: bool = False) -> None:
        if not self._ready:
            return
        allowance = self._allowance
        ledger = Ledger(
            host=socket.gethostname(),
            pid=os.getpid(),
            active=self._active.total(),
            spent=self._draw.budget.spent,
            returned=allowance.returned if allowance else 0.0,
            wants=allowance is not None and allowance.wants,
            starved=allowance is not None and allowance.starved,
            spending=asdict(self._draw.spending),
            tally=asdict(self._shards.tally) | (self._apart.tally if self._apart else {}),
            passing=(self._apart or self._shards).passing.totals(),
            lines=[state.as_dict() for desk in self._desks for state in desk.states()],
            leases=self._allotments.leases,
            later=notes.told(self._stop.later) if self._stop.later else None,
            stopped=notes.told(self._stop.reason) if self._stop.reason and not self._quiet else None,
            closed=closed,
        )
        notes.write(self.box.ledger, ledger)


def _saved(lake: Lake, names: Sequence[str], load: Callable[[], Loaded]) -> tuple[dict[str, Sample], dict[str, list[Verdict]]]:
    """Return what outboxes that were taken over had of a shard: samples, without their distributions, and their verdicts."""
    _, slots = load()
    every = (slot for by_arm in slots.values() for own in by_arm.values() for slot in own)
    wanted = [("sample_id", "in", [sample_id(slot.key, slot.sample_index) for slot in every])]
    samples: dict[str, Sample] = {}
    verdicts: defaultdict[str, list[Verdict]] = defaultdict(list)
    for name in names:
        for part in sorted((lake.root / "samples").glob(f"{name}-*.parquet")):
            columns = [column for column in pq.read_schema(part).names if column != "logprobs"]
            for row in pq.read_table(part, columns=columns, filters=wanted).to_pylist():
                samples[row["sample_id"]] = sample_of(row)
        for part in sorted((lake.root / "verdicts").glob(f"{name}-*.parquet")):
            for row in pq.read_table(part, filters=wanted).to_pylist():
                verdicts[row["sample_id"]].append(Verdict(**row))
    return samples, verdicts
