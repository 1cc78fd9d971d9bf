"""Whose licences, terms and generations bind what a spec makes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from flows.loading import where, within
from flows.spec import Spec
from storage.lake import Lake
from storage.workspace import Workspace
from tasks.export import scores_of
from tasks.growth.options import GrowOptions
from tasks.license import Licensed, LicenseOptions, effective
from tasks.publishing import mix
from tasks.rights.bound import Bound, Inherited, bind, check_acknowledged, joined, strictest
from tasks.rights.licensing import (
    NOTHING,
    Licensee,
    bound_now,
    describe,
    describe_teacher,
    gate_origins,
    gate_row,
    inherit,
    merged,
    regate,
    with_untraced,
)
from tasks.rights.scorers import agreements, named
from tasks.rights.terms import SEPARATOR, Terms
from tasks.snapshot import TeacherFacts
from tasks.sources import PromptSource
from tasks.sources.shown import shown

GENERATED = frozenset({"response", "reasoning", "answer"})
"""Columns of a trace that a model wrote."""


def licensed(spec: Spec, path: Path) -> Iterator[Licensed]:
    """Yield what the licence gate judges."""
    for number, source in enumerate(spec.prompts):
        if source.license is None and source.licensed_by_row:
            continue  # each row has its own, and is barred by itself
        yield Licensed(what=f"{where(path, ('prompts', number))} ({shown(source.source)})", license=source.license)
    if spec.template.license is not None:
        yield Licensed(what=where(path, ("template",)), license=spec.template.license)
    scorers = scoring(spec, path)
    for number, teacher in enumerate(spec.teachers):
        if teacher.draw or teacher.name in spec.growers or teacher.name in scorers:
            yield Licensed(what=f"{where(path, ('teachers', number))} ({teacher.name})", license=teacher.license)
    for number, export in enumerate(spec.exports):
        yield from mix.licensed(export.mix, where=where(path, ("exports", number, "mix")))


def bounds(spec: Spec, path: Path, terms: Terms) -> list[Bound]:
    """Return what binds each drawing teacher. Raise SpecError where the spec names terms or teachers that there aren't."""
    names = [teacher.name for teacher in spec.teachers]
    check_acknowledged(spec.licenses.acknowledge, terms, names, where=str(path))
    return [bound(spec, path, terms, teacher.name) for teacher in spec.drawing]


def grower_bounds(spec: Spec, path: Path, terms: Terms) -> dict[str, Bound]:
    """Return what binds each teacher that grows prompts, by its name."""
    return {name: bound(spec, path, terms, name) for name in spec.growers}


def scoring(spec: Spec, path: Path) -> list[str]:
    """Return the names of the teachers whose scores exports want. Raise SpecError, with the place, where there is no such."""
    found = []
    for number, export in enumerate(spec.exports):
        place = where(path, ("exports", number))
        if (name := scores_of(export, where=place)) is not None:
            found.append(named(name, spec.teachers, where=f"{place}.scores").name)
    return list(dict.fromkeys(found))


def scorer_bounds(spec: Spec, path: Path, terms: Terms) -> list[Bound]:
    """Return what binds the teachers whose scores exports want."""
    return [bound(spec, path, terms, name) for name in scoring(spec, path)]


def bound(spec: Spec, path: Path, terms: Terms, name: str) -> Bound:
    """Return what binds one teacher. Raise SpecError where it names terms that there aren't."""
    number, teacher = spec.teacher(name)
    found = agreements(teacher, terms, what=where(path, ("teachers", number, "terms")))
    return bind(teacher.name, found, spec.licenses.acknowledge)


def inherited(spec: Spec, path: Path, terms: Terms) -> list[Inherited]:
    """Return what binds prompts that models wrote, or that come from other lakes: terms, and whose work they are.

    Raise LicenseRefused where they could not be exported either, StorageError where there is no such build.
    """
    found = _from_lakes(spec, terms)
    bounds = grower_bounds(spec, path, terms)
    grown = [
        _grown(
            spec, source, source.grow, bounds[source.grow.teacher], next((e for e in found if e.source == source.source), None)
        )
        for source in spec.prompts
        if source.grow is not None
    ]
    return merged([*found, *grown])


