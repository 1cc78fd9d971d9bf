"""What can be known before anything is spent: of a spec, of its prompts, of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

from flows import judging, rights, wiring
from flows.spec import Spec
from storage.lake import Lake
from storage.workspace import Workspace
from tasks import guard
from tasks.bound import gate_terms
from tasks.decontaminate import Decontamination
from tasks.dedup import check_against
from tasks.export import check_exports
from tasks.license import bar_unlicensed, gate
from tasks.prepare import Prepared, unbarred
from tasks.templates import Template
from tasks.terms import load
from tasks.verify import Named
from verifiers.protocol import NeedsMachine


def check(spec: Spec, path: Path, lake: Lake) -> None:
    """Raise what can be known of a spec without reading a prompt: the gate, verifiers, providers, destinations."""
    terms = load(spec.licenses.terms)
    bounds = rights.bounds(spec, path, terms)
    gate(rights.licensed(spec), spec.licenses)
    gate_terms([*bounds, *rights.grower_bounds(spec, path, terms).values()])
    rights.inherited(spec, path, terms)
    guard.check_teachers(spec.guard, {teacher.name: teacher.generation for teacher in spec.drawing})
    for source in spec.prompts:
        if source.grow is not None:
            grower = spec.teacher(source.grow.teacher)[1]
            guard.check_growth(spec.guard, source.source, seeds=source.generation, teacher=grower.generation, grow=source.grow)
    wiring.check_teachers(spec, path)
    judging.make_verifiers(spec, path)
    Template(spec.template, where=str(path))
    wiring.embedder(spec, path)
    check_against(spec.dedup, lake, dataset=spec.dataset, where=str(path))
    check_exports(spec.exports, lake.root)


def bar(workspace: Workspace, spec: Spec, prepared: Prepared, heldout: Decontamination | None) -> Prepared:
    """Bar the prompts of which nothing could be kept, before anything is spent on them, and return what is left to do."""
    if heldout is not None:
        exempt = {source.source for source in spec.prompts if not source.decontaminate}
        heldout.bar(workspace, exempt, Template(spec.template, where=spec.dataset))
    bar_unlicensed(workspace, spec.licenses)
    guard.check_prompts(workspace, spec.guard)
    return unbarred(workspace, prepared)


async def ready(verifiers: Iterable[Named]) -> None:
    """Raise SetupError where a verifier needs something of this machine that isn't there."""
    for named in verifiers:
        if isinstance(named.verifier, NeedsMachine):
            await asyncio.to_thread(named.verifier.ready)
