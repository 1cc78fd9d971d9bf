"""Launching the training of a student from the command line: what is wrong is found before anything heavy is loaded."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any, cast

from rich.console import Console

from flows import distilling
from flows.process.ending import Outcome
from flows.process.launch import starting
from tasks.destinations.place import MANIFEST
from tasks.distillation import capacity_gap
from tasks.distillation.recipe import Recipe


def gaps(shards: Path, student: str) -> list[str]:
    """Return a line for each teacher of an export that is far larger, or smaller, than the student."""
    try:
        manifest = json.loads(((shards if shards.is_dir() else shards.parent) / MANIFEST).read_bytes())
        teachers = capacity_gap.of_spec(manifest["spec"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError):  # shards of another maker
        return []
    return capacity_gap.told(teachers, Path(student).expanduser())


def launch(shards: Path, student: str, to: Path, recipe: Recipe, device: str, console: Console) -> dict[str, Any]:
    """Run the flow and return what came of it. Raise what ended it."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    with starting() as started, distilling.Display(console) as display:
        distilling.check(shards, student, to, recipe)
        for warning in gaps(shards, student):
            display.say(warning)
        from prefect import tags

        from flows.distill import distill

        def flow() -> Any:
            return distill(str(shards), student, str(to), recipe, device=cast("Any", device))

        started.wait()
        outcome = Outcome()
        watch = distilling.Watch(
            say=display.say,
            tell=display.tell,
            show=started.watched,
            pending=started.pending,
            outcome=outcome,
            leave=lambda: started.leave(display.stop),
        )
        distilling.WATCH.set(watch)
        try:
            with tags("stillhouse", "distill") if started.watched else contextlib.nullcontext():
                return started.outlast(flow, outcome, display.say)
        except BaseException as error:
            started.explain(error)
            raise
