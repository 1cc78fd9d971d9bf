"""Staging a spec's prompts and slots for commands that look at what is stored of them, and draw nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flows import wiring
from flows.checks import bar
from flows.growth import from_store
from flows.progress import Say
from flows.spec import Spec
from flows.wiring import Connected
from storage.workspace import Workspace
from tasks import unwanted
from tasks.stop import Stop
from tasks.verify import Named


def stage(
    spec: Spec,
    path: Path,
    workspace: Workspace,
    teachers: Sequence[Sequence[Connected]],
    verifiers: Sequence[Named],
    stop: Stop,
    say: Say,
) -> None:
    """Fill `prompts`, `slots` and `unwanted`. As in a build, what was bought for a prompt that is barred is no slot."""
    heldout = wiring.heldout(spec, path, say, stop)
    grown = wiring.growing(spec, workspace, teachers, heldout)
    from_store(spec, path, grown, stop)
    prepared = wiring.prepared(spec, path, workspace, teachers, stop=stop, grown=grown)
    bar(workspace, spec, path, prepared, heldout, verifiers)
    unwanted.find(workspace, [arm.teacher.retry for arm in spec.arms])
