"""A small house: the real steps of a build on a real lake, in the order of `flows.building`, with fake teachers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from storage.journal import Journal
from storage.lake import Lake
from storage.parquet import PartWriter
from storage.records import Prompt
from storage.schemas import SNAPSHOTS
from storage.verdicts import VerdictStore
from storage.waste import Waste
from storage.workspace import Workspace
from tasks import barred, costs, lapsed, outcomes, unwanted
from tasks.asking.ask import Desk
from tasks.decontaminate import Decontamination
from tasks.draw import Budget, Draw
from tasks.duplicates.digests import digests
from tasks.duplicates.options import DedupOptions
from tasks.license import effective
from tasks.orders import Staged
from tasks.prepare import Asked, Prepared, prepare, unbarred
from tasks.rejudge import judge_stored
from tasks.report import Saved, TeacherCounts
from tasks.second_chance import dedup_and_decontaminate, narrow
from tasks.select import SelectOptions, sift
from tasks.selection.split import split
from tasks.shard import ASKED, Shards
from tasks.snapshot import TeacherFacts, snapshot
from tasks.stop import Stop
from tasks.strategies import tags_of
from tasks.teachers.options import TeacherOptions
from tasks.teachers.sampling import SamplingOptions
from tasks.templates import Template, TemplateOptions
from tasks.together import judge_together
from tasks.verify import Named, Rule, Verification, alone
from tests.fakes import FakeTeacher, found, make_desk, make_options, make_prompt


@dataclass(kw_only=True)
class Spec:
    """What a spec would say."""

    prompts: Sequence[Prompt] = (make_prompt("a"), make_prompt("b"), make_prompt("c"))
    teachers: Mapping[str, FakeTeacher] = field(default_factory=lambda: {"smol": FakeTeacher()})
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of every teacher."""
    own: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Of one teacher, by its name."""
    k: int = 1
    sampling: Mapping[str, Any] = field(default_factory=dict)
    verifiers: Sequence[Named] = ()
    select: SelectOptions = field(default_factory=SelectOptions)
    dedup: DedupOptions = field(default_factory=DedupOptions)
    budget: float | None = None
    seed: int = 0
    barred: Sequence[tuple[str, str]] = ()
    """Stages and the queries by which they bar prompts."""
    heldout: Decontamination | None = None
    """What no prompt and no response may have in it."""
    exempt: Collection[str] = ()
    """Sources of prompts in which it isn't looked for."""
    template: TemplateOptions = field(default_factory=TemplateOptions)
    given: bool = True
    """Whether the source gives ids."""
    acknowledgement: str | None = None
    """Of every teacher's terms."""

    def options_of(self, name: str) -> TeacherOptions:
        """Return a teacher's options; each teacher has a model of its own."""
        return make_options(name, **({"model": f"{name}-1"} | self.options | self.own.get(name, {})))


@dataclass(kw_only=True)
class Built:
    """What came of a build."""

    counts: dict[str, Any]
    """As `tasks.outcomes.counts` returns them."""
    tables: dict[str, list[dict[str, Any]]]
    """The rows of its snapshot."""
    prepared: Prepared
    """What there was to do."""
    paid: int
    """Samples that were bought."""
    asked: list[tuple[str, int]]
    """Prompt ids and indices that teachers were asked for, less controls."""
    by_teacher: dict[str, TeacherCounts]
    """Each teacher's part."""
    saved: Saved | None
    """What wasn't drawn."""

    @property
    def outcomes(self) -> dict[tuple[str, int], tuple[str, str | None]]:
        """Return outcome and stage by prompt and index; for builds with one teacher."""
        return {(row["prompt_id"], row["sample_index"]): (row["outcome"], row["stage"]) for row in self.tables["outcomes"]}

    @property
    def kept(self) -> list[str]:
        """Return the responses of the traces."""
        return [row["response"] for row in self.tables["traces"]]


