"""Staging a spec's prompts and slots for commands that look at what is stored of them, and draw nothing."""

from __future__ import annotations

from pathlib import Path

from flows import wiring
from flows.checks import bar
from flows.run import Say
from flows.spec import Spec
from storage.workspace import Workspace
from tasks import unwanted
from tasks.prepare import Asked, prepare
from tasks.stop import Stop


def stage(spec: Spec, path: Path, workspace: Workspace, asked: list[Asked], stop: Stop, say: Say) -> None:
    """Fill `prompts`, `slots` and `unwanted`. As in a build, what was bought for a prompt that is barred is no slot."""
    template = wiring.template(spec, path)
    prepared = prepare(workspace, wiring.read(spec, stop), template, asked, spec.sampling.parameters(), spec.sampling.k)
    bar(workspace, spec, path, prepared, wiring.heldout(spec, path, say, stop))
    unwanted.find(workspace, [arm.teacher.retry for arm in spec.arms])
