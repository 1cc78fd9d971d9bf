"""An evaluation as a Prefect flow: its draw's shards are task runs, as a build's are, and what it found is an artifact."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State

from flows.build import carry_out, draw, named
from flows.evaluated import markdown
from flows.evaluating import Contest, ContestOptions
from flows.loading import lake_named, load_spec
from flows.process import context
from flows.progress import Say
from flows.serving.overrides import Overrides, overridden
from flows.watching.watcher import Watcher
from storage.lake import Lake


@flow(name="evaluate", flow_run_name=named("evaluate"), persist_result=False)
async def evaluate(
    spec: str, lake: str | None = None, options: ContestOptions | None = None, overrides: Overrides | None = None
) -> dict[str, Any] | State[Any]:
    """Evaluate a spec's teachers on its prompts, and return what was found.

    A state in place of the result carries the UserError that the caller then sees: `Cancelled` for an interruption.

    Args:
        spec: The spec's file, as the machine that runs this sees it.
        lake: The lake, as that machine sees it. Left out: STILLHOUSE_LAKE there, else the folder `lake`.
        options: Who competes on what, and how it is reckoned.
        overrides: What is otherwise in this run. What is left out is as in the spec.
    """
    path = Path(spec)

    async def make(watch: context.Watch, say: Say) -> Contest:
        asked = overridden(load_spec(path), overrides)
        at = await asyncio.to_thread(Lake.at, lake_named(lake), say=say)
        return Contest(asked, path, at, options or ContestOptions(), progress=watch.progress, say=say)

    return await carry_out(make, _steps)


async def _steps(run: Contest, watcher: Watcher | None) -> dict[str, Any]:
    await draw(run)
    found = await run.compare()
    get_run_logger().info("evaluated: %s", "; ".join(found["statements"]) or f"{found['prompts']} prompts")
    if watcher is not None:
        await watcher.document("evaluation", markdown(found), "How the contestants did")
    return found
