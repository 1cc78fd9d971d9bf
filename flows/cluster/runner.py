"""The cluster itself, by Prefect's task runners for Dask and Ray."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prefect import Task
from prefect.task_runners import TaskRunner

from flows.cluster.apart import DRAW, VERIFY
from flows.cluster.options import RunnerOptions
from storage.errors import SetupError

DEAF = """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
"""
"""What our own Dask workers do first. Ctrl-C reaches all processes of a terminal: the run hears it, and tells its workers."""
QUIET = {"distributed.nanny.pre-spawn-environ": {"DASK_LOGGING__DISTRIBUTED": "critical"}}
"""What Dask says in a worker, as of this very first step, or of a scheduler that ended before it, tells nothing of the build."""
CONNECT_S = 30.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where task runs go."""

    runner: TaskRunner[Any]
    """Prefect's."""
    places: int
    """Shards that it can draw at a time, as far as it says."""
    part: Callable[[str], contextlib.AbstractContextManager[Any]]
    """A context in which what is submitted goes to the workers of a part alone: see `flows.cluster.apart`."""
    resources: Mapping[str, float]
    """What its workers have in all, by the names that they were started with."""

    async def run(self, task: Task[..., Any], parameters: dict[str, Any], part: str | None = None) -> Any:
        """Submit a task run, and return its result. Raise what it raises, or what the cluster says of a worker that was lost."""

        def submit() -> Any:
            with contextlib.nullcontext() if part is None else self.part(part):
                return self.runner.submit(task, parameters)

        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def end(_: object) -> None:
            with contextlib.suppress(RuntimeError):  # the run didn't wait
                loop.call_soon_threadsafe(ended.set)

        future = await asyncio.to_thread(submit)
        future.add_done_callback(end)
        try:
            await ended.wait()
        except asyncio.CancelledError:
            cancel = getattr(future.wrapped_future, "cancel", None)
            if cancel is not None:
                await asyncio.to_thread(cancel)
            raise
        return await asyncio.to_thread(future.result)


@contextlib.contextmanager
def opened(options: RunnerOptions, parts: Collection[str] = ()) -> Iterator[Cluster]:
    """Start a cluster on this machine, or find the one at the address.

    Raise SetupError where nobody is there, or nobody who has one of the `parts`: what is submitted to it would wait for ever.
    """
    opening: dict[str, Callable[[RunnerOptions], contextlib.AbstractContextManager[Cluster]]] = {"dask": _dask, "ray": _ray}
    with opening[options.use](options) as cluster:
        for part in parts:
            if not cluster.resources.get(part):
                amount = f"{part}=1" if options.use == "dask" else f"'{{\"{part}\": 1}}'"
                raise SetupError(
                    f"runner.verdict_workers: no worker there has the resource {part!r}: start some with --resources {amount}"
                )
        yield cluster


@contextlib.contextmanager
def _dask(options: RunnerOptions) -> Iterator[Cluster]:
    import dask
    import dask.config
    import distributed
    from prefect_dask.task_runners import DaskTaskRunner

    # It tells of all that it does, and the terminal is ours.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with contextlib.ExitStack() as stack:
        if options.address is None:
            drawing = {"nthreads": options.shards, "resources": {DRAW: options.shards}}
            judging = {"nthreads": 1, "resources": {VERIFY: 1}}
            every = [drawing] * options.workers + [judging] * options.verdict_workers
            stack.enter_context(dask.config.set(QUIET))
            own = {"host": "127.0.0.1", "preload": DEAF, "dashboard": False}
            cluster: Any = stack.enter_context(
                distributed.SpecCluster(  # type: ignore[no-untyped-call]
                    scheduler={"cls": distributed.Scheduler, "options": {"host": "127.0.0.1", "port": 0, "dashboard": False}},
                    workers={number: {"cls": distributed.Nanny, "options": own | each} for number, each in enumerate(every)},
                )
            )
            runner = DaskTaskRunner(cluster=cluster)
        else:
            runner = DaskTaskRunner(address=options.address, client_kwargs={"timeout": CONNECT_S})
        stack.enter_context(runner)
        try:
            info = runner.client.scheduler_info(n_workers=-1)
        except (OSError, ValueError) as error:
            raise SetupError(f"runner.address: no Dask scheduler answers at {options.address} ({error})") from error
        places = sum(worker["resources"].get(DRAW, worker["nthreads"]) for worker in info["workers"].values())
        resources: Counter[str] = Counter()
        for worker in info["workers"].values():
            resources.update(worker["resources"])
        annotate = dask.annotate  # type: ignore[attr-defined]
        yield Cluster(runner, int(places) or options.shards, lambda part: annotate(resources={part: 1}), resources)


@contextlib.contextmanager
def _ray(options: RunnerOptions) -> Iterator[Cluster]:
    import ray
    from prefect_ray.context import remote_options
    from prefect_ray.task_runners import RayTaskRunner

    given: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if options.address is None:
        # A process of Ray's has one task at a time.
        parts = {DRAW: options.workers * options.shards, VERIFY: options.verdict_workers}
        given |= {"num_cpus": sum(parts.values()), "resources": parts, "include_dashboard": False}
    runner = RayTaskRunner(address=options.address, init_kwargs=given)
    try:
        runner.__enter__()
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise SetupError(f"runner: Ray can't be started or found at {options.address}: {error}") from error
    try:
        resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
        places = int(resources.get(DRAW, resources.get("CPU", 1)))
        yield Cluster(runner, max(1, places), lambda part: remote_options(resources={part: 1}), resources)
    finally:
        runner.__exit__(None, None, None)
        ray.shutdown()
