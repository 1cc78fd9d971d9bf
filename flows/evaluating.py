"""A contest: the run of an evaluation. A spec's teachers answer its prompts by the same draw as a build's; nothing is curated.

    read → which prompts are held out, and which of them were trained on → judge what is stored → shards → grade and compare

Nothing is made to be trained on, so no licence is asked for; samples that a build finds here later pass its gates then.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, ValidationError

from flows import judging, wiring
from flows.building import Run
from flows.checks import nobody_decides
from flows.loading import problem
from flows.progress import Progress, Say
from flows.spec import Spec
from storage import catalog
from storage.errors import SpecError
from storage.lake import Lake
from storage.plugins import nearest
from storage.wording import counted
from tasks import lapsed, outcomes, undecidable
from tasks.duplicates.digests import digests
from tasks.evaluation import grades as grading
from tasks.evaluation.comparison import Design, compare, manners, sums
from tasks.evaluation.grades import OPEN, Grades
from tasks.evaluation.intervals import CONFIDENCE, FEWEST, MOST, RESAMPLES
from tasks.evaluation.manner import manner
from tasks.evaluation.seen import Seen, Training, landed, seen, written
from tasks.evaluation.statement import ENOUGH, statements
from tasks.evaluation.statement import OPEN as MUCH
from tasks.options import Options
from tasks.prepare import Prepared, unbarred
from tasks.select import SelectOptions
from tasks.selection.split import split

ALL = "all"
"""Of the splits: no matter which."""
FILES = frozenset("*./?[")
"""In a name: rather files' than a dataset's."""
SPLITS = ("train", "validation", "test", ALL)


class ContestOptions(Options):
    """What the command line says of an evaluation."""

    models: tuple[str, ...] = ()
    """Teachers of the spec that take part. Empty: all that draw."""
    baseline: str | None = None
    """The one that the others are compared with. None: the first."""
    split: str | None = None
    """Which of the prompts, by the spec's `select.split`. None: the test's where the spec keeps some, else all."""
    against: tuple[str, ...] = ()
    """What was trained on: datasets, or files. Empty: the spec's own dataset, where it is built."""
    ks: tuple[int, ...] = ()
    """Of pass@k. Empty: 1 and the spec's k."""
    resamples: int = Field(default=RESAMPLES, ge=FEWEST, le=MOST)
    """Of the bootstrap."""
    confidence: float = Field(default=CONFIDENCE, gt=0, lt=1)
    """Of an interval."""
    seed: int | None = Field(default=None, ge=0)
    """Of the resamples. None: the spec's."""

    @classmethod
    def of(cls, given: dict[str, Any]) -> ContestOptions:
        """Return what the command line says. Raise SpecError where they are wrong."""
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            location, message = problem(error, cls)
            raise SpecError(f"evaluate: {'.'.join(map(str, location))}: {message}") from error


