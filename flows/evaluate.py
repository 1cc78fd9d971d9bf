"""An evaluation as a Prefect flow: its draw's shards are task runs, as a build's are, and what it found is an artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.artifacts import acreate_markdown_artifact
from prefect.client.schemas.objects import State

from flows import context
from flows.build import artifact_key, carry_out, draw, named
from flows.contest import Contest, ContestOptions
from flows.evaluating import markdown
from flows.loading import load_spec
from flows.progress import Progress
from flows.run import Say
from storage.lake import Lake


@flow(name="evaluate", flow_run_name=named("evaluate"), persist_result=False)
async def evaluate(spec: str, lake: str = "lake", options: dict[str, Any] | None = None) -> dict[str, Any] | State[Any]:
    """Evaluate a spec's teachers on its prompts, and return what was found.

    `options` has fields of `flows.contest.ContestOptions`. A state in place of the result carries the UserError that the caller
    then sees: `Cancelled` for an interruption.
    """
    path = Path(spec)

    def make(progress: Progress, say: Say) -> Contest:
        return Contest(
            load_spec(path), path, Lake.at(lake, say=say), ContestOptions.of(options or {}), progress=progress, say=say
        )

    return await carry_out(make, _steps)


async def _steps(run: Contest, watch: context.Watch) -> dict[str, Any]:
    await draw(run)
    found = await run.compare()
    get_run_logger().info("evaluated: %s", "; ".join(found["statements"]) or f"{found['prompts']} prompts")
    if watch.show:
        key = f"{artifact_key(run.spec.dataset)}-evaluation"
        await acreate_markdown_artifact(markdown(found), key=key, description="How the contestants did")
    return found
