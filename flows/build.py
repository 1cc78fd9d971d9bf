"""The build as a Prefect flow: Prefect schedules, retries and shows; no sample passes through it.

A task run is a shard or a step. Parameters and results are names and counts.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.runtime import flow_run
from prefect.states import Cancelled, Failed

from flows.building import Run
from flows.cluster.options import chosen
from flows.loading import lake_named, load_spec
from flows.process import context
from flows.process.ending import Outcome
from flows.process.signals import ignore
from flows.process.untagged import untagged
from flows.process.waiting import with_grace
from flows.progress import Say
from flows.serving import restarts
from flows.serving.overrides import Overrides, overridden
from flows.watching import assets, events, pages
from flows.watching.approval import approved
from flows.watching.metrics import served
from flows.watching.reporting import report
from flows.watching.watcher import Watcher, watched
from flows.working import conclude, signals, work_shards
from storage.errors import Interrupted, UserError
from storage.lake import Lake
from tasks.report import Summary
from tasks.stop import Stop

R = TypeVar("R", bound=Run)


def named(what: str) -> Callable[[], str]:
    """Return what names a flow's run by its spec's dataset."""

    def name() -> str:
        spec = str(flow_run.parameters.get("spec", ""))
        try:
            return f"{what} {load_spec(Path(spec)).dataset}"
        except UserError:
            return f"{what} {Path(spec).stem}"

    return name


@task(name="prepare", task_run_name="{dataset}-prepare", cache_policy=NO_CACHE, persist_result=False)
async def prepare(dataset: str) -> dict[str, int]:  # noqa: ARG001 - shown in Prefect's UI
    """Read prompts and find what is missing."""
    prepared = await context.RUN.get().prepare()
    return {"prompts": prepared.prompts, "slots": prepared.slots, "stored": prepared.stored}


@task(name="grow", task_run_name="{dataset}-grow", cache_policy=NO_CACHE, persist_result=False)
async def grow(dataset: str) -> dict[str, int]:  # noqa: ARG001
    """Grow prompts from the sources whose prompts are seeds."""
    grown = await context.RUN.get().grow()
    return {"kept": sum(each.kept for each in grown), "paid": sum(each.paid for each in grown)}


@task(name="judge-stored", task_run_name="{dataset}-judge-stored", cache_policy=NO_CACHE, persist_result=False)
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


@task(name="curate", task_run_name="{dataset}-curate", cache_policy=NO_CACHE, persist_result=False)
async def curate(dataset: str) -> dict[str, Any]:  # noqa: ARG001
    """Decide every outcome."""
    return (await context.RUN.get().curate()).as_dict()


@flow(name="build", flow_run_name=named("build"), persist_result=False)
async def build(
    spec: str, lake: str | None = None, overrides: Overrides | None = None, runner: str | None = None
) -> dict[str, Any] | State[Any]:
    """Build the dataset of a spec file on a lake, and return the summary.

    A state in place of the summary carries the UserError that the caller then sees: `Cancelled` for an interruption.

    Args:
        spec: The spec's file, as the machine that runs this sees it.
        lake: The lake, as that machine sees it. Left out: STILLHOUSE_LAKE there, else the folder `lake`.
        overrides: What is otherwise in this run. What is left out is as in the spec.
        runner: Where shards run: local, dask or ray. Left out: where the spec says.
    """
    path = Path(spec)

    async def make(watch: context.Watch, say: Say) -> Run:
        at = await asyncio.to_thread(Lake.at, lake_named(lake), say=say)  # a lake on an object store is looked at
        asked = overridden(load_spec(path), overrides)
        asked = asked.model_copy(update={"runner": chosen(asked.runner, runner)})
        loaded, approvals = await approved(asked, path, at, watch, say)
        run = Run(loaded, path, at, progress=watch.progress, say=say)
        run.approvals = approvals
        return run

    return await carry_out(make, _steps, _show)


async def carry_out(
    make: Callable[[context.Watch, Say], Awaitable[R]],
    steps: Callable[[R, Watcher | None], Awaitable[dict[str, Any]]],
    after: Callable[[R, Watcher, dict[str, Any]], Awaitable[None]] | None = None,
) -> dict[str, Any] | State[Any]:
    """Make a run, take its steps while Prefect watches, and return what they do, or the state that carries a UserError.

    `after` shows what came of it, where somebody looks: the lake is free again by then.
    """
    watch = context.WATCH.get(context.Watch())
    outcome = watch.outcome or Outcome()
    outcome.begun.set()
    try:
        with untagged():
            found = await _carried_out(make, steps, after, watch, outcome)
    except Interrupted as error:
        outcome.failed(error)
        return Cancelled(message=str(error), data=error)
    except UserError as error:
        outcome.failed(error)
        return Failed(message=str(error), data=error)
    except Exception as error:
        outcome.failed(error)
        raise
    finally:
        if watch.outcome is None and _on_its_own():
            ignore()
    return found


def _on_its_own() -> bool:
    """Return whether no other flow called this one, whose process goes on."""
    run = getattr(FlowRunContext.get(), "flow_run", None)
    return run is None or run.parent_task_run_id is None


async def _carried_out(
    make: Callable[[context.Watch, Say], Awaitable[R]],
    steps: Callable[[R, Watcher | None], Awaitable[dict[str, Any]]],
    after: Callable[[R, Watcher, dict[str, Any]], Awaitable[None]] | None,
    watch: context.Watch,
    outcome: Outcome,
) -> dict[str, Any]:
    logger = get_run_logger()

    def say(text: str) -> None:
        watch.say(text)
        logger.info("%s", text)

    async def made() -> R:
        await asyncio.to_thread(restarts.check)
        return await make(watch, say)

    stop = Stop()
    with contextlib.ExitStack() as hearing:
        # From the first moment on: Prefect's own handler only crashes.
        hearing.enter_context(signals(stop, watch.say, watch.pending, watch.leave))
        run = await with_grace(stop, made(), grace_s=0)
        if run is None:
            raise stop.reason or AssertionError("it was cancelled by nobody")
        run.stop = stop
        # What is left then is to show it: who waits for the outcome may leave that, and a signal is for them.
        then = hearing.close if watch.outcome is not None else lambda: None
        with _end_shown(run, show=watch.show), served(watch.metrics, run.progress, run.spec.dataset, say):
            async with watched(run, show=watch.show) as watcher:
                with outcome.noting(then):
                    found = await _found(run, watcher, steps)
                    outcome.found(found)
                if after is not None and watcher is not None:
                    await after(run, watcher, found)
        return found


@contextlib.contextmanager
def _end_shown(run: Run, *, show: bool) -> Iterator[None]:
    """Say in an event what ends a run, where somebody looks: no event of an interruption, which is somebody's own."""
    try:
        yield
    except UserError as error:
        if show and not isinstance(error, Interrupted):
            events.ended(run.spec.dataset, run.build_id, error, run.progress)
        raise


