"""The cluster itself, by Prefect's task runners for Dask and Ray."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from prefect import Task
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner

from flows.cluster.options import RunnerOptions
from storage.errors import SetupError

QUIET = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
"""Ctrl-C reaches all processes of a terminal: the run hears it, and tells its workers."""
CONNECT_S = 30.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where task runs go."""

    runner: TaskRunner[Any]
    """Prefect's."""
    places: int
    """Task runs that it can have at a time, as far as it says."""

    async def run(self, task: Task[..., Any], parameters: dict[str, Any]) -> Any:
        """Submit a task run, and return its result. Raise what it raises, or what the cluster says of a worker that was lost."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def end(_: PrefectFuture[Any]) -> None:
            with contextlib.suppress(RuntimeError):  # the run didn't wait
                loop.call_soon_threadsafe(ended.set)

        future = await asyncio.to_thread(self.runner.submit, task, parameters)
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
def opened(options: RunnerOptions) -> Iterator[Cluster]:
    """Start a cluster on this machine, or find the one at the address. Raise SetupError where nobody is there."""
    opening: dict[str, Callable[[RunnerOptions], contextlib.AbstractContextManager[Cluster]]] = {"dask": _dask, "ray": _ray}
    with opening[options.use](options) as cluster:
        yield cluster


@contextlib.contextmanager
def _dask(options: RunnerOptions) -> Iterator[Cluster]:
    import distributed
    from prefect_dask.task_runners import DaskTaskRunner

    # It tells of all that it does, and the terminal is ours.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with contextlib.ExitStack() as stack:
        if options.address is None:
            cluster = stack.enter_context(
                distributed.LocalCluster(  # type: ignore[no-untyped-call]
                    n_workers=options.workers,
                    threads_per_worker=options.shards,
                    processes=True,
                    dashboard_address=None,
                    host="127.0.0.1",
                    preload=QUIET,
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
        yield Cluster(runner, sum(worker["nthreads"] for worker in info["workers"].values()) or options.shards)


@contextlib.contextmanager
def _ray(options: RunnerOptions) -> Iterator[Cluster]:
    import ray
    from prefect_ray.task_runners import RayTaskRunner

    given: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if options.address is None:
        # A process of Ray's has one task at a time.
        given |= {"num_cpus": options.workers * options.shards, "include_dashboard": False}
    runner = RayTaskRunner(address=options.address, init_kwargs=given)
    try:
        runner.__enter__()
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise SetupError(f"runner: Ray can't be started or found at {options.address}: {error}") from error
    try:
        resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
        yield Cluster(runner, max(1, int(resources.get("CPU", 1))))
    finally:
        runner.__exit__(None, None, None)
        ray.shutdown()