def _grown(spec: Spec, source: PromptSource, grow: GrowOptions, bound: Bound, seeds: Inherited | None) -> Inherited:
    """Return what binds the prompts that are grown from a source: what binds its seeds, and whoever grew them."""
    credit = source.attribution
    if credit is None and source.license is None and seeds is None:
        credit = source.source  # rows have licences of their own, and some may ask for it
    own = {"source": source.source, "license": source.license or NOTHING} | ({"attribution": credit} if credit else {})
    return Inherited(
        source=grow.name(source.source),
        terms=joined(SEPARATOR, bound.terms, seeds.terms if seeds else None),
        acknowledgement=joined("; ", bound.acknowledgement, seeds.acknowledgement if seeds else None),
        training=strictest([bound.training, *([seeds.training] if seeds else [])]),
        origin={
            "sources": [own | ({"origin": dict(seeds.origin)} if seeds else {})],
            "teachers": [describe_teacher(Licensee(options=spec.teacher(grow.teacher)[1], bound=bound))],
        },
    )


def _from_lakes(spec: Spec, terms: Terms) -> list[Inherited]:
    found = []
    for number, source in enumerate(spec.prompts):
        if not source.of_lake:
            continue
        path, dataset = source.lake
        with within(f"prompts[{number}].source"):
            lake = Lake.at(path)
            build = lake.build(dataset, source.build)
        licensing = with_untraced(build.get("licensing", {})) if source.take == "prompts" else build.get("licensing", {})
        gate_origins({"licensing": licensing}, terms)
        if source.take != "prompts" and set(source.fields.named) & GENERATED:
            traces = lake.snapshot("traces", dataset, build["build_id"])
            # Rows whose licence isn't allowed are barred one by one, and refuse nothing else.
            regate(traces, LicenseOptions(), terms, bound_now(build, terms))
            found.append(inherit(source.source, licensing, traces))
            continue
        for each in licensing.get("sources", ()):
            if "terms" in each:
                gate_row(each, terms, said=f"{source.source}: prompts of {shown(each['source'])}")
        found.append(inherit(source.source, licensing, None))
    return merged(found)


def described(spec: Spec, workspace: Workspace, bounds: Sequence[Bound], inherited: Sequence[Inherited]) -> dict[str, Any]:
    """Return what a build's manifest says of licences and terms."""
    by_teacher = {bound.teacher: bound for bound in bounds}
    teachers = [Licensee(options=arm.teacher, bound=by_teacher[arm.teacher.name]) for arm in spec.arms]
    with workspace.sparing():
        return describe(workspace, teachers, text=spec.template.license, sources=credits_of(spec), inherited=inherited)


def credits_of(spec: Spec) -> dict[str, str]:
    """Return whom to credit for each source that has an attribution; several where its entries name several."""
    found: dict[str, dict[str, None]] = {}
    for source in spec.prompts:
        if source.attribution is not None:
            found.setdefault(source.source, {})[source.attribution] = None
    return {name: "; ".join(each) for name, each in found.items()}


def facts(
    spec: Spec, bounds: Sequence[Bound], licenses: Sequence[str], inherited: Sequence[Inherited] = ()
) -> list[TeacherFacts]:
    """Return what traces say of the spec's arms, for prompts of these licences. The gate must have let them through.

    `bounds` has an entry for each drawing teacher.
    """
    bound_of = {bound.teacher: bound for bound in bounds}
    return [
        TeacherFacts(
            name=teacher.name,
            strategy=strategy,
            license=str(teacher.license),
            terms=bound.terms,
            acknowledgement=bound.acknowledgement,
            generation=teacher.generation,
            inherited=[
                Inherited(
                    source=each.source,
                    terms=joined(SEPARATOR, bound.terms, each.terms),
                    acknowledgement=joined("; ", bound.acknowledgement, each.acknowledgement),
                    training=each.training,
                )
                for each in inherited
            ],
            effective={each: effective(each, str(teacher.license), terms=bound, text=spec.template.license) for each in licenses},
        )
        for arm in spec.arms
        for teacher, strategy, bound in [(arm.teacher, arm.strategy, bound_of[arm.teacher.name])]
    ]
