"""What can be known before anything is spent: of a spec, of its prompts, of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from flows import judging, rights, scorers, wiring
from flows.cluster.options import check as check_runner
from flows.loading import placed, where
from flows.spec import Spec
from storage.errors import SpecError
from storage.lake import Lake
from storage.rot import verify, verify_build
from storage.wording import counted
from storage.workspace import Workspace
from tasks import barred, guard, undecidable
from tasks.decontaminate import Decontamination
from tasks.dedup import check_against
from tasks.export import check_exports, make, scores_of
from tasks.exporters.protocol import needs_distributions
from tasks.labels import check_labels
from tasks.license import bar_unlicensed, gate
from tasks.prepare import Prepared, unbarred
from tasks.rights.bound import gate_terms
from tasks.rights.scorers import named
from tasks.rights.terms import load
from tasks.strategies import conditions, remarks
from tasks.verify import Named, Rule
from verifiers.protocol import NeedsMachine


def check(spec: Spec, path: Path, lake: Lake, *, watched: bool = False, asking: bool = True) -> None:
    """Raise what can be known of a spec without reading a prompt: the gate, verifiers, providers, destinations.

    `watched`: a person can be asked, and the spec's `approve` may leave terms that nobody has acknowledged to them.
    `asking`: teachers may be asked, from this machine.
    """
    with placed(path):
        _check(spec, path, lake, watched=watched, asking=asking)


def _check(spec: Spec, path: Path, lake: Lake, *, watched: bool, asking: bool) -> None:
    terms = load(spec.licenses.terms)
    bounds = rights.bounds(spec, path, terms)
    gate(rights.licensed(spec, path), spec.licenses)
    asked = watched and spec.approve is not None and spec.approve.unacknowledged_license
    if not asked:
        gate_terms([*bounds, *rights.grower_bounds(spec, path, terms).values(), *rights.scorer_bounds(spec, path, terms)])
    rights.inherited(spec, path, terms)
    guard.check_teachers(spec.guard, {teacher.name: teacher.generation for teacher in spec.drawing})
    for source in spec.prompts:
        if source.grow is not None:
            grower = spec.teacher(source.grow.teacher)[1]
            guard.check_growth(spec.guard, source.source, seeds=source.generation, teacher=grower.generation, grow=source.grow)
    wiring.check_teachers(spec, path)
    check_runner(spec.runner, spec.teachers, path)
    verifiers = judging.make_verifiers(spec, path)
    if asking:
        wiring.check_machine(spec, path, [name for named in verifiers for name in judging.asks(named.verifier)])
    wiring.template(spec, path)
    wiring.embedder(spec, path)
    check_against(spec.dedup, lake, dataset=spec.dataset, where=str(path))
    if spec.select.student_loss is not None:
        scorers.check(spec, path, spec.select.student_loss.student, where="select.student_loss.student")
    _check_taught(spec, path)
    check_exports(spec.exports, lake, where=lambda number: where(path, ("exports", number)))


def verify_parts(lake: Lake, spec: Spec, say: Callable[[str], None], *, check: Callable[[], None]) -> None:
    """Raise LakeDamaged where what a build is going to read of its lake isn't what was written. `check` may raise to give up."""
    verify(lake, say, check=check)
    for build in lake.builds(spec.dataset)[-1:]:
        verify_build(lake, build, ("outcomes", "grown"))
    for dataset in spec.dedup.against:
        verify_build(lake, lake.build(dataset), ("traces",))


def _check_taught(spec: Spec, path: Path) -> None:
    """Raise SpecError where an export needs distributions and no sample is asked for with any, or its scorer can't give them."""
    for number, each in enumerate(spec.exports):
        place = where(path, ("exports", number))
        scorer = scores_of(each, where=place)
        if scorer is not None:
            name = named(scorer, spec.teachers, where=f"{place}.scores").name
            scorers.check(spec, path, name, where=f"exports[{number}].scores")
        elif needs_distributions(make(each, where=place)) and not spec.sampling.logprobs:
            raise SpecError(
                f"{place}: {each.format} needs what the teacher gave to each token: set sampling.logprobs, or "
                "name a scorer with `scores`"
            )


def check_prompts(workspace: Workspace, spec: Spec, path: Path, prepared: Prepared, say: Callable[[str], None]) -> None:
    """Raise SpecError where the spec names a tag that none of its prompts has, and say which strategies are for few of them."""
    with placed(path):
        check_labels(workspace, [*conditions(spec.template.strategies), *spec.select.labels], where=str(path))
    for line in remarks(prepared.by_strategy, spec.template.strategies):
        say(line)


def bar(
    workspace: Workspace,
    spec: Spec,
    path: Path,
    prepared: Prepared,
    heldout: Decontamination | None,
    verifiers: Sequence[Named],
    say: Callable[[str], None] = lambda _: None,
) -> Prepared:
    """Bar the prompts of which nothing could be kept, before anything is spent on them, and return what is left to do.

    `verifiers` are the spec's. `say` hears of the others of which those by reference or tests can't decide.
    """
    if heldout is not None:
        exempt = {source.source for source in spec.prompts if not source.decontaminate}
        heldout.bar(workspace, exempt, wiring.template(spec, path))
    with placed(path):
        bar_unlicensed(workspace, spec.licenses)
    guard.check_prompts(workspace, spec.guard)
    rule = judging.rule(spec, verifiers)
    if (query := undecidable.query(verifiers, rule)) is not None:
        ((left,),) = workspace.rows("SELECT count(*) FROM prompt_ids ANTI JOIN barred USING (ord)")
        if barred.bar(workspace, "verify", query) == left > 0:
            raise nobody_decides(path, left, verifiers, rule)
    left, cannot, others = undecidable.undecided(workspace, verifiers, rule)
    if left:
        lacking = undecidable.said(undecidable.needed(verifiers, rule))
        say(f"prompts without {lacking}: {left:,}; what answers them is decided by {others} alone, and not by {cannot}")
    return unbarred(workspace, prepared)


def nobody_decides(path: Path, prompts: int, verifiers: Sequence[Named], rule: Rule) -> SpecError:
    """Return what to raise where no response to any prompt could be accepted."""
    needs = undecidable.needed(verifiers, rule)
    names = ", ".join(dict.fromkeys(named.name for named in verifiers if named.fingerprint in rule.counted))
    fields = " or ".join(f"prompts[].fields.{name}" for name in sorted(needs))
    place = where(path, ("verify",))
    return SpecError(
        f"{place}: none of {counted(prompts, 'prompt')} has {undecidable.said(needs)}, without which nothing could pass "
        f"{names}: name the column by {fields}"
    )


async def ready(verifiers: Iterable[Named]) -> None:
    """Raise SetupError where a verifier needs something of this machine that isn't there."""
    for each in verifiers:
        if isinstance(each.verifier, NeedsMachine):
            await asyncio.to_thread(each.verifier.ready)