async def _found(
    run: R, watcher: Watcher | None, steps: Callable[[R, Watcher | None], Awaitable[dict[str, Any]]]
) -> dict[str, Any]:
    """Return what a run's steps find. The lake is free again by then."""
    async with run:
        context.RUN.set(run)
        return await steps(run, watcher)


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
    await conclude(run)
    run.stop.check()
    await with_grace(run.stop, run.judge_together())
    run.stop.check()


async def _steps(run: Run, watcher: Watcher | None) -> dict[str, Any]:
    await draw(run)
    dataset, spec = run.spec.dataset, run.spec
    summary = Summary.of(await curate(dataset))
    run.progress.outcomes = {"kept": summary.kept, "rejected": sum(summary.rejected.values()), "failed": summary.failed}
    if watcher is None:
        await run.land(summary)
        exports = await run.export()
    else:
        address = pages.address(run.lake, dataset, run.build_id)
        await assets.landing(run.lake, dataset, spec.prompts, partial(run.land, summary), url=address)
        exports = await assets.exporting(run.lake, dataset, [each.to for each in spec.exports], run.export)
    get_run_logger().info("landed: %s", "; ".join(f"{name}: {value}" for name, value in summary.lines()))
    return summary.as_dict() | {"exports": exports}


async def _show(run: Run, watcher: Watcher, found: dict[str, Any]) -> None:
    """Show what has landed: its numbers, its report, and an event for automations."""
    summary = Summary.of(found)
    await watcher.document("summary", summary.markdown(), "What the build kept")
    watcher.alarm_of(summary)
    address = None
    try:
        address = await report(run, watcher)
    finally:  # whatever becomes of the report, the build has landed
        events.landed(summary, found["exports"], report=address)
