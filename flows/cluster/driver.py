"""The run's side of a cluster: orders go out, what came of them comes in, and outboxes are taken over."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from prefect import Task

from flows.building import Run
from flows.cluster import notes
from flows.cluster.allotments import give_back
from flows.cluster.apart import DRAW, VERIFY
from flows.cluster.bought import bought, untold
from flows.cluster.notes import TICK_S, Brief, Ledger, Refusal, Saved, State
from flows.cluster.options import RunnerOptions
from flows.cluster.purse import Purse
from flows.cluster.runner import Cluster, opened
from flows.process.waiting import GRACE_S, beside, entered, with_grace
from flows.working import first
from storage.disk import writing
from storage.errors import SetupError, StorageError, UserError
from storage.outbox import Outbox, open_run, outboxes
from tasks.draw import Spending
from tasks.orders import Ordered, Staged
from tasks.tally import Tally

ATTEMPTS = 4
"""Workers that a shard may be lost with: one that takes them all down with it is no accident."""
CLOSE_S = 60.0
"""Workers get so long to land and leave; what is in the outbox of one that doesn't is taken over all the same, if later."""
ALONE_S = 60.0
"""After so long without any worker, a person is told."""
CANCEL_S = 5.0
"""A cluster gets so long to hear that a task run isn't waited for any more."""
UNHEARD_S = 20.0
"""So long after a worker has ended, the cluster should have said what became of its task run."""


class _Lost(Exception):
    """A task run ended without a word of the worker's own."""


@dataclass(slots=True)
class _Seen:
    """What the run knows of a worker."""

    box: Outbox
    ledger: Ledger = field(default_factory=Ledger)
    parts: list[Path] | None = None
    """The parts that its samples have become, once its outbox was taken over."""