class Contest(Run):
    """One evaluation, as an async context manager: `prepare`, `judge_stored`, `shards`, `work`, `judge_together`, `compare`."""

    def __init__(
        self,
        spec: Spec,
        path: Path,
        lake: Lake,
        options: ContestOptions,
        *,
        progress: Progress | None = None,
        say: Say = lambda _: None,
    ) -> None:
        """Name who competes. Raise SpecError where the options don't fit the spec."""
        super().__init__(_competing(spec, options), path, lake, progress=progress, say=say)
        self._given = spec
        self._options = options
        self._design = _design(self.spec, options)
        self._split = _split(spec, options)
        self._training: list[Training] = []
        self._seen: list[Seen] = []

    def _check(self) -> None:
        wiring.check_teachers(self.spec, self.path)
        wiring.check_machine(self.spec, self.path)
        judging.make_verifiers(self.spec, self.path)
        wiring.template(self.spec, self.path)
        for teacher in self.spec.drawing:
            if "retry" in {teacher.retry.length, teacher.retry.refusal}:
                self.say(f"teacher {teacher.name!r}: retry asks again for what it cut off or declined, which flatters its rates")
        self._training = list(self._trained_on())
        if not self._training:
            self.say("not looked for in training data: name what was trained on by --against, a dataset or files")

    def _trained_on(self) -> Iterable[Training]:
        held = frozenset({"test"} | ({self._split} & {"validation"}))
        if not self._options.against and self.lake.builds(self.spec.dataset):
            yield landed(self.lake, self.lake.build(self.spec.dataset), held=held)
        for said in self._options.against:
            path, mark, dataset = said.removeprefix("lake:").rpartition("#")
            if said.startswith("lake:") and mark:
                lake = Lake.at(path)
                yield landed(lake, lake.build(dataset), held=held)
            elif "://" in said or Path(said).expanduser().exists() or (FILES & set(said) and not self.lake.builds(said)):
                yield written(said)
            else:
                yield landed(self.lake, self.lake.build(said), held=held)

    def _bar(self, prepared: Prepared) -> Prepared:
        """Leave the prompts of the split that is wanted, and find those that were trained on."""
        if self._split != ALL:
            split(self._workspace, self._given.select.split, seed=self.spec.seed)
            own = f"SELECT ord FROM prompt_ids LEFT JOIN splits USING (ord) WHERE coalesce(split, 'train') = '{self._split}'"
            self._workspace.execute(f"DELETE FROM slots WHERE ord NOT IN ({own})")
            prepared = unbarred(self._workspace, prepared)
            if not prepared.slots:
                raise SpecError(f"{self.path}: select.split: no prompt is in the split {self._split!r}")
        prepared = self._leave_undecidable(prepared)
        if self._training:
            self.progress.stage = "looking for prompts that were trained on"
            there = {ord_ for (ord_,) in self._workspace.rows("SELECT DISTINCT ord FROM slots")}
            found = seen(self.spec.prompts, self._training, seed=self.spec.seed, check=self.stop.check)
            self._seen = [each for each in found if each.ord in there]
            stand = len({each.ord for each in self._seen})
            self.say(f"{stand:,} of {len(there):,} held-out prompts stand in {', '.join(each.name for each in self._training)}")
        return prepared

    def _leave_undecidable(self, prepared: Prepared) -> Prepared:
        """Leave out the prompts that bring nothing to decide by: who would answer them couldn't be told right from wrong."""
        if (query := undecidable.query(self._verifiers, self._rule)) is None:
            return prepared
        rows = self._workspace.rows
        ((asked,),) = rows("SELECT count(DISTINCT ord) FROM slots")
        self._workspace.execute(f"DELETE FROM slots WHERE ord IN (SELECT ord FROM ({query}))")
        ((left,),) = rows("SELECT count(DISTINCT ord) FROM slots")
        if not left:
            raise nobody_decides(self.path, asked, self._verifiers, self._rule)
        if left < asked:
            lacking = undecidable.said(undecidable.needed(self._verifiers, self._rule))
            self.say(f"{asked - left:,} of {asked:,} prompts are left out: they lack {lacking} to be judged by")
        return unbarred(self._workspace, prepared)

    async def compare(self) -> dict[str, Any]:
        """Grade every sample, compare the contestants, and keep what was found in the lake."""
        self.stop.check()
        self.progress.stage = "comparing"
        return await asyncio.to_thread(self._compare)

    def _compare(self) -> dict[str, Any]:
        workspace, design = self._workspace, self._design
        digests(workspace, self.lake, build_id=self.build_id)
        outcomes.judge_slots(workspace, self._rule, self._verifiers, worked=self.at_work.worked, asked=self._asked)
        grading.grade(workspace, self._rule, self._verifiers)
        grades = grading.read(workspace, contestants=len(design.contestants))
        rows = np.arange(len(grades.ords))
        compared = compare(grades, rows, design, key="all")
        styled = manners(grades, manner(workspace, contestants=len(design.contestants), samples=grades.samples), design)
        found = self._head(grades) | {
            "contamination": self._contamination(grades),
            "contestants": [
                {"provider": options.provider, "model": options.model} | one | sums(grades, number)
                for number, (options, one) in enumerate(zip(self.spec.drawing, compared, strict=True))
            ],
            "style": styled,
            "by_tag": self._by_tag(grades),
            "statements": [text for _, text in statements(compared, styled, baseline=design.contestants[design.baseline])],
            "warnings": list(self._warnings(grades)),
        }
        spending = self.progress.spending
        found |= spending.totals() | {"elapsed_s": round(time.monotonic() - self._began, 3)}
        found["stored"] = str(self.lake.evaluations / f"{self.build_id}.json")
        self.lake.record_evaluation(found, lapsed.of_slots(workspace))
        catalog.write(self.lake)
        return found

    def _head(self, grades: Grades) -> dict[str, Any]:
        design = self._design
        return {
            "evaluation_id": self.build_id,
            "created_at": datetime.now(UTC).isoformat(timespec="microseconds"),
            "dataset": self.spec.dataset,
            "spec_hash": self._given.hash,
            "spec": self._given.model_dump(mode="json", exclude_defaults=True),
            "version": version("stillhouse"),
            "lake": self.lake.where,
            "verifiers": [
                {"name": each.name, "version": each.version, "fingerprint": each.fingerprint} for each in self._verifiers
            ],
            "split": self._split,
            "prompts": len(grades.ords),
            "k": grades.samples,
            "ks": list(design.ks),
            "baseline": design.contestants[design.baseline],
            "resamples": design.resamples,
            "confidence": design.confidence,
            "seed": design.seed,
        }

    def _contamination(self, grades: Grades) -> dict[str, Any]:
        """Return what was looked through, what was found, and how the contestants do without it."""
        numbers = {each.ord for each in self._seen}
        place = {int(ord_): identifier for ord_, identifier in zip(grades.ords, grades.ids, strict=True)}
        clean = np.flatnonzero(~np.isin(grades.ords, list(numbers)))
        return {
            "looked_in": [each.name for each in self._training],
            "prompts": len(numbers),
            "matched": [
                {"prompt_id": place[each.ord]} | {name: value for name, value in asdict(each).items() if name != "ord"}
                for each in self._seen
            ],
            "without": compare(grades, clean, self._design, key="clean") if numbers and len(clean) else None,
        }

    def _by_tag(self, grades: Grades) -> list[dict[str, Any]]:
        found = []
        for tag, value, ords in grading.by_tag(self._workspace):
            rows = np.flatnonzero(np.isin(grades.ords, ords))
            compared = compare(grades, rows, self._design, key=f"tag/{tag}/{value}")
            found.append({"tag": tag, "value": value, "prompts": len(rows), "contestants": compared})
        return found

    def _warnings(self, grades: Grades) -> Iterable[str]:
        if len(grades.ords) < ENOUGH:
            few = counted(len(grades.ords), "prompt", "is", "are")
            yield f"{few} few: intervals of fewer than {ENOUGH} are hardly more than a guess"
        for number, name in enumerate(self._design.contestants):
            open_ = sum(int(grades.counts[grade][:, number].sum()) for grade in OPEN)
            share = open_ / (len(grades.ords) * grades.samples)
            if share >= MUCH:
                yield f"{name}: of {share:.1%} of its samples nobody knows whether they pass; they count as not passed"
        if not self._training:
            yield "nobody looked whether the prompts were trained on: name what was by --against"


