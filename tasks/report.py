"""The report of a build: the numbers that every command prints, and that add up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from storage.wording import counted
from tasks.growth.counts import GrownCounts

SHOWN = 8
"""Values of a tag that a terminal shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherCounts:
    """One teacher's part of a build. A judge has no slots, and may have a bill."""

    requested: int
    """Sample slots that it was asked for."""
    reused: int
    """Of these, samples that the lake had."""
    paid: int
    """Responses that this run bought."""
    kept: int
    """Traces."""
    failed: int
    """Without a response."""
    pass_rate: float | None
    """Share of its responses that were wanted and that the verifiers accepted; None where there are none."""
    cost_usd: float
    """Of this run, as far as its price is known."""
    tokens_in: int
    """Billed to this run."""
    tokens_out: int
    """Billed to this run."""

    def line(self) -> str:
        """Return it for a terminal."""
        asked = f"{self.requested:,} requested: {self.reused:,} reused, {self.paid:,} paid, {self.failed:,} failed; "
        rate = "" if self.pass_rate is None else f"pass rate {self.pass_rate:.0%}; "
        spend = f"${self.cost_usd:,.4f}, {counted(self.tokens_in, 'token')} in, {self.tokens_out:,} out"
        return (asked if self.requested else "") + rate + spend


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What adaptive k and a cascade spared, compared with `basis`. Less than nothing where a cascade cost more than it spared."""

    samples: int
    """Of those in `basis`, samples that were not asked for."""
    tokens_in: int
    """Prompt tokens; what a cascade's other teachers took is subtracted."""
    tokens_out: int
    """Completion tokens, likewise."""
    usd: float | None
    """USD, likewise; None where a price is unknown. What judges cost is no part of it."""
    basis: str
    """What it is compared with, and by which samples it is estimated."""

    def line(self) -> str:
        """Return it for a terminal."""
        sign = "-" if self.usd is not None and self.usd < 0 else ""
        usd = "an unknown price" if self.usd is None else f"{sign}${abs(self.usd):,.4f}"
        tokens = f"{counted(self.tokens_in, 'token')} in, {self.tokens_out:,} out"
        return f"{counted(self.samples, 'sample')}, {usd}, {tokens}, against {self.basis}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One build in numbers."""

    dataset: str
    """The spec's."""
    build_id: str
    """This build's."""
    prompts: int
    """Prompts that the sources gave, the same content counted once."""
    requested: int
    """Sample slots that were asked for: kept + rejected + failed."""
    reused: int
    """Of these, samples that the lake had."""
    paid: int
    """Responses that this run bought."""
    kept: int
    """Traces."""
    rejected: Mapping[str, int] = field(default_factory=dict)
    """By stage."""
    failed: int
    """Without a response."""
    responses: int | None = None
    """Of those that were requested, without what was requested of nobody; None of a build of before this was counted."""
    accepted: int | None = None
    """Of these, responses that were wanted and that the verifiers accepted."""
    cost_usd: float
    """Of this run, as far as prices are known."""
    tokens_in: int
    """Billed to this run."""
    tokens_out: int
    """Billed to this run."""
    unanswered: int = 0
    """Requests of this run that were sent and saw no answer."""
    given_up: int = 0
    """Of these, such as were in flight when it ended."""
    unanswered_usd: float = 0.0
    """USD that may have been billed for these, by estimate: `cost_usd` doesn't have it, and the budget does."""
    by_teacher: Mapping[str, TeacherCounts] = field(default_factory=dict)
    """Each teacher's part, judges included, by name."""
    by_strategy: Mapping[str, Any] = field(default_factory=dict)
    """What became of each strategy's slots, as `tasks.measures.breakdown.by_strategy` returns it; empty without strategies."""
    by_tag_and_strategy: Mapping[str, Any] = field(default_factory=dict)
    """Likewise by tag, value and strategy."""
    saved: Saved | None = None
    """What wasn't drawn, where k is adaptive or the teachers are a cascade."""
    grown: Sequence[GrownCounts] = field(default_factory=list)
    """What came of growing prompts, by source."""
    measures: Mapping[str, Any] = field(default_factory=dict)
    """How diverse the traces are, and what style tells: as `tasks.measures.measure.measure` returns it."""
    warnings: Sequence[str] = field(default_factory=list)
    """What whoever trains on it should look at."""
    elapsed_s: float
    """Of this run."""
    lake: str
    """Where."""
    created_at: str
    """When the build landed, ISO 8601, UTC."""
    spec_hash: str
    """Of the spec's content."""
    version: str
    """Of stillhouse."""

    @classmethod
    def of(cls, mapping: Mapping[str, Any]) -> Self:
        """Return the summary of what `as_dict` gave, whatever else stands beside it."""
        given = {each.name: mapping[each.name] for each in fields(cls) if each.name in mapping}
        given["by_teacher"] = {name: TeacherCounts(**counts) for name, counts in mapping.get("by_teacher", {}).items()}
        given["grown"] = [GrownCounts(**each) for each in mapping.get("grown", ())]
        given["saved"] = Saved(**mapping["saved"]) if mapping.get("saved") else None
        return cls(**given)

    @property
    def pass_rate(self) -> float | None:
        """Share of the responses that were wanted and that the verifiers accepted."""
        if self.responses is not None and self.accepted is not None:
            return self.accepted / self.responses if self.responses else None
        responses = self.requested - self.failed
        bad = self.rejected.get("draw", 0) + self.rejected.get("verify", 0)
        return None if not responses else 1 - bad / responses

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` prints and the manifest holds."""
        return asdict(self)

    def lines(self, *, whole: bool = True) -> list[tuple[str, str]]:
        """Return the summary as (name, value) for a terminal; not as a `whole`, without what a report breaks down anyway."""
        rejected = sum(self.rejected.values())
        drawn = self.paid - sum(each.paid for each in self.grown)
        stages = ", ".join(f"{stage} {number:,}" for stage, number in self.rejected.items())
        rate = "" if self.pass_rate is None else f"{self.pass_rate:.0%}"
        return [
            ("build", f"{self.dataset} {self.build_id}"),
            ("prompts", f"{self.prompts:,}"),
            *(line for each in self.grown for line in each.lines()),
            ("samples", f"{self.requested:,} requested: {self.reused:,} reused, {drawn:,} paid, {self.failed:,} failed"),
            ("outcomes", f"{self.kept:,} kept + {rejected:,} rejected + {self.failed:,} failed = {self.requested:,}"),
            ("rejected by", stages or "nothing"),
            ("pass rate", rate or "no responses"),
            ("spend", f"${self.cost_usd:,.4f}, {counted(self.tokens_in, 'token')} in, {self.tokens_out:,} out"),
            *([("unanswered", lost(self.unanswered, self.given_up, self.unanswered_usd))] if self.unanswered else []),
            *((f"teacher {name}", counts.line()) for name, counts in self.by_teacher.items() if len(self.by_teacher) > 1),
            *(strategies(self.by_strategy) if whole else ()),
            *(matrix(self.by_tag_and_strategy) if whole else ()),
            *([("saved", self.saved.line())] if self.saved else []),
            *(("warning", warning) for warning in self.warnings),
            ("time", f"{self.elapsed_s:,.1f} s"),
            ("lake", self.lake),
        ]

    def markdown(self) -> str:
        """Return the summary as a table, for Prefect's UI."""
        rows = "\n".join(f"| {name} | {value} |" for name, value in self.lines())
        return f"## {self.dataset}\n\n| | |\n|---|---|\n{rows}\n"


def lost(unanswered: int, given_up: int, usd: float) -> str:
    """Return what is said of requests that saw no answer, some of them since they were given up."""
    late = unanswered - given_up
    parts = [
        *([f"{counted(late, 'request')} got no answer in time"] if late else []),
        *([f"{counted(given_up, 'request')} in flight {'was' if given_up == 1 else 'were'} given up"] if given_up else []),
    ]
    return " and ".join(parts) + (f" and may have been billed, about ${usd:,.4f}, which the budget counts" if usd else "")


def strategies(parts: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield a line for each strategy."""
    for name, each in parts.items():
        yield f"strategy {name}", f"pass rate {_rate(each)}; {counted(each['kept'], 'trace')} of {counted(each['slots'], 'slot')}"


def matrix(parts: Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]]) -> Iterator[tuple[str, str]]:
    """Yield a line for each value of a tag: the strategies' pass rates there, the best first."""
    for tag, values in parts.items():
        # The values that have the most responses.
        most = sorted(values.items(), key=lambda pair: -sum(each["responses"] for each in pair[1].values()))
        for value, by_strategy in most[:SHOWN]:
            ranked = sorted(by_strategy.items(), key=lambda pair: -(pair[1]["pass_rate"] or 0.0))
            yield f"{tag} {value} by strategy", ", ".join(f"{name} {_rate(each)}" for name, each in ranked)
        if len(most) > SHOWN:
            yield "", f"{len(most) - SHOWN:,} more; --json has them all"


def _rate(part: Mapping[str, Any]) -> str:
    return "none" if part["pass_rate"] is None else f"{part['pass_rate']:.0%} of {part['responses']:,}"
