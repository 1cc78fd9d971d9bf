"""A build, step by step: what `flows.build` runs as a Prefect flow.

    read and gate → grow prompts → prepare → judge what is stored → shards: draw and verify → curate → land

Whatever ends it early (a signal, the budget, a teacher that is down, a defect), leaving the run lands what was paid for.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from flows import judging, landing, rights, scorers, wiring
from flows.checks import bar, check, check_prompts, ready, verify_parts
from flows.exporting import export_all
from flows.foresight import foresee
from flows.growth import Growth
from flows.loading import placed
from flows.process.waiting import entered
from flows.progress import Progress, Say
from flows.spec import Spec
from storage import memory
from storage.answers import Answers
from storage.intents import Intents, settle
from storage.journal import Journal
from storage.lake import Lake
from storage.parquet import PartWriter
from storage.verdicts import VerdictStore
from storage.waste import Waste
from storage.wording import counted
from storage.workspace import Workspace
from tasks import barred, costs, lapsed, outcomes, unwanted
from tasks.batches import underway
from tasks.batches.batch import BatchDesk
from tasks.concerns import concerns
from tasks.draw import Budget, Draw
from tasks.duplicates.digests import digests
from tasks.growth.counts import GrownCounts
from tasks.guard_diversity import guard_diversity
from tasks.license import licenses
from tasks.measures import breakdown
from tasks.measures.measure import measure
from tasks.orders import PROMPTS, Staged
from tasks.outcomes import Answered, Counts
from tasks.prepare import Prepared, spread
from tasks.rejudge import judge_stored
from tasks.report import Summary
from tasks.rights.terms import load
from tasks.second_chance import dedup_and_decontaminate, narrow
from tasks.select import sift
from tasks.selection import student_loss
from tasks.selection.split import split
from tasks.shard import ASKED, Shards
from tasks.snapshot import snapshot, snapshot_grown
from tasks.stop import Stop
from tasks.strategies import tags_of
from tasks.together import judge_together
from tasks.verify import Verification, alone, together


def new_id() -> str:
    """Return a name for a run that sorts by its time."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


