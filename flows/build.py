"""The build as a Prefect flow: Prefect schedules, retries and shows; no sample passes through it.

A task run is a shard or a step. Parameters and results are names and counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from prefect import flow, get_run_logger, task
from prefect.artifacts import acreate_markdown_artifact, acreate_progress_artifact, aupdate_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Cancelled, Failed

from flows import context
from flows.cluster.options import chosen
from flows.loading import load_spec
from flows.progress import Progress
from flows.run import Run, Say
from flows.waiting import with_grace
from flows.working import signals, work_shards
from storage.errors import Interrupted, UserError
from storage.lake import Lake
from tasks.report import Summary

R = TypeVar("R", bound=Run)
BATCHES = 8
"""In the progress artifact's text."""
UPDATE_S = 2.0
"""Between two updates of the progress artifact, each of which costs a request."""


def named(what: str) -> Callable[[], str]:
    """Return what names a flow's run by its spec's dataset."""

    def name() -> str:
        spec = str(flow_run.parameters.get("spec", ""))
        try:
            return f"{what} {load_spec(Path(spec)).dataset}"
        except UserError:
            return f"{what} {Path(spec).stem}"

    return name


@task(name="prepare", cache_policy=NO_CACHE, persist_result=False)
async def prepare(dataset: str) -> dict[str, int]:  # noqa: ARG001 - shown in Prefect's UI
    """Read prompts and find what is missing."""
    prepared = await context.RUN.get().prepare()
    return {"prompts": prepared.prompts, "slots": prepared.slots, "stored": prepared.stored}


@task(name="grow", cache_policy=NO_CACHE, persist_result=False)
async def grow(dataset: str) -> dict[str, int]:  # noqa: ARG001
    """Grow prompts from the sources whose prompts are seeds."""
    grown = await context.RUN.get().grow()
    return {"kept": sum(each.kept for each in grown), "paid": sum(each.paid for each in grown)}


@task(name="judge-stored", cache_policy=NO_CACHE, persist_result=False)
async def judge_stored(dataset: str) -> int:  # noqa: ARG001
    """Judge what the lake has already."""
    return await context.RUN.get().judge_stored()


@task(
    name="shard",
    task_run_name="{dataset}-shard-{shard:05d}",
    retries=2,
    retry_delay_seconds=1,
    cache_policy=NO_CACHE,
    persist_result=False,
)
async def shard(dataset: str, shard: int) -> dict[str, int]:  # noqa: ARG001
    """Draw and verify a few hundred prompts."""
    return await context.RUN.get().work(shard)


@task(name="curate", cache_policy=NO_CACHE, persist_result=False)
async def curate(dataset: str) -> dict[str, Any]:  # noqa: ARG001
    """Decide every outcome."""
    return (await context.RUN.get().curate()).as_dict()


@flow(name="build", flow_run_name=named("build"), persist_result=False)
async def build(spec: str, lake: str = "lake", runner: str | None = None) -> dict[str, Any] | State[Any]:
    """Build the dataset of a spec file on a lake, and return the summary. `runner` goes before the spec's.

    A state in place of the summary carries the UserError that the caller then sees: `Cancelled` for an interruption.
    """
    path = Path(spec)

    def make(progress: Progress, say: Say) -> Run:
        loaded = load_spec(path)
        where = loaded.model_copy(update={"runner": chosen(loaded.runner, runner)})
        return Run(where, path, Lake.at(lake), progress=progress, say=say)

    return await carry_out(make, _steps)


async def carry_out(
    make: Callable[[Progress, Say], R], steps: Callable[[R, context.Watch], Awaitable[dict[str, Any]]]
) -> dict[str, Any] | State[Any]:
    """Make a run, take its steps while Prefect watches, and return what they do, or the state that carries a UserError."""
    watch = context.WATCH.get(context.Watch())
    try:
        logger = get_run_logger()

        def say(text: str) -> None:
            watch.say(text)
            logger.info("%s", text)

        run = make(watch.progress, say)
        with signals(run.stop, watch.say, watch.pending, watch.leave):
            async with run, _watched(run, watch):
                context.RUN.set(run)
                return await steps(run, watch)
    except Interrupted as error:
        return Cancelled(message=str(error), data=error)
    except UserError as error:
        return Failed(message=str(error), data=error)


async def draw(run: Run) -> None:
    """Take the steps from prompts to verdicts."""
    dataset = run.spec.dataset
    if run.spec.growers:
        await grow(dataset)
        run.stop.check()
    await prepare(dataset)
    run.stop.check()
    await with_grace(run.stop, judge_stored(dataset))
    run.stop.check()
    if run.spec.runner is None:
        await work_shards(run, lambda number: shard(dataset, number))
    else:
        from flows.cluster.shards import work_on_cluster

        await work_on_cluster(run, run.spec.runner, lambda number: shard(dataset, number))
    run.stop.check()
    await with_grace(run.stop, run.judge_together())
    run.stop.check()


async def _steps(run: Run, watch: context.Watch) -> dict[str, Any]:
    await draw(run)
    dataset = run.spec.dataset
    summary = Summary.of(await curate(dataset))
    exports = await run.land(summary)
    get_run_logger().info("landed: %s", "; ".join(f"{name}: {value}" for name, value in summary.lines()))
    if watch.show:
        await acreate_markdown_artifact(
            summary.markdown(), key=f"{artifact_key(dataset)}-summary", description="What the build kept"
        )
    return summary.as_dict() | {"exports": exports}


@contextlib.asynccontextmanager
async def _watched(run: Run, watch: context.Watch) -> AsyncIterator[None]:
    """Keep Prefect's progress artifact up to date, and hear of a cancellation in its UI."""
    if not watch.show:
        yield
        return
    watching = asyncio.create_task(_watching(run))
    try:
        yield
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


async def _watching(run: Run) -> None:
    key = f"{artifact_key(run.spec.dataset)}-progress"
    logger = get_run_logger()
    about = f"Samples of {run.spec.dataset}"
    artifact = await acreate_progress_artifact(0.0, key=key, description=about)
    shown = (0.0, about)
    async with get_client() as client:
        while True:
            await asyncio.sleep(UPDATE_S)
            try:
                progress = run.progress
                share = 100.0 * progress.share
                text = "; ".join([about, *list(progress.batches.values())[:BATCHES]])
                if (share, text) != shown:
                    await aupdate_progress_artifact(artifact, progress=share, description=text)
                    shown = (share, text)
                state = (await client.read_flow_run(flow_run.id)).state
                if state is not None and state.is_cancelling():
                    run.stop.set(Interrupted("cancelled in Prefect; what was paid for is landed, and a rerun goes on"))
            except Exception as error:  # noqa: BLE001 - a server that restarts must not end a build
                logger.debug("Prefect can't be reached: %s", error)


def artifact_key(dataset: str) -> str:
    """Return a dataset's name as Prefect's artifact keys want it: lower case, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", dataset.lower()).strip("-") or "dataset"
