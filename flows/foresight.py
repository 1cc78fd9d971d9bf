"""Foresight: what growing prompts leads to, by what is stored, before any of it is paid for.

The guard looks at a build's prompts before samples are bought, but by then what was grown has been paid for. So what growing will
ask for is held against the same bounds first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from flows import wiring
from flows.checks import bar
from flows.growth import from_store
from flows.progress import Say
from flows.spec import Spec
from flows.wiring import Connected
from storage.lake import Lake
from storage.sql import parquet_in
from storage.workspace import Workspace
from tasks import costs, guard
from tasks.decontaminate import Decontamination
from tasks.growth.estimate import GrowthEstimate, estimate_growth
from tasks.growth.growing import Growing
from tasks.stop import Stop
from tasks.verify import Named


def foresee(
    spec: Spec,
    path: Path,
    workspace: Workspace,
    lake: Lake,
    teachers: Sequence[Sequence[Connected]],
    heldout: Decontamination | None,
    verifiers: Sequence[Named],
    *,
    stop: Stop,
    say: Say,
    probing: bool,
) -> float:
    """Return USD that earlier runs spent, by what can be grown of what is stored, in a workspace of its own.

    Raise GuardRefused where the guard would refuse what is to be grown. `probing`: only a little of it is.
    """
    if spec.budget is None and not spec.guard.of_prompts:
        return 0.0
    grown = wiring.growing(spec, workspace, teachers, heldout)
    from_store(spec, path, grown, stop)
    prepared = wiring.prepared(spec, path, workspace, teachers, stop=stop, grown=grown)
    spent = costs.spent(workspace)
    if spec.guard.of_prompts:
        bar(workspace, spec, path, prepared, heldout, verifiers)
        check(spec, workspace, lake, grown, say, probing=probing)
    return spent


def check(
    spec: Spec, workspace: Workspace, lake: Lake, grown: Mapping[int, Growing], say: Say, *, probing: bool = False
) -> list[GrowthEstimate]:
    """Return what is to be grown. Raise GuardRefused where the guard would refuse that.

    The prompts that there are have been staged and barred. What may be refused, and isn't expected to be, is said.
    """
    estimates = [estimate_growth(growing) for growing in grown.values()]
    for growing, estimate in zip(grown.values(), estimates, strict=True):
        if estimate.missing:
            named, own = growing.source.source, growing.teacher.generation
            guard.check_growth(spec.guard, named, seeds=growing.latest(), teacher=own, grow=growing.options)
    coming = guard.Coming(
        most=sum(each.may_come for each in estimates),
        expected=sum(each.may_come if each.expected is None else each.expected for each in estimates),
        known=all(each.expected is not None for each in estimates if each.may_come),
        failed=bool(spec.guard.min_human_share) and _failed(spec, workspace, lake),
    )
    if (line := guard.check_share(workspace, spec.guard, coming, probing=probing)) is not None:
        say(line)
    return estimates


def _failed(spec: Spec, workspace: Workspace, lake: Lake) -> bool:
    """Return whether the dataset's newest build has asked for all that is missing, and got no answer."""
    builds = lake.builds(spec.dataset)
    if not builds or not builds[-1].get("grown"):
        return False
    told = parquet_in(lake.snapshot("grown", spec.dataset, builds[-1]["build_id"]))
    ((others,),) = workspace.rows(
        f"SELECT count(*) FROM grown_samples ANTI JOIN (FROM {told} WHERE outcome = 'failed') USING (sample_id) WHERE NOT stored"
    )
    return not others
