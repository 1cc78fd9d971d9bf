"""Shards as task runs on a cluster: their parameters and results are names and counts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.building import Run
from flows.cluster import allotments, worker
from flows.cluster.apart import DRAW, VERIFY, possible
from flows.cluster.driver import Driver
from flows.cluster.options import RunnerOptions
from flows.working import work_shards
from tasks.orders import Staged


@task(name="verify-shard", task_run_name="{dataset}-verify-{shard:05d}", cache_policy=NO_CACHE, persist_result=False)
def verify_shard(dataset: str, shard: int, attempt: int, folder: str) -> dict[str, int]:  # noqa: ARG001
    """Judge what a few hundred prompts got, in the process that this reaches."""
    return worker.work(folder, shard, VERIFY, attempt)


@task(name="shard", task_run_name="{dataset}-shard-{shard:05d}", cache_policy=NO_CACHE, persist_result=False)
def shard(dataset: str, shard: int, attempt: int, folder: str) -> dict[str, int]:  # noqa: ARG001 - shown in Prefect's UI
    """Draw and verify a few hundred prompts, in the process that this reaches."""
    return worker.work(folder, shard, DRAW, attempt)


async def work_on_cluster(run: Run, options: RunnerOptions, work: Callable[[int], Awaitable[object]]) -> None:
    """Work all shards on a cluster, and by `work` in this process those that share a sample with another one."""
    numbers = await run.shards()
    source = run.at_work.source
    batched = [teacher.name for teacher in run.spec.teachers if teacher.batched]
    if batched:
        run.say(f"runner: {batched[0]!r} answers through batches, which this process sends and waits for: it works all shards")
    far = source.apart(numbers) if isinstance(source, Staged) and not batched else []
    if far:
        await allotments.make(run.teachers)
        judge = None
        if options.verdict_workers:
            if possible(run.spec):
                judge = verify_shard
            else:
                run.say("runner.verdict_workers: verdicts decide what is asked for next here: whoever draws judges")
        await Driver(run, options, run.path, draw=shard, judge=judge).work(far)
    near = sorted(set(numbers) - set(far))
    if near and not run.stop:
        await work_shards(run, work, near)
