"""An evaluation as a Prefect flow: its draw's shards are task runs, as a build's are, and what it found is an artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.artifacts import acreate_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Cancelled, Failed

from flows import context
from flows.build import artifact_key, judge_stored, prepare, shard, watched
from flows.contest import Contest, ContestOptions
from flows.evaluating import markdown
from flows.loading import load_spec
from flows.waiting import with_grace
from flows.working import signals, work_shards
from storage.errors import Interrupted, UserError
from storage.lake import Lake


def _name() -> str:
    spec = str(flow_run.parameters.get("spec", ""))
    try:
        return f"evaluate {load_spec(Path(spec)).dataset}"
    except UserError:
        return f"evaluate {Path(spec).stem}"


@flow(name="evaluate", flow_run_name=_name, persist_result=False)
async def evaluate(spec: str, lake: str = "lake", options: dict[str, Any] | None = None) -> dict[str, Any] | State[Any]:
    """Evaluate a spec's teachers on its prompts, and return what was found.

    `options` has fields of `flows.contest.ContestOptions`. A state in place of the result carries the UserError that the caller
    then sees: `Cancelled` for an interruption.
    """
    watch = context.WATCH.get(context.Watch())
    try:
        path = Path(spec)
        logger = get_run_logger()

        def say(text: str) -> None:
            watch.say(text)
            logger.info("%s", text)

        run = Contest(load_spec(path), path, Lake.at(lake), ContestOptions.of(options or {}), progress=watch.progress, say=say)
        with signals(run.stop, watch.say, watch.pending, watch.leave):
            async with run, watched(run, watch):
                context.RUN.set(run)
                found = await _steps(run)
        logger.info("evaluated: %s", "; ".join(found["statements"]) or f"{found['prompts']} prompts")
        if watch.show:
            key = f"{artifact_key(run.spec.dataset)}-evaluation"
            await acreate_markdown_artifact(markdown(found), key=key, description="How the contestants did")
    except Interrupted as error:
        return Cancelled(message=str(error), data=error)
    except UserError as error:
        return Failed(message=str(error), data=error)
    return found


async def _steps(run: Contest) -> dict[str, Any]:
    dataset = run.spec.dataset
    await prepare(dataset)
    run.stop.check()
    await with_grace(run.stop, judge_stored(dataset))
    run.stop.check()
    await work_shards(run, lambda number: shard(dataset, number))
    run.stop.check()
    await with_grace(run.stop, run.judge_together())
    run.stop.check()
    return await run.compare()
