"""The spec: what a user writes, as frozen models that refuse unknown keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from pydantic import Field, model_validator

from flows.cluster.options import RunnerOptions
from flows.watching.options import ApproveOptions, WatchOptions
from storage.identity import address
from storage.plugins import nearest
from tasks.duplicates.options import DedupOptions
from tasks.export import ExportOptions
from tasks.guard import GuardOptions
from tasks.heldout.benchmarks import Benchmark, check_names
from tasks.license import LicenseOptions
from tasks.options import Options
from tasks.select import SelectOptions
from tasks.sources import PromptSource
from tasks.teachers.options import Name, TeacherOptions
from tasks.teachers.sampling import SamplingOptions
from tasks.templates import TemplateOptions


class BudgetOptions(Options):
    """The spec's `budget`."""

    usd: float = Field(gt=0)
    """USD that the dataset may cost, over all runs of the spec."""


class VerifierEntry(Options, extra="allow"):
    """One entry of `verify`: a verifier's name and its own options, which `flows.judging` checks."""

    use: str = Field(min_length=1)
    """The verifier's name."""

    @property
    def options(self) -> dict[str, Any]:
        """Return everything but the name."""
        return dict(self.model_extra or {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A drawing teacher with one of the spec's strategies: what a prompt is asked by, k times."""

    teacher: TeacherOptions
    """The teacher."""
    strategy: str | None
    """The strategy; None: the plain template."""


class Spec(Options):
    """A dataset's spec."""

    dataset: Name
    """Its name."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """For whatever is random and isn't a teacher's."""
    prompts: tuple[PromptSource, ...] = Field(min_length=1)
    """Where prompts come from."""
    template: TemplateOptions = TemplateOptions()
    """What prompts become."""
    teachers: tuple[TeacherOptions, ...] = Field(min_length=1)
    """Who is asked."""
    sampling: SamplingOptions = SamplingOptions()
    """How."""
    verify: tuple[VerifierEntry, ...] = ()
    """What a response must pass."""
    select: SelectOptions = SelectOptions()
    """What is kept."""
    dedup: DedupOptions = DedupOptions()
    """What counts as the same."""
    decontaminate: tuple[Benchmark, ...] = ()
    """Held-out benchmarks, of whose items nothing may be trained on."""
    guard: GuardOptions = GuardOptions()
    """Against training on what was generated."""
    runner: RunnerOptions | None = None
    """Where shards run: which decides nothing of what comes of them. None: in this process."""
    licenses: LicenseOptions = LicenseOptions()
    """What the licence gate lets through."""
    budget: BudgetOptions | None = None
    """Where to stop."""
    exports: tuple[ExportOptions, ...] = ()
    """Written when a build lands."""
    watch: WatchOptions = WatchOptions()
    """When to raise an alarm."""
    approve: ApproveOptions | None = None
    """What waits for a person."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [teacher.name for teacher in self.teachers]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"teachers: two are named {min(twice)!r}")
        asked: dict[str, str] = {}
        for teacher in self.drawing:
            key = address([teacher.vendor, teacher.model, teacher.api, teacher.path, teacher.extra_body])
            if key in asked:
                raise ValueError(
                    f"teachers: {asked[key]!r} and {teacher.name!r} are the same provider and model, and so the same samples: "
                    "one of them would never be asked; make them `replicas` of one teacher, or tell them apart by `model`"
                )
            asked[key] = teacher.name
        if not any(teacher.draw for teacher in self.teachers):
            raise ValueError("teachers: none of them draws")
        self._check_cascade()
        self._check_growers(names)
        check_names(self.decontaminate, where="decontaminate")
        exempt = {source.source: number for number, source in enumerate(self.prompts) if not source.decontaminate}
        for number, source in enumerate(self.prompts):
            if source.decontaminate and source.source in exempt:
                raise ValueError(
                    f"prompts[{number}].decontaminate: prompts[{exempt[source.source]}] has the same source, and `false`: "
                    "set it for both, or for neither"
                )
        if self.budget is not None:
            free = [teacher.name for teacher in self.teachers if teacher.price is None]
            if free:
                raise ValueError(f"budget: teacher {free[0]!r} needs a `price`, else nobody knows what is spent")
        self._check_select()
        return self

    def _check_select(self) -> None:
        listed = {entry.use for entry in self.verify}
        required = self.select.require if isinstance(self.select.require, tuple) else ()
        if self.select.prefer == "best_strategy" and not self.template.strategies:
            raise ValueError("select.prefer: best_strategy chooses among template.strategies, and there are none")
        unknown = [name for name in required if name not in listed]
        if unknown:
            raise ValueError(f"select.require: {unknown[0]!r} isn't among the verifiers ({', '.join(sorted(listed)) or 'none'})")

    def _check_growers(self, names: Sequence[str]) -> None:
        for number, source in enumerate(self.prompts):
            if source.grow is not None and source.grow.teacher not in names:
                name = source.grow.teacher
                raise ValueError(f"prompts[{number}].grow.teacher: no teacher is named {name!r}; {nearest(name, names)}")

    def _check_cascade(self) -> None:
        cascade, known = self.sampling.cascade, [teacher.name for teacher in self.drawing]
        judges = {teacher.name for teacher in self.teachers} - set(known)
        for place, name in enumerate(cascade):
            if name in judges:
                raise ValueError(f"sampling.cascade[{place}]: teacher {name!r} has `draw: false`: it only judges")
            if name not in known:
                raise ValueError(f"sampling.cascade[{place}]: no teacher is named {name!r}; {nearest(name, known)}")
            if name in cascade[:place]:
                raise ValueError(f"sampling.cascade[{place}]: {name!r} stands in it twice")
        left = [name for name in known if cascade and name not in cascade]
        if left:
            raise ValueError(
                f"sampling.cascade: teacher {left[0]!r} isn't in it, and every teacher that draws must be; "
                "add it, or set its `draw: false`"
            )

    @property
    def arms(self) -> tuple[Arm, ...]:
        """Return each drawing teacher with each strategy. Their places are what a workspace calls `teacher`."""
        return tuple(Arm(teacher=teacher, strategy=name) for teacher in self.drawing for name in self.template.names)

    @property
    def cascades(self) -> tuple[tuple[int, ...], ...]:
        """Return for each strategy the numbers of its arms from cheap to strong; none where there is no cascade."""
        if not self.sampling.cascade:
            return ()
        names, strategies = [teacher.name for teacher in self.drawing], len(self.template.names)
        return tuple(
            tuple(names.index(name) * strategies + strategy for name in self.sampling.cascade) for strategy in range(strategies)
        )

    @property
    def drawing(self) -> tuple[TeacherOptions, ...]:
        """Return the teachers that are asked for samples."""
        return tuple(teacher for teacher in self.teachers if teacher.draw)

    @property
    def growers(self) -> list[str]:
        """Return the names of the teachers that grow prompts, in the order of the sources that they grow."""
        return list(dict.fromkeys(source.grow.teacher for source in self.prompts if source.grow is not None))

    def teacher(self, name: str) -> tuple[int, TeacherOptions]:
        """Return a teacher's number and options. It must be there."""
        return next((number, teacher) for number, teacher in enumerate(self.teachers) if teacher.name == name)

    @property
    def hash(self) -> str:
        """Return the content address of the spec."""
        return address(self.model_dump(mode="json", exclude={"runner"}) | {"runner": None})