def _competing(spec: Spec, options: ContestOptions) -> Spec:
    """Return the spec less what decides which samples are drawn or kept. Raise SpecError where it can't be evaluated."""
    if not spec.verify:
        raise SpecError("verify: an evaluation needs a verifier, else every response passes")
    for name in ("adaptive", "cascade"):
        if getattr(spec.sampling, name):
            raise SpecError(f"sampling.{name}: it decides by verdicts what is drawn, and so the rates; leave it out to evaluate")
    if spec.template.strategies:
        raise SpecError(
            "template.strategies: every contestant is asked alike; leave them out, or make the text of one `template.system`"
        )
    if spec.growers:
        raise SpecError("prompts: an evaluation grows none; leave out `grow`, and evaluate on prompts that are there")
    known = [teacher.name for teacher in spec.drawing]
    for name in options.models:
        if name not in known:
            raise SpecError(f"--models: no teacher that draws is named {name!r}; {nearest(name, known)}")
    return spec.model_copy(
        update={
            "runner": None,
            "teachers": tuple(
                each for each in spec.teachers if not each.draw or not options.models or each.name in options.models
            ),
            "select": SelectOptions(require=spec.select.require, split=spec.select.split),
            "decontaminate": (),
            "exports": (),
        }
    )


def _design(spec: Spec, options: ContestOptions) -> Design:
    names = tuple(teacher.name for teacher in spec.drawing)
    if options.baseline is not None and options.baseline not in names:
        raise SpecError(f"--baseline: {options.baseline!r} takes no part; {nearest(options.baseline, names)}")
    ks: Sequence[int] = options.ks or (1, spec.sampling.k)
    for k in ks:
        if k < 1:
            raise SpecError(f"--k: pass@{k} means nothing; 1 or more")
        if k > spec.sampling.k:
            raise SpecError(
                f"--k: pass@{k} can't be told from {spec.sampling.k} samples a prompt; raise sampling.k to {k} or more"
            )
    return Design(
        contestants=names,
        baseline=names.index(options.baseline) if options.baseline is not None else 0,
        ks=tuple(sorted({1, *ks})),
        resamples=options.resamples,
        confidence=options.confidence,
        seed=spec.seed if options.seed is None else options.seed,
    )


def _split(spec: Spec, options: ContestOptions) -> str:
    if options.split is None:
        return "test" if spec.select.split is not None and spec.select.split.test else ALL
    if options.split not in SPLITS:
        raise SpecError(f"--split: no split {options.split!r}; one of {', '.join(SPLITS)}")
    if options.split != ALL and spec.select.split is None:
        raise SpecError(f"--split: the spec has no `select: {{split: …}}`, by which prompts are in {options.split!r}")
    return options.split