class Run:
    """One build of one spec on one lake, as an async context manager. Its methods are the steps, in order."""

    def __init__(
        self, spec: Spec, path: Path, lake: Lake, *, progress: Progress | None = None, say: Say = lambda _: None
    ) -> None:
        """Name what to build; nothing is read or written yet."""
        memory.settle()
        self.spec, self.lake = spec, lake
        self.build_id = new_id()
        self.stop = Stop()
        self.progress = progress or Progress()
        self.path, self.say = path, say
        self.approvals: Sequence[Mapping[str, Any]] = ()
        """What persons approved of this very run, for its manifest."""
        self._began = time.monotonic()
        self._budget = self.progress.budget = Budget(spec.budget.usd if spec.budget else None)
        self._stack = contextlib.AsyncExitStack()
        self._growth: Growth | None = None

    async def __aenter__(self) -> Self:
        """Take the lake's lock and make everything that the steps use."""
        await asyncio.to_thread(self._check)  # which may read tokenizers, and ask an export's store whether it may write
        try:
            await self._open_lake()
            await self._open_desks()
            await self._open_verification()
            self._stack.enter_context(memory.rarely_collected())  # now that all of it is loaded
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def _open_lake(self) -> None:
        """Take the lake's lock, and open all that is written to it."""
        stack, lake, run = self._stack, self.lake, self.build_id
        self.teachers = await stack.enter_async_context(wiring.open_teachers(self.spec, self.path, keys=True))
        await stack.enter_async_context(entered(lake.writing(self.say, check=self.stop.check, lost=self.stop.from_threads())))
        await asyncio.to_thread(verify_parts, lake, self.spec, self.say, check=self.stop.check)
        self._workspace = stack.enter_context(Workspace(lake, lake.staging / run))
        self._intents = intents = Intents(lake.batches, keeper=lake.replica)
        await asyncio.to_thread(settle, intents, self._workspace)
        # Once the journal has landed, whatever ended the run.
        stack.push_async_callback(asyncio.to_thread, settle, intents, self._workspace)
        # Left after the journal, which gives its reserve back to a full disk first, and takes back waste that its samples carry.
        store = VerdictStore(lake.root / "verdicts", lake.judged, run=run, mirror=lake.replica)
        self._store = await stack.enter_async_context(store)
        self._waste = stack.enter_context(Waste(lake.waste, run=run))
        journal = Journal(lake.journal, lake.root / "samples", run=run, mirror=lake.replica)
        self._journal = await stack.enter_async_context(journal)
        self._answers = stack.enter_context(Answers(lake.answers, lake.checks, run=run))

    async def _open_desks(self) -> None:
        opened = partial(wiring.open_desk, intents=self._intents, budget=self._budget, say=self.say, board=self.progress.batches)
        made = zip(self.spec.teachers, self.teachers, strict=True)
        self._desks = [opened(options, lines, self.stop) for options, lines in made]
        self.progress.desks = self._desks
        for desk in self._desks:
            if isinstance(desk, BatchDesk):
                await self._stack.enter_async_context(desk)

    async def _open_verification(self) -> None:
        self._verifiers = judging.with_desks(
            judging.make_verifiers(self.spec, self.path),
            self.spec,
            self._desks,
            self.progress.spending,
            self._budget,
            self.stop,
            answers=self._answers,
        )
        for warning in (*judging.biased(self.spec, self._verifiers), *judging.undecided(self.spec, self._verifiers)):
            self.say(warning)
        self._rule = judging.rule(self.spec, self._verifiers)
        self._alone = alone(self._verifiers)
        self._rule_alone = judging.rule(self.spec, self._alone)
        self._verification = Verification(
            self._verifiers,
            self._store,
            self.stop.set,
            workers=len(os.sched_getaffinity(0)),
            waste=self._waste,
            answers=self._answers,
        )
        self._stack.callback(self._verification.close)
        await ready(self._verifiers)

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    def _check(self) -> None:
        """Raise what can be known of the spec before a prompt is read."""
        check(self.spec, self.path, self.lake)
        terms = load(self.spec.licenses.terms)
        self._bounds = rights.bounds(self.spec, self.path, terms)
        self._inherited = rights.inherited(self.spec, self.path, terms)

    async def grow(self, most: int | None = None) -> list[GrownCounts]:
        """Grow prompts where the spec says so, and return what came of it. `most`: buy so many answers of a round."""
        self.progress.stage = "growing prompts"
        self._heldout = await asyncio.to_thread(wiring.heldout, self.spec, self.path, self.say, self.stop)
        self._growth = Growth(
            spec=self.spec,
            grown=wiring.growing(self.spec, self._workspace, self.teachers, self._heldout),
            workspace=self._workspace,
            desks=self._desks,
            journal=self._journal,
            intents=self._intents,
            budget=self._budget,
            foresee=lambda: self._foresee(probing=most is not None),
            stop=self.stop,
            spending=self.progress.spending,
            waste=self._waste,
            say=self.say,
            wants=self.progress.wants,
        )
        with placed(self.path):
            await self._growth.grow(most)
        return self._growth.counts()

    def _foresee(self, *, probing: bool) -> float:
        with Workspace(self.lake, self.lake.staging / f"{self.build_id}-before") as own:
            given = (self.spec, self.path, own, self.lake, self.teachers, self._heldout, self._verifiers)
            return foresee(*given, stop=self.stop, say=self.say, probing=probing)

    async def prepare(self) -> Prepared:
        """Stage prompts and find what is missing. What a spec grows must have been grown."""
        self.progress.stage = "reading prompts"
        if self.spec.growers and self._growth is None:
            raise AssertionError("prompts were to be grown first")
        grown = self._growth.grown if self._growth is not None else None
        prepared = await asyncio.to_thread(
            wiring.prepared, self.spec, self.path, self._workspace, self.teachers, stop=self.stop, grown=grown
        )
        await asyncio.to_thread(check_prompts, self._workspace, self.spec, self.path, prepared, self.say)
        prepared = await asyncio.to_thread(self._bar, prepared)
        await asyncio.to_thread(underway.check, self._workspace, self._intents, [arm.teacher for arm in self.spec.arms])
        await asyncio.to_thread(unwanted.find, self._workspace, [arm.teacher.retry for arm in self.spec.arms])
        # Before anything is judged, since what that costs is billed as it is spent.
        spent = await asyncio.to_thread(costs.spent, self._workspace)
        # What growing was billed in vain by this run isn't in the lake's tables yet.
        self._budget.spent = spent if self._growth is None else max(spent, self._budget.spent)
        if prepared.folded:
            self.say(f"{counted(prepared.folded, 'prompt', 'repeats another and counts', 'repeat others and count')} once")
        for stage, prompts in (await asyncio.to_thread(barred.counts, self._workspace)).items():
            self.say(f"{counted(prompts, 'prompt', 'is', 'are')} rejected at the stage {stage!r} before anything is bought")
        self.progress.slots, self.progress.stored = prepared.slots, prepared.stored
        self._prepared = prepared
        return prepared

    def _bar(self, prepared: Prepared) -> Prepared:
        """Take out the prompts of which nothing is wanted, and return what is left to do."""
        if self._growth is None:
            self._heldout = wiring.heldout(self.spec, self.path, self.say, self.stop)
        return bar(self._workspace, self.spec, self.path, prepared, self._heldout, self._verifiers, self.say)

    async def narrow(self, prompts: int) -> int:
        """Work on so many prompts alone, spread over the dataset, and return how many there are. Nothing can be landed then."""
        return await asyncio.to_thread(spread, self._workspace, prompts, seed=self.spec.seed)

    async def judge_stored(self) -> int:
        """Judge what the lake has and this spec's verifiers haven't seen; return how many samples."""
        self.progress.stage = "judging stored samples"
        with self._workspace.sparing():
            return await judge_stored(self._workspace, self._verification, self._alone, self.stop, progress=self.progress.part)

    async def shards(self) -> list[int]:
        """Return the numbers of the shards that have something to do, and get ready for them."""
        self.progress.stage = "drawing and verifying"
        self._writer = self._stack.enter_context(contextlib.ExitStack())
        self._writer.enter_context(self._workspace.sparing())  # once slots are sorted out, it is only looked into
        await asyncio.to_thread(lapsed.find, self._workspace, self.lake, self.spec.dataset)
        await asyncio.to_thread(outcomes.open_slots, self._workspace, self._rule_alone, self._alone)
        sampling, arms = self.spec.sampling, self.spec.arms
        self._asked = self._workspace.folder / "asked.parquet"
        writer = self._writer.enter_context(PartWriter(self._asked, ASKED))
        drawing = {desk.options.name: desk for desk in self._desks if desk.options.draw}
        self.at_work = Shards(
            source=Staged(self._workspace),
            template=wiring.template(self.spec, self.path),
            desks=[drawing[arm.teacher.name] for arm in arms],
            strategies=[arm.strategy for arm in arms],
            draw=Draw(
                sampling=sampling,
                journal=self._journal,
                budget=self._budget,
                stop=self.stop,
                spending=self.progress.spending,
                waste=self._waste,
                asking=frozenset(drawing),
            ),
            verification=self._verification,
            rule=self._rule_alone,
            asked=writer,
            cascades=self.spec.cascades,
            tally=self.progress.tally,
            passing=self.progress.passing,
        )
        numbers = await asyncio.to_thread(outcomes.shards_to_work, self._workspace, early=sampling.early)
        self.progress.slots = await asyncio.to_thread(outcomes.missing_in, self._workspace, numbers)
        await asyncio.to_thread(wiring.recall, self.spec, self._workspace, drawing)
        # Enough shards at a time that every teacher has all that it may be asked for, whatever the tail of one shard does.
        ready = sum(line.side_by_side * line.samples_per_request for desk in drawing.values() for line in desk.options.lines)
        at_once = sampling.adaptive.accept if sampling.adaptive else sampling.k
        self.side_by_side = 2 + -(-ready // (PROMPTS * at_once))
        return numbers

    async def work(self, number: int) -> dict[str, int]:
        """Draw and verify one shard."""
        return await self.at_work.work(number)

    async def judge_together(self) -> int:
        """Land what was drawn, and judge it by the verifiers that need all of a prompt's samples; return how many samples."""
        self._writer.close()
        await self._journal.close()
        await self._store.flush()
        await asyncio.to_thread(unwanted.find, self._workspace, [arm.teacher.retry for arm in self.spec.arms])
        if self.at_work.verdicts_lost:
            await judge_stored(self._workspace, self._verification, self._alone, self.stop, bought=True)
            self.stop.conclude()  # a judge's day may have ended over these
        if together(self._verifiers):
            self.progress.stage = "judging samples together"
        return await judge_together(self._workspace, self._verification, self._verifiers, self.stop)

    async def curate(self) -> Summary:
        """Decide every slot's outcome and stage the snapshot."""
        self.stop.check()
        self.progress.stage = "curating"
        student, prints = self.spec.select.student_loss, []
        if student is not None:
            tops = await asyncio.to_thread(student_loss.tops, self._workspace)
            prints = await scorers.fingerprints(self.spec, self.path, student.student, tops, student.reasoning)
        return await asyncio.to_thread(self._curate, prints)

    def _curate(self, student: list[str]) -> Summary:
        spec, workspace = self.spec, self._workspace
        workspace.let_go()
        with workspace.sparing():
            digests(workspace, self.lake, build_id=self.build_id)
            outcomes.judge_slots(workspace, self._rule, self._verifiers, worked=self.at_work.worked, asked=self._asked)
        lost = student_loss.drop(workspace, spec.select.student_loss, student) if spec.select.student_loss else None
        sift(workspace, spec.select, tags=tags_of(spec.template.strategies))
        dedup_and_decontaminate(workspace, spec.dedup, self._heldout, self.lake, build_id=self.build_id)
        narrow(workspace, spec.select, spec.dedup, self._heldout, self.lake, build_id=self.build_id, seed=spec.seed)
        split(workspace, spec.select.split, seed=spec.seed)
        with workspace.sparing():
            snapshot(
                workspace,
                dataset=spec.dataset,
                build_id=self.build_id,
                teachers=rights.facts(spec, self._bounds, licenses(workspace), self._inherited),
                verifiers=self._verifiers,
            )
            if self._growth is not None:
                snapshot_grown(workspace, self._growth.rows)
            self.progress.stage = "measuring"
            measures = measure(workspace, wiring.embedder(spec, self.path))
        earlier = reversed(self.lake.builds(spec.dataset))
        before = next((build["measures"]["diversity"] for build in earlier if build.get("measures")), None)
        fallen = guard_diversity(spec.guard.min_diversity, measures["diversity"], before)
        with workspace.sparing():
            counts, answered = outcomes.counts(workspace), outcomes.answered(workspace)
            batched = [each.name for each in spec.teachers if each.batched]
            warned = concerns(workspace, counts, spec.select.split, batched=batched)
            warnings = [told for told in (lost, *warned, *fallen) if told]
        for warning in warnings:
            self.say(warning)
        return self._summary(counts, answered, measures, warnings)

    def _summary(self, counts: Counts, answered: Answered, measures: Mapping[str, Any], warnings: Sequence[str]) -> Summary:
        spending, spec, workspace = self.progress.spending, self.spec, self._workspace
        apart = bool(spec.template.strategies)
        judging = [teacher.name for teacher in spec.teachers if not teacher.draw]
        return Summary(
            dataset=spec.dataset,
            build_id=self.build_id,
            prompts=self._prepared.prompts,
            paid=spending.paid,
            cost_usd=spending.cost_usd,
            tokens_in=spending.tokens_in,
            tokens_out=spending.tokens_out,
            unanswered=spending.unanswered,
            given_up=spending.given_up,
            unanswered_usd=spending.unanswered_usd,
            by_teacher=costs.by_teacher(workspace, spending, drawing=[arm.teacher.name for arm in spec.arms], judging=judging),
            saved=costs.saved(workspace, spec.sampling, [arm.teacher for arm in spec.arms], spec.cascades),
            elapsed_s=time.monotonic() - self._began,
            lake=self.lake.where,
            created_at=datetime.now(UTC).isoformat(timespec="microseconds"),
            spec_hash=spec.hash,
            version=version("stillhouse"),
            grown=self._growth.counts() if self._growth is not None else [],
            by_strategy=breakdown.by_strategy(workspace, breakdown.CURATED) if apart else {},
            by_tag_and_strategy=breakdown.by_tag_and_strategy(workspace, breakdown.CURATED) if apart else {},
            measures=measures,
            warnings=warnings,
            **counts,
            **answered,
        )

    async def land(self, summary: Summary) -> dict[str, Any]:
        """Make the snapshot count, and return the build's manifest."""
        self.progress.stage = "landing"
        self._manifest = await asyncio.to_thread(self._land, summary)
        return self._manifest

    def _land(self, summary: Summary) -> dict[str, Any]:
        return landing.land(
            self.lake,
            self.spec,
            summary,
            self._workspace,
            licensing=rights.described(self.spec, self._workspace, self._bounds, self._inherited),
            verifiers=self._verifiers,
            growth=self._growth,
            approvals=self.approvals,
        )

    async def export(self) -> list[dict[str, Any]]:
        """Write the exports of what has landed, and return their manifests."""
        self.progress.stage = "exporting"
        say, part = self.say, self.progress.part
        return await asyncio.to_thread(export_all, self.lake, self._manifest, self.spec.exports, say=say, part=part)