@dataclass(kw_only=True)
class House:
    """One run on a lake, step by step."""

    spec: Spec
    lake: Lake
    workspace: Workspace
    journal: Journal
    store: VerdictStore
    stop: Stop
    desks: list[Desk]
    draw: Draw
    verification: Verification
    template: Template
    asked: Path
    stack: AsyncExitStack
    shards: Shards | None = None
    prepared: Prepared | None = None

    async def prepare(self) -> Prepared:
        """Stage prompts and find what is missing."""
        spec = self.spec
        asked = [
            Asked(provider=desk.options.provider, model=desk.options.model, identity=desk.teacher.identity, strategy=strategy)
            for desk, strategy in self.arms
        ]
        prompts = found(spec.prompts, given=spec.given)
        self.prepared = prepare(self.workspace, prompts, self.template, asked, self.draw.sampling.parameters(), spec.k)
        if spec.heldout is not None:
            spec.heldout.bar(self.workspace, spec.exempt, self.template)
        for stage, query in spec.barred:
            barred.bar(self.workspace, stage, query)
        self.prepared = unbarred(self.workspace, self.prepared)
        self.find_unwanted()
        self.draw.budget.spent = costs.spent(self.workspace)
        return self.prepared

    def find_unwanted(self) -> None:
        """Find what the teachers' policies reject."""
        unwanted.find(self.workspace, [desk.options.retry for desk, _ in self.arms])

    def rule_of(self, verifiers: Sequence[Named]) -> Rule:
        """Return when these verifiers accept a sample."""
        return Rule(require=self.spec.select.require, listed=tuple((each.name, each.fingerprint) for each in verifiers))

    @property
    def arms(self) -> list[tuple[Desk, str | None]]:
        """Return each teacher with each strategy."""
        return [(desk, strategy) for desk in self.desks for strategy in self.spec.template.names]

    @property
    def cascades(self) -> list[list[int]]:
        """Return for each strategy the teachers' numbers from cheap to strong."""
        names, strategies = list(self.spec.teachers), len(self.spec.template.names)
        places = [names.index(name) * strategies for name in self.draw.sampling.cascade]
        return [[place + strategy for place in places] for strategy in range(strategies)] if places else []

    async def judge(self) -> int:
        """Judge what is stored."""
        return await judge_stored(self.workspace, self.verification, alone(self.spec.verifiers), self.stop)

    async def open(self) -> list[int]:
        """Return the shards to work."""
        lapsed.find(self.workspace, self.lake, "d")
        outcomes.open_slots(self.workspace, self.rule_of(alone(self.spec.verifiers)), alone(self.spec.verifiers))
        self.shards = Shards(
            source=Staged(self.workspace),
            template=self.template,
            desks=[desk for desk, _ in self.arms],
            strategies=[strategy for _, strategy in self.arms],
            draw=self.draw,
            verification=self.verification,
            rule=self.rule_of(alone(self.spec.verifiers)),
            asked=self.stack.enter_context(PartWriter(self.asked, ASKED)),
            cascades=self.cascades,
        )
        return outcomes.shards_to_work(self.workspace, early=self.draw.sampling.early)

    async def work(self, number: int) -> dict[str, int]:
        """Work one shard."""
        assert self.shards is not None
        return await self.shards.work(number)

    async def land_samples(self) -> None:
        """Let all that was bought and judged be found."""
        await self.stack.aclose()
        await self.journal.close()
        await self.store.flush()

    async def curate(self, build_id: str = "b") -> dict[str, Any]:
        """Decide every outcome, stage the snapshot and return the counts."""
        await self.land_samples()
        self.find_unwanted()
        await self.judge()
        await self.store.flush()
        await judge_together(self.workspace, self.verification, self.spec.verifiers, self.stop)
        spec, workspace = self.spec, self.workspace
        digests(workspace, self.lake, build_id=build_id)
        assert self.shards is not None
        outcomes.judge_slots(workspace, self.rule_of(spec.verifiers), spec.verifiers, worked=self.shards.worked, asked=self.asked)
        sift(workspace, spec.select, tags=tags_of(spec.template.strategies))
        dedup_and_decontaminate(workspace, spec.dedup, spec.heldout, self.lake, build_id=build_id)
        narrow(workspace, spec.select, spec.dedup, spec.heldout, self.lake, build_id=build_id, seed=spec.seed)
        split(workspace, spec.select.split, seed=spec.seed)
        licenses = sorted({prompt.license for prompt in spec.prompts if prompt.license})
        facts = [
            TeacherFacts(
                name=desk.options.name,
                strategy=strategy,
                license="MIT",
                terms=None,
                acknowledgement=spec.acknowledgement,
                effective={license_: effective(license_, "MIT", terms=None) for license_ in licenses},
            )
            for desk, strategy in self.arms
        ]
        snapshot(workspace, dataset="d", build_id=build_id, teachers=facts, verifiers=spec.verifiers)
        return outcomes.counts(workspace)


@asynccontextmanager
async def house(lake: Lake, spec: Spec, *, run: str = "run") -> AsyncIterator[House]:
    """Open a house on a lake."""
    stop = Stop()
    sampling = SamplingOptions(k=spec.k, **spec.sampling)
    with lake.writing(print), Workspace(lake, lake.staging / run) as workspace:
        async with (
            Journal(lake.journal, lake.root / "samples", run=run) as journal,
            VerdictStore(lake.root / "verdicts", lake.judged, run=run) as store,
            AsyncExitStack() as stack,
        ):
            verification = Verification(spec.verifiers, store, stop.set, workers=2)
            try:
                yield House(
                    spec=spec,
                    lake=lake,
                    workspace=workspace,
                    journal=journal,
                    store=store,
                    stop=stop,
                    desks=[make_desk(spec.options_of(name), teacher, stop) for name, teacher in spec.teachers.items()],
                    draw=Draw(
                        sampling=sampling,
                        journal=journal,
                        budget=Budget(spec.budget, spent=0.0),
                        stop=stop,
                        waste=stack.enter_context(Waste(lake.waste, run=run)),
                        asking=frozenset(spec.teachers),
                    ),
                    verification=verification,
                    template=Template(spec.template, where="spec.yaml", seed=spec.seed),
                    asked=workspace.folder / "asked.parquet",
                    stack=stack,
                )
            finally:
                verification.close()


async def build(lake: Lake, spec: Spec, *, run: str = "run", copy_to: Path | None = None) -> Built:
    """Build, raise what stopped it, and return what came of it. `copy_to`: a folder for the snapshot's files."""
    for teacher in spec.teachers.values():
        teacher.requests.clear()
    async with house(lake, spec, run=run) as one:
        prepared = await one.prepare()
        await one.judge()
        one.stop.check()
        for number in await one.open():
            await one.work(number)
            one.stop.check()
        counts = await one.curate(build_id=run)
        tables = {
            table: pq.read_table(one.workspace.staged(table), partitioning=None).to_pylist()
            for table in SNAPSHOTS
            if table != "grown"
        }
        if copy_to is not None:
            for table in tables:
                one.workspace.staged(table).rename(copy_to / table)
        asked = [pair for teacher in spec.teachers.values() for pair in teacher.asked if pair[0] != "control"]
        return Built(
            counts=counts,
            tables=tables,
            prepared=prepared,
            paid=one.draw.spending.paid,
            asked=asked,
            by_teacher=costs.by_teacher(
                one.workspace, one.draw.spending, drawing=[desk.options.name for desk, _ in one.arms], judging=[]
            ),
            saved=costs.saved(one.workspace, one.draw.sampling, [desk.options for desk, _ in one.arms], one.cascades),
        )
