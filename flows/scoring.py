"""Score: have a teacher grade stored responses, token by token, and say what its distributions are like."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from flows import judging, rights, wiring
from flows.building import new_id
from flows.checks import check
from flows.process.waiting import entered, with_grace
from flows.scorers import Chosen, chosen, print_of, shown
from flows.spec import Spec
from flows.staging import stage
from flows.working import signals
from storage import catalog, memory, scores
from storage.errors import SpecError
from storage.identity import showing
from storage.journal import Journal
from storage.lake import Lake
from storage.rot import verify, verify_build
from storage.schemas import SCORES
from storage.sql import parquet_in
from storage.waste import Waste
from storage.wording import counted
from storage.workspace import Workspace
from tasks import costs
from tasks.draw import Budget, Spending
from tasks.license import Licensed, gate
from tasks.rights.bound import gate_terms
from tasks.rights.terms import load
from tasks.score import fit
from tasks.score.answers import Shown
from tasks.score.fit import Fit
from tasks.score.grade import Grade, Missing, find
from tasks.stop import Stop
from tasks.teachers.options import MOST_IN_FLIGHT

Which = Literal["kept", "all"]
LOOKED_AT = 2_000
"""Scores that are read for what they are like."""
SHOWN_S = 0.2
_SAID: dict[Shown, str] = {
    "think": "scored as <think> text",
    "turn": "scored as the model's chat template writes it",
    "omit": "left out",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What `stillhouse score` says."""

    dataset: str
    """The spec's."""
    lake: str
    """Where."""
    scorer: str
    """The teacher's name."""
    model: str
    """Its model."""
    fingerprint: str
    """What the scores are stored under: those of samples with reasoning, where there are any."""
    top: int
    """Alternatives at each position."""
    reasoning: Shown
    """How reasoning was shown."""
    reasoned: int
    """Samples that have some apart from their response."""
    samples: int
    """Asked about. They are `stored`, `scored`, `left_out` or `failed`, each one of them."""
    stored: int
    """With a score by this very scorer, before this run."""
    scored: int
    """By this run."""
    left_out: dict[str, int] = field(default_factory=dict)
    """What no scorer can be asked about, by reason."""
    failed: dict[str, int] = field(default_factory=dict)
    """What the scorer was asked about and gave no score of, by reason."""
    cost_usd: float
    """Of this run, as far as prices are known."""
    tokens_in: int
    """Of this run, billed."""
    fit: Fit
    """What the scores are like."""

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return asdict(self)

    def lines(self) -> list[tuple[str, str]]:
        """Return it as (name, value) for a terminal."""
        lines = [
            ("scorer", f"{self.scorer} ({self.model}), {self.top} alternatives a token"),
            ("samples", f"{self.samples:,}: {self.scored:,} scored now, {self.stored:,} before"),
            *(
                [("reasoning", f"{_SAID[self.reasoning]}, which {counted(self.reasoned, 'sample', 'has', 'have')}")]
                if self.reasoned
                else []
            ),
            *(("left out", f"{number:,}: {reason}") for reason, number in self.left_out.items()),
            *(("failed", f"{number:,}: {reason}") for reason, number in self.failed.items()),
            ("cost", f"${self.cost_usd:,.4f} for {counted(self.tokens_in, 'token')}"),
        ]
        return [*lines, *self.fit.lines()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be scored, by whom and how."""

    teacher: str
    """A teacher of the spec by its name, or a model's folder."""
    top: int
    """Alternatives at each position."""
    which: Which
    """kept: the traces of the newest build. all: every stored sample that the spec asks for."""
    reasoning: Shown | None = None
    """How reasoning is shown; None: as the spec's exports and its selection want it."""


def score(spec: Spec, path: Path, lake: Lake, console: Console, *, asked: Asked, spending: Spending) -> Scores:
    """Have a teacher score what it hasn't scored of a dataset's samples; `spending` is filled. Raise what ended it early."""
    return uvloop.run(graded(spec, path, lake, console, asked=asked, spending=spending))


async def graded(spec: Spec, path: Path, lake: Lake, console: Console, *, asked: Asked, spending: Spending) -> Scores:
    """Do what `score` does in a loop that runs already."""
    how = asked.reasoning or shown(spec, path, asked.teacher)
    return await _Scoring(spec, path, lake, console, chosen(spec, path, asked.teacher), asked.top, how, spending).run(asked.which)


@dataclass(frozen=True, slots=True)
class _Scoring:
    spec: Spec
    path: Path
    lake: Lake
    console: Console
    chosen: Chosen
    top: int
    shown: Shown | None
    spending: Spending
    stop: Stop = field(default_factory=Stop)

    def _say(self, text: str) -> None:
        self.console.print(text, soft_wrap=True, highlight=False, markup=False)

    async def run(self, which: Which) -> Scores:
        memory.settle()
        check(self.spec.model_copy(update={"runner": None}), self.path, self.lake, asking=False)  # all of it is here
        self._gate()
        stop, lake, run, options = self.stop, self.lake, new_id(), self.chosen.options
        if which == "kept":
            lake.build(self.spec.dataset)  # before anything is loaded
        budget = Budget(self.spec.budget.usd if self.spec.budget else None)
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(signals(stop, self._say))
            made = await stack.enter_async_context(
                wiring.open_scorer(options, self.path, self.chosen.number, top=self.top, keys=True)
            )
            how: Shown = self.shown or "omit"
            fingerprint = print_of(options, made[0].teacher.identity, self.top)
            writing = lake.writing(self._say, check=stop.check, lost=stop.from_threads())
            await stack.enter_async_context(entered(writing))
            await asyncio.to_thread(verify, lake, self._say, check=stop.check)
            workspace = stack.enter_context(Workspace(lake, lake.staging / run))
            await self._want(workspace, which)
            missing = await asyncio.to_thread(find, workspace, [fingerprint, showing(fingerprint, how)])
            self._check_shown(missing)
            budget.spent = await asyncio.to_thread(lambda: costs.spent(workspace, among="wanted"))
            scores = lake.root / "scores"
            with Waste(lake.waste, run=run) as waste:
                async with Journal(lake.segments["scores"], scores, run=run, schema=SCORES, mirror=lake.replica) as journal:
                    grade = Grade(
                        desk=wiring.one_by_one(options, made, stop),
                        fingerprint=fingerprint,
                        top=self.top,
                        shown=how,
                        journal=journal,
                        budget=budget,
                        stop=stop,
                        waste=waste,
                        spending=self.spending,
                    )
                    workers = 2 * (options.limits.concurrency or getattr(made[0].teacher, "capacity", 0) or MOST_IN_FLIGHT)
                    await with_grace(stop, self._watched(grade, workspace, missing, workers))
            await asyncio.to_thread(catalog.write, lake)
            stop.check()
            return await asyncio.to_thread(self._told, workspace, grade, missing)

    def _gate(self) -> None:
        """Raise what the gate raises: whoever trains on scores trains on what the scorer gave. A folder of one's own is free."""
        number = self.chosen.number
        if number is None:
            return
        teacher = self.spec.teachers[number]
        gate([Licensed(what=f"teachers[{number}] ({teacher.name})", license=teacher.license)], self.spec.licenses)
        gate_terms([rights.bound(self.spec, self.path, load(self.spec.licenses.terms), teacher.name)])

    def _check_shown(self, missing: Missing) -> None:
        """Raise SpecError where samples have reasoning, and nobody said whether a student will see it."""
        if self.shown is None and missing.reasoned:
            raise SpecError(
                f"{self.path}: {missing.reasoned:,} of {missing.samples:,} samples have reasoning apart from their response, and "
                "nothing says whether the student sees it: add --reasoning think, turn or omit, as the export is to have it"
            )

    async def _want(self, workspace: Workspace, which: Which) -> None:
        """Make `wanted` of the samples that are asked about."""
        if which == "kept":
            build = self.lake.build(self.spec.dataset)
            verify_build(self.lake, build, ["traces"])
            source = parquet_in(self.lake.snapshot("traces", self.spec.dataset, build["build_id"]))
        else:
            verifiers = judging.make_verifiers(self.spec, self.path)
            # Of the teachers, only what they add to a request's address counts here.
            async with wiring.open_teachers(self.spec, self.path, keys=False) as made:
                await asyncio.to_thread(stage, self.spec, self.path, workspace, made, verifiers, self.stop, self._say)
            source = "slots ANTI JOIN unwanted USING (ord, arm, sample_index) WHERE stored"
        await asyncio.to_thread(workspace.execute, f"CREATE TABLE wanted AS SELECT DISTINCT sample_id FROM {source}")

    async def _watched(self, grade: Grade, workspace: Workspace, missing: Missing, workers: int) -> None:
        columns = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task("scoring", total=missing.missing)

            async def show() -> None:
                while True:
                    bar.update(task, completed=grade.scored + grade.failed.total())
                    await asyncio.sleep(SHOWN_S)

            showing = asyncio.create_task(show())
            try:
                await grade.grade(workspace, workers=min(workers, max(1, missing.missing)))
            finally:
                showing.cancel()

    def _told(self, workspace: Workspace, grade: Grade, missing: Missing) -> Scores:
        left = missing.missing - grade.scored - grade.failed.total()
        if left:
            raise AssertionError(f"{left} samples were never asked about")
        options = self.chosen.options
        print_ = showing(grade.fingerprint, grade.shown)
        scores.choose(workspace, options.name, "wanted", fingerprints=[grade.fingerprint, print_])
        scores.narrow(workspace, LOOKED_AT)
        return Scores(
            dataset=self.spec.dataset,
            lake=self.lake.where,
            scorer=options.name,
            model=options.model,
            fingerprint=print_ if missing.reasoned else grade.fingerprint,
            top=self.top,
            reasoning=grade.shown,
            reasoned=missing.reasoned,
            samples=missing.samples,
            stored=missing.stored,
            scored=grade.scored,
            left_out=dict(missing.left_out),
            failed=dict(grade.failed),
            cost_usd=self.spending.cost_usd,
            tokens_in=self.spending.tokens_in,
            fit=fit.measure(scores.read(workspace)),
        )
