"""Report: what a landed build is made of, for a terminal or as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flows.looking import looking
from storage.lake import Lake, Manifest
from storage.wording import counted
from storage.workspace import Workspace
from tasks.measures import breakdown, course, curves, sizes, style
from tasks.report import Summary, matrix
from tasks.score import distributions
from tasks.score.fit import Fit
from tasks.sources.addresses import named, put_in

SHOWN = 8
"""Rows of a part that a terminal shows."""
HABIT = 0.005
"""A habit of fewer responses than this share isn't shown on a terminal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What `stillhouse report` says."""

    build: Manifest
    """The build's manifest."""
    parts: Mapping[str, Any]
    """by_source, by_teacher, by_strategy, by_tag, by_tag_and_strategy, by_verifier, licenses, terms, lengths, histogram,
    rejections, contamination, distributions, pass_at, course and spent."""

    @property
    def sentence(self) -> str | None:
        """Say in one sentence that length alone guesses acceptance, where it does."""
        found = self.build.get("measures", {}).get("style")
        return style.sentence(found["responses"], found["by_length"], found["length_alone"]) if found else None

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        told = {name: value for name, value in self.build.items() if name != "spec"}
        by_teacher = {
            name: counts | {key: self.build.get("by_teacher", {}).get(name, {}).get(key) for key in ("cost_usd", "paid")}
            for name, counts in self.parts["by_teacher"].items()
        }
        return {**told, **self.parts, "by_teacher": by_teacher, "length_guesses": self.sentence}

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield it as (name, value) for a terminal."""
        yield from Summary.of(self.build).lines(whole=False)
        parts = self.parts
        yield from _rates("source", put_in(named(parts["by_source"]), parts["by_source"]))
        yield from _rates("strategy", parts["by_strategy"])
        for tag, values in parts["by_tag"].items():
            yield from _rates(f"tag {tag}:", values)
        yield from matrix(parts["by_tag_and_strategy"])
        for name, each in list(parts["by_verifier"].items()):
            rate = "decided none" if each["pass_rate"] is None else f"pass rate {each['pass_rate']:.1%}"
            said = f"{each['passed']:,} passed, {each['failed']:,} failed, {each['undecided']:,} undecided"
            yield f"verifier {name}", f"{rate}: {said}"
        for each in parts["licenses"]:
            use = f"training {each['train_use']}, generation {each['generation']}"
            yield f"licence {each['license']}", f"{counted(each['traces'], 'trace')}, {use}"
        for name, each in parts["lengths"].items():
            if each["sum"]:
                shown = ", ".join(f"{part} {size:,}" for part, size in each["quantiles"].items())
                yield f"{name.replace('_', ' ')} of traces", f"{each['sum']:,} in all; by parts: {shown}"
        for each in parts["rejections"][:SHOWN]:
            kind = f": {each['kind']}" if each["kind"] else ""
            yield f"{each['outcome']} at {each['stage']}", f"{each['slots']:,}{kind}"
        if len(parts["rejections"]) > SHOWN:
            left = sum(each["slots"] for each in parts["rejections"][SHOWN:])
            yield "", f"{left:,} for {counted(len(parts['rejections']) - SHOWN, 'more reason')}; --json has them all"
        for each in parts["contamination"]:
            yield f"benchmark {each['benchmark']}", f"{counted(each['slots'], 'slot')} of {counted(each['prompts'], 'prompt')}"
        for whose, each in parts["distributions"].items():
            yield f"distributions {whose}", "of traces"
            yield from ((f"  {name}", value) for name, value in Fit(**each).lines())
        yield from self._measures()

    def _measures(self) -> Iterator[tuple[str, str]]:
        measures = self.build.get("measures")
        if not measures:
            yield "measures", "none: this build is of an earlier version; building again adds them, at no cost"
            return
        yield from _diversity(measures["diversity"])
        yield from _style(measures["style"])
        if self.sentence:
            yield "LOOK", self.sentence


def report(lake: Lake, dataset: str, *, build_id: str | None) -> Report:
    """Return what a build is made of, the newest by default. Raise StorageError where there is none."""
    with looking(lake, dataset, build_id) as (workspace, build):
        return measured(workspace, lake, build)


def measured(workspace: Workspace, lake: Lake, build: Manifest) -> Report:
    """Return what a build is made of that `looking` gave."""
    breakdown.load(workspace)
    parts = {
        "by_source": breakdown.by_source(workspace),
        "by_teacher": breakdown.by_teacher(workspace),
        "by_strategy": breakdown.by_strategy(workspace),
        "by_tag": breakdown.by_tag(workspace),
        "by_tag_and_strategy": breakdown.by_tag_and_strategy(workspace),
        "by_verifier": breakdown.by_verifier(workspace, build.get("verifiers", [])),
        "licenses": breakdown.licenses(workspace),
        "terms": sizes.terms(workspace),
        "lengths": breakdown.lengths(workspace),
        "histogram": sizes.histogram(workspace),
        "rejections": breakdown.rejections(workspace),
        "contamination": breakdown.contamination(workspace),
        "distributions": distributions.of_traces(workspace, lake, build),
        "pass_at": curves.pass_curves(workspace, build),
        "course": course.course(workspace, build),
        "spent": sizes.spent(workspace),
    }
    return Report(build=build, parts=parts)


def _rates(what: str, parts: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    most = sorted(parts.items(), key=lambda each: -each[1]["slots"])
    for name, each in most[:SHOWN]:
        rate = "no responses" if each["pass_rate"] is None else f"pass rate {each['pass_rate']:.1%} of {each['responses']:,}"
        yield f"{what} {name}", f"{rate}; {counted(each['kept'], 'trace')} of {counted(each['slots'], 'slot')}"
    if len(most) > SHOWN:
        yield "", f"{len(most) - SHOWN:,} more; --json has them all"


def _diversity(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if not found["sample"]:
        return
    grams = ", ".join(f"{n}: {_figure(found[f'distinct_{n}'])}" for n in (1, 2, 3))
    yield "diversity", f"on {found['sample']:,} of {counted(found['traces'], 'trace')}: distinct n-grams {grams}"
    entropies = f"entropy of lengths {_figure(found['length_entropy'])} bits, of openings {_figure(found['opening_entropy'])}"
    yield "", f"compression ratio {_figure(found['compression_ratio'])}; {entropies}"
    alike = f"Vendi score {_figure(found['vendi'])}, mean similarity {_figure(found['self_similarity'])}"
    yield "", f"{alike} (by {found['kernel']})"
    if found.get("unknown"):
        yield "", f"in {found['unknown']:,} of them that model knows no word: they count as like no other"
    for each in found["openings"][:3]:
        yield "", f"{each['share']:.1%} begin “{each['opening']}”"


def _style(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if not found["sample"]:
        return
    yield "style", f"on {found['sample']:,} of {found['responses']:,} judged responses"
    for name, each in found["habits"].items():
        if (each["share"] or 0) >= HABIT:
            rates = f"pass rate {_percent(each['pass_rate_with'])} with, {_percent(each['pass_rate_without'])} without"
            yield (
                f"  {name.replace('_', ' ')}",
                f"{_percent(each['share'])} ({_percent(each['share_of_traces'])} of traces); {rates}",
            )
    for each in found["by_length"]:
        yield (
            f"  {each['from']:,} to {each['to']:,} characters",
            f"pass rate {_percent(each['pass_rate'])} of {each['responses']:,}",
        )
    guessed = found["length_alone"]
    if guessed:
        rule = f"right for {guessed['accuracy']:.1%} at best, where always the same answer is for {guessed['base']:.1%}"
        yield "  length alone", f"area under the curve {guessed['auc']:.2f}; {rule}"


def _figure(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"


def _percent(value: float | None) -> str:
    return "none" if value is None else f"{value:.1%}"