class Driver:
    """Has shards worked on a cluster, for one run."""

    def __init__(
        self, run: Run, options: RunnerOptions, path: Path, *, draw: Task[..., Any], judge: Task[..., Any] | None = None
    ) -> None:
        """Submit a run of `draw` for each shard, and of `judge` for what it drew; None: whoever draws judges."""
        self._run, self._options, self._draw, self._judge = run, options, draw, judge
        self._folder = run.lake.outboxes / run.build_id
        self._orders = Ordered(run.lake.staging / run.build_id / "orders")
        self._path = path
        self._source = run.at_work.source
        budget = run.progress.budget
        self._before = budget.spent
        self._purse = Purse(max(0.0, budget.usd - budget.spent)) if budget.usd is not None else None
        self._workers: dict[str, _Seen] = {}
        self._asked: dict[tuple[int, str], list[dict[str, Any]]] = {}
        """By shard and what was done with it: what workers noted whose outbox was taken over before the run had heard of it."""
        self._state = State()
        self._looking = asyncio.Lock()
        self._since = time.monotonic()
        self._stopped: float | None = None

    async def work(self, shards: Sequence[int]) -> None:
        """Have shards worked. What the user can mend stops the run."""
        with writing(self._orders.folder):
            self._orders.folder.mkdir(parents=True, exist_ok=True)
        with open_run(self._folder):
            spec = self._run.spec.model_dump(mode="json", exclude={"runner"}, exclude_unset=True)
            replica = self._run.lake.replica
            brief = Brief(
                build_id=self._run.build_id,
                lake=str(self._run.lake.root),
                store=replica.url if replica is not None else None,
                lease=(replica.lease.name or "") if replica is not None else "",
                orders=str(self._orders.folder),
                spec=spec,
                path=str(self._path),
                apart=self._judge is not None,
            )
            notes.write(self._folder / "brief.json", brief)
            notes.write(self._folder / "state.json", self._state)
            try:
                async with entered(opened(self._options, (DRAW, VERIFY) if self._judge is not None else ())) as cluster:
                    try:
                        async with self._attended():
                            await with_grace(self._run.stop, self._all(cluster, shards), in_flight=self._in_flight)
                    finally:
                        await self._close(CLOSE_S)
            finally:
                await self._close(CLOSE_S)  # where workers had to be ended with their cluster
                self._check_all_came()
                for name in ("brief.json", "state.json"):
                    (self._folder / name).unlink(missing_ok=True)

    async def _all(self, cluster: Cluster, shards: Sequence[int]) -> None:
        numbers = iter(shards)

        async def place() -> None:
            for number in numbers:
                if self._run.stop or not await self._drawn(cluster, number):
                    return
                if self._judge is not None:
                    group.create_task(self._judged(cluster, number, self._judge))
                else:
                    self._orders.path(number).unlink(missing_ok=True)

        async with asyncio.TaskGroup() as group:
            # One more for each place, so that no worker waits for its next order.
            for _ in range(min(len(shards), 2 * cluster.places)):
                group.create_task(place())

    async def _drawn(self, cluster: Cluster, number: int) -> bool:
        """Have one shard drawn, and take what was noted of it. False: the run stops."""
        try:
            rows = await self._one(cluster, number, self._draw, DRAW if self._judge else None)
            if rows is not None:
                self._run.at_work.asked.extend(rows)
                self._run.at_work.worked[number] = len(rows)
        except* UserError as errors:  # the disk's refusal too: the outcomes of others may be gone with these
            self._run.stop.set(first(errors))
        return not self._run.stop

    async def _judged(self, cluster: Cluster, number: int, judge: Task[..., Any]) -> None:
        try:
            await self._one(cluster, number, judge, VERIFY)
        except* UserError as errors:
            self._run.stop.set(first(errors))

    async def _one(self, cluster: Cluster, shard: int, task: Task[..., Any], part: str | None) -> list[dict[str, Any]] | None:
        """Have one shard drawn or judged, by another worker where one was lost with it; return what was noted of it.

        None: the run stops.
        """
        kind = part or DRAW
        if kind == DRAW:
            await asyncio.to_thread(self._write, shard)
        lost: list[str] = []
        error: BaseException | None = None
        for attempt in range(ATTEMPTS):
            order = self._orders.order(shard, kind, attempt)
            parameters = {"dataset": self._run.spec.dataset, "shard": shard, "attempt": attempt, "folder": str(self._folder)}
            try:
                counts = await self._submitted(cluster, task, parameters, part, order)
            except _Lost as lost_with:
                counts, error = {"taken": 1}, lost_with.__cause__
            if self._run.stop:
                return None
            whose = await asyncio.to_thread(self._claimed, order)
            if whose is None:  # lost before it had begun
                await asyncio.sleep(TICK_S)
                continue
            rows = await self._rows(shard, kind, whose, patient=bool(counts.keys() & {"taken", "stopped"}))
            if rows is not None or self._run.stop:
                return rows
            if whose.parts is None:
                raise AssertionError(f"shard {shard} was given up by a worker that is there")
            lost.append(whose.box.name)
            self._run.say(f"shard {shard}: its worker {whose.box.folder.name} was lost; another goes on with what it had bought")
            notes.write(self._orders.order(shard, kind, attempt + 1).with_suffix(".saved.json"), Saved(outboxes=lost))
        raise SetupError(
            f"shard {shard} was lost with {ATTEMPTS} workers, one after the other ({error or 'they ended by themselves'}): see "
            "whether they lack memory, or have another version of stillhouse; what was paid for is landed, and a rerun goes on"
        )

    async def _submitted(
        self, cluster: Cluster, task: Task[..., Any], parameters: dict[str, Any], part: str | None, order: Path
    ) -> dict[str, int]:
        """Have an order carried out, and return the worker's counts. Raise _Lost where it may have been lost with its worker."""
        try:
            counts = await self._heard(cluster.run(task, parameters, part), order)
        except (UserError, _Lost):
            raise
        except Exception as error:
            if order.with_suffix(".failed").exists():  # it was the work itself
                raise
            # A cluster has many ways to say that a worker is gone, or isn't heard of, and may work on.
            raise _Lost from error
        if "stopped" in counts:
            await self._look()  # it may be the worker's own finding
        if "unseen" in counts:
            what = "the lake" if self._run.lake.replica is None else "the working copy (STILLHOUSE_CACHE)"
            raise SetupError(
                f"a worker doesn't see {self._folder}: {what} must be in a folder that all machines share, under the same path"
            )
        if "refused" in counts:
            refusal = notes.read(Refusal, order.with_suffix(".refused.json"))
            raise notes.raised(refusal.problem if refusal else ("SetupError", "a worker refused its order"))
        return counts

    async def _heard(self, running: Coroutine[Any, Any, dict[str, int]], order: Path) -> dict[str, int]:
        """Return what a task run returns. Raise _Lost where the worker that took the order has ended, and nobody says so.

        A cluster may forget to: Dask now and then leaves a future pending whose worker was killed.
        """
        task = asyncio.create_task(running)
        ended = 0.0
        try:
            while not (await asyncio.wait({task}, timeout=1.0))[0]:
                if not await asyncio.to_thread(self._has_ended, order):
                    ended = 0.0
                elif not ended:
                    ended = time.monotonic()
                elif time.monotonic() - ended > UNHEARD_S:
                    raise _Lost from TimeoutError(f"its worker has ended, and the cluster didn't say so within {UNHEARD_S:.0f} s")
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=CANCEL_S)  # the cluster is told, while it is there

    def _has_ended(self, order: Path) -> bool:
        whose = self._claimed(order)
        return whose is not None and (whose.parts is not None or whose.box.is_free())

    def _write(self, shard: int) -> None:
        if not isinstance(self._source, Staged):
            raise TypeError("only what a workspace has can be ordered")
        self._source.write(shard, self._orders.path(shard))

    def _claimed(self, order: Path) -> _Seen | None:
        """Return the worker that took an order; None where nobody did, or who took it was killed before it had signed."""
        claim, name = order.with_suffix(".claim"), ""
        try:
            if not (name := claim.read_text(encoding="utf-8")):
                time.sleep(TICK_S)  # it may be signing just now
                name = claim.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        return self._workers.setdefault(name, _Seen(Outbox(self._folder / name))) if name else None

    async def _rows(self, shard: int, kind: str, whose: _Seen, *, patient: bool) -> list[dict[str, Any]] | None:
        """Return what a worker noted of a shard; None where it was lost before, or the run stops.

        `patient`: it works on it, as far as anybody knows.
        """
        while True:
            async with self._looking:
                free = whose.parts is None and await asyncio.to_thread(whose.box.is_free)
                path = whose.box.noted(shard, kind)
                if whose.parts is None and path.exists():
                    return await asyncio.to_thread(notes.asked, path)
                if free:
                    await self._take_over(whose)
            if (shard, kind) in self._asked:
                return self._asked.pop((shard, kind))
            if whose.parts is not None or self._run.stop or not patient:
                return None
            await asyncio.sleep(TICK_S)

    async def _take_over(self, seen: _Seen) -> None:
        """Take over an outbox whose worker has ended. Whoever calls this holds `_looking`."""
        box = seen.box
        ledger = await asyncio.to_thread(notes.read, Ledger, box.ledger) or seen.ledger
        self._note(seen, ledger)
        self._run.progress.afar[box.folder.name] = notes.lines(ledger, over=True)
        for path in sorted(box.asked.glob("*.parquet")):
            number, kind = path.stem.split("-")
            if kind == VERIFY or int(number) not in self._run.at_work.worked:
                self._asked[int(number), kind] = await asyncio.to_thread(notes.asked, path)
        lake = self._run.lake
        depots = lake.replica.depots if lake.replica is not None else None
        seen.parts = await asyncio.to_thread(box.take_over, lake.root, lake.waste, lake.answers, depots)
        if not ledger.closed:
            self._run.at_work.verdicts_lost = True  # those that cost nothing may not have been on disk
            teachers = [each.name for each in self._run.spec.teachers]
            self._make_good(seen, await asyncio.to_thread(bought, lake, box.name, seen.parts, teachers))
            await give_back(ledger.leases)

    def _make_good(self, seen: _Seen, found: Spending) -> None:
        """Count what a lost worker bought and had not told."""
        more = untold(notes.spending_of(seen.ledger.spending), found)
        notes.add(self._run.progress.spending, more, Spending())
        spent = seen.ledger.spent + more.cost_usd
        name = seen.box.folder.name
        returned = self._purse.granted.get(name, 0.0) - spent if self._purse is not None else 0.0
        seen.ledger = Ledger(host=seen.ledger.host, pid=seen.ledger.pid, spent=spent, returned=returned, closed=True)
        self._count()

    def _note(self, seen: _Seen, ledger: Ledger) -> None:
        """Take note of what a worker tells."""
        progress = self._run.progress
        notes.add(progress.spending, notes.spending_of(ledger.spending), notes.spending_of(seen.ledger.spending))
        for each in fields(Tally):
            more = ledger.tally.get(each.name, 0) - seen.ledger.tally.get(each.name, 0)
            setattr(progress.tally, each.name, getattr(progress.tally, each.name) + more)
        progress.passing.add(seen.ledger.passing, less=True)
        progress.passing.add(ledger.passing)
        progress.afar[seen.box.folder.name] = notes.lines(ledger)
        seen.ledger = ledger
        self._count()
        if ledger.later is not None:
            self._run.stop.put_off(notes.raised(ledger.later))
        if ledger.stopped is not None and not self._run.stop:
            self._run.stop.set(notes.raised(ledger.stopped))

    def _in_flight(self) -> int:
        """Return how many requests workers have in flight, now that the run stops. Who is lost tells no more of theirs."""
        longest = max(desk.options.timeout_s for desk in self._run.progress.desks)
        self._stopped = self._stopped or time.monotonic()
        over = time.monotonic() > self._stopped + longest + GRACE_S
        return 0 if over else sum(line.in_flight for lines in self._run.progress.afar.values() for line in lines)

    def _count(self) -> None:
        self._run.progress.budget.spent = self._before + sum(seen.ledger.spent for seen in self._workers.values())

    @contextlib.asynccontextmanager
    async def _attended(self) -> AsyncIterator[None]:
        """Look at the workers every moment."""

        async def attend() -> None:
            while True:
                try:
                    await self._look()
                except UserError as error:
                    self._run.stop.set(error)
                except Exception as error:
                    # A defect, which is raised when the run has ended: nobody would grant, or tell workers, any more.
                    self._run.stop.set(StorageError(f"{self._folder}: can't be looked at any more: {error!r}"))
                    raise
                if not self._workers and time.monotonic() - self._since > ALONE_S:
                    self._run.say(f"no worker of the cluster has taken an order for {ALONE_S:.0f} s; waiting for one")
                    self._since = float("inf")
                await asyncio.sleep(TICK_S)

        async with beside(attend()):
            yield

    async def _look(self) -> None:
        """Read what the workers tell, and tell them how things are."""
        async with self._looking:
            for box in await asyncio.to_thread(outboxes, self._folder):
                seen = self._workers.setdefault(box.folder.name, _Seen(box))
                if seen.parts is None and (ledger := await asyncio.to_thread(notes.read, Ledger, box.ledger)) is not None:
                    self._note(seen, ledger)
            stop, purse = self._run.stop, self._purse
            if purse is not None:
                purse.look({name: seen.ledger for name, seen in self._workers.items()})
                if purse.exhausted and not stop:
                    stop.set(self._run.progress.budget.exhausted())
            await self._tell(closing=False)

    async def _tell(self, *, closing: bool) -> None:
        reason = self._run.stop.reason
        state = State(
            stop=notes.told(reason) if reason is not None else None,
            hurried=self._run.stop.hurried,
            closing=closing,
            granted=dict(self._purse.granted) if self._purse is not None else {},
        )
        if state != self._state:
            await asyncio.to_thread(notes.write, self._folder / "state.json", state)
            self._state = state

    async def _close(self, within_s: float) -> None:
        """Let the workers land and leave, and take over their outboxes."""
        until = time.monotonic() + within_s
        async with self._looking:
            await self._tell(closing=True)
            while True:
                left = await asyncio.to_thread(outboxes, self._folder)
                for box in left:
                    seen = self._workers.setdefault(box.folder.name, _Seen(box))
                    if await asyncio.to_thread(box.is_free):
                        await self._take_over(seen)
                if all(self._workers[box.folder.name].parts is not None for box in left):
                    return
                if time.monotonic() > until:
                    return
                await asyncio.sleep(TICK_S / 5)

    def _check_all_came(self) -> None:
        """Stop the run where an outbox is left: what a shard was counted by may be in it, and its slots would be found failed."""
        if (left := outboxes(self._folder)) and not self._run.stop:
            self._run.stop.set(
                StorageError(
                    f"{left[0].folder}: its worker doesn't land what it bought; end it (its ledger.json says where it runs) and "
                    "start again: nothing is bought twice"
                )
            )
