"""Deployments of deploy/prefect.yaml on a real Prefect server, carried out by real workers that are killed, and a server that is."""

from __future__ import annotations

import signal
import subprocess
import time
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.serving.restarts import LOST, MOST
from tests.e2e.conftest import Workplace
from tests.e2e.station import PREFECT, Station, eventually
from tests.e2e.teacher import LoopbackTeacher
from tests.e2e.test_build import spec

pytestmark = [pytest.mark.server, pytest.mark.slow]
DEPLOY = Path(__file__).parents[2] / "deploy"
CONTAINER = yaml.safe_load((DEPLOY / "prefect-kubernetes.yaml").read_text())["deployments"][0]["work_pool"]["job_variables"][
    "env"
]


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Station, Workplace]]:
    """Give a server on which deploy/prefect.yaml is deployed as its head says, and the folder that it was deployed from."""
    place = Workplace(tmp_path_factory.mktemp("deployed"))
    with Station(place.folder, place.environment) as station:
        station.command("work-pool", "create", "--type", "process", "stillhouse")
        station.command("work-pool", "create", "--type", "process", "gpu")
        station.command("--no-prompt", "deploy", "--all", "--prefect-file", str(DEPLOY / "prefect.yaml"))
        station.command("automation", "create", "--from-file", str(DEPLOY / "automations-heartbeat.yaml"))
        yield station, place


def test_what_is_deployed(deployed: tuple[Station, Workplace]) -> None:
    """Five deployments have tags, a queue of one and, as parameters, forms of the spec's models; what buys beside builds is off."""
    station, _ = deployed
    found = {each["entrypoint"].rpartition(".")[2]: each for each in station.api("/deployments/filter", {})}
    assert set(found) == {"build", "export", "score", "evaluate", "distill"}
    for each in found.values():
        assert set(each["tags"]) == {"stillhouse", "dataset:first"}
        assert each["global_concurrency_limit"]["limit"] == 1
        assert each["concurrency_options"]["collision_strategy"] == "ENQUEUE"
        assert each["job_variables"]["env"] == {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30", "PYTHONSAFEPATH": "1"}
    assert {
        name: [(every["schedule"]["cron"], every["active"]) for every in each["schedules"]] for name, each in found.items()
    } == {
        "build": [("0 2 * * *", True)],
        "export": [("0 5 * * *", True)],
        "score": [],
        "evaluate": [("0 6 * * 0", False)],
        "distill": [("0 8 * * 0", False)],
    }
    assert {name: each["work_pool_name"] for name, each in found.items()} == {
        "build": "stillhouse",
        "export": "stillhouse",
        "score": "stillhouse",
        "evaluate": "gpu",
        "distill": "gpu",
    }
    form = found["build"]["parameter_openapi_schema"]
    sampling = form["definitions"]["Sampling"]["properties"]
    assert sampling["k"]["description"] == "Samples for each prompt and teacher."
    assert sampling["k"]["anyOf"][0] == {"maximum": 10_000, "minimum": 1, "type": "integer"}
    assert form["required"] == ["spec"]
    assert found["distill"]["parameter_openapi_schema"]["definitions"]["Recipe"]["properties"]["lr"]["default"] == 1e-5


def materialized(station: Station, below: str) -> dict[str, set[str]]:
    """Return the assets below a folder that were made by now, each with what it was made of."""
    wanted = {"event": {"name": ["prefect.asset.materialization.succeeded"]}}
    made = station.api("/events/filter", {"filter": wanted, "limit": 50})["events"]
    return {
        each["resource"]["prefect.resource.id"]: {
            other["prefect.resource.id"] for other in each["related"] if other["prefect.resource.role"] == "asset"
        }
        for each in made
        if each["resource"]["prefect.resource.id"].startswith(f"file://{below}")
    }


def test_a_run_with_overrides(deployed: tuple[Station, Workplace]) -> None:
    """A run may change fields of its spec; what no spec may say, no run is made of, or ends in one line without a traceback."""
    station, place = deployed
    worker = station.work()
    with LoopbackTeacher() as teacher:
        spec(place, teacher.url, prompts=6, k=1)
        place.spec["dataset"] = "overridden"
        at = {"spec": str(place.write()), "lake": str(place.lake)}
        state = station.ended(station.run("build/first", **at, overrides={"sampling": {"k": 2}}))
        assert state["type"] == "COMPLETED", state["message"]
        assert teacher.sold == 12
        with pytest.raises(urllib.error.HTTPError) as refused:
            station.run("build/first", **at, overrides={"sampling": {"k": 0}})
        assert refused.value.code in {409, 422}

        run = station.run("build/first", **at, overrides={"sampling": {"adaptive": {"accept": 3}}})
        state = station.ended(run)
        assert state["type"] == "FAILED"
        assert state["message"] == "overrides: sampling: adaptive.accept is 3, more than k = 1"
        run = station.run("build/first", spec="nowhere.yaml", lake=str(place.lake))
        state = station.ended(run)
        assert state["type"] == "FAILED"
        assert state["message"] == f"nowhere.yaml: no such file (looked in {place.folder})"
        assert not any("Traceback" in line for line in station.logs(run))

        run = station.run("export/first", dataset="overridden", lake=str(place.lake), options={"to": str(place.folder / "out")})
        state = station.ended(run)
        assert state["type"] == "COMPLETED", state["message"]
        shards = [f"file://{path}" for path in (place.folder / "out").glob("*.parquet")]
        assert shards
        lineage = eventually(lambda: len(found := materialized(station, str(place.folder / "out"))) > len(shards) and found)
        whole = f"file://{place.folder}/out"
        assert lineage == {whole: {f"stillhouse://{place.lake}/overridden"}} | {shard: {whole} for shard in shards}
        run = station.run("export/first", dataset="none", lake=str(place.lake), options={"to": str(place.folder / "none")})
        assert station.ended(run)["type"] == "FAILED"
        assert teacher.sold == 12
    station.kill(worker)


def test_the_pool_for_gpus(deployed: tuple[Station, Workplace]) -> None:
    """A worker of the pool `gpu` evaluates; what a training lacks is one line."""
    station, place = deployed
    worker = station.work("gpu", "--limit", "1")
    with LoopbackTeacher() as teacher:
        spec(place, teacher.url, prompts=6, k=2)
        place.spec["dataset"] = "evaluated"
        place.spec["template"] = {"user": "Evaluated: {{ prompt }}"}  # what another test bought in the same lake is its own
        run = station.run("evaluate/first", spec=str(place.write()), lake=str(place.lake), options={"resamples": 100})
        state = station.ended(run)
        assert state["type"] == "COMPLETED", state["message"]
        assert teacher.sold == 12
    run = station.run("distill/first", shards=str(place.folder / "none"))
    state = station.ended(run)
    assert state["type"] == "FAILED"
    assert str(place.folder / "none") in state["message"]
    assert not any("Traceback" in line for line in station.logs(run))
    station.kill(worker)


def slow(place: Workplace, teacher: LoopbackTeacher, dataset: str, prompts: int = 60) -> dict[str, Any]:
    """Write a spec whose draw takes a while, and return a run's parameters."""
    spec(place, teacher.url, prompts=prompts, k=1, limits={"concurrency": 2})
    place.spec["dataset"] = dataset
    return {"spec": str(place.write()), "lake": str(place.folder / f"lake-{dataset}")}


@contextmanager
def drawing(
    station: Station, place: Workplace, dataset: str, *, prompts: int = 120, sold: int = 5
) -> Iterator[tuple[LoopbackTeacher, subprocess.Popen[bytes], str, dict[str, Any]]]:
    """Have a new worker in the middle of a draw; give the teacher, the worker, the run and its parameters."""
    with LoopbackTeacher(delay_s=0.2) as teacher:
        at = slow(place, teacher, dataset, prompts)
        worker = station.work()
        run = station.run("build/first", **at)
        eventually(lambda: teacher.sold > sold)
        yield teacher, worker, run, at


def test_a_run_is_cancelled(deployed: tuple[Station, Workplace]) -> None:
    """A run that is cancelled in the UI lands what was paid for, and its state is Cancelled; the next one buys the rest."""
    station, place = deployed
    worker = station.work()
    with LoopbackTeacher(delay_s=0.3) as teacher:
        at = slow(place, teacher, "cancelled")
        run = station.run("build/first", **at)
        eventually(lambda: teacher.sold > 5)
        station.api(f"/flow_runs/{run}/set_state", {"state": {"type": "CANCELLING", "name": "Cancelling"}})
        state = station.ended(run)
        assert state["type"] == "CANCELLED", state
        place.lake = Path(at["lake"])
        assert 0 < place.count("samples") == teacher.sold < 60
        state = station.ended(station.run("build/first", **at))
        assert state["type"] == "COMPLETED", state["message"]
        assert teacher.sold == 60
    station.kill(worker)


def test_one_run_of_a_deployment_at_a_time(deployed: tuple[Station, Workplace]) -> None:
    """Of two runs that are due, the second waits until the first has ended, and buys nothing of it again."""
    station, place = deployed
    worker = station.work()
    with LoopbackTeacher(delay_s=0.2) as teacher:
        at = slow(place, teacher, "queued", prompts=40)
        first, second = (station.run("build/first", **at) for _ in range(2))

        def waiting() -> bool:
            states = [station.state(run)["name"] for run in (first, second)]
            return "AwaitingConcurrencySlot" in states

        eventually(waiting)
        for run in (first, second):
            assert station.ended(run)["type"] == "COMPLETED"
        assert teacher.sold == 40
    station.kill(worker)


def test_the_server_restarts(deployed: tuple[Station, Workplace]) -> None:
    """A worker's run goes on while the server is away, and is Completed on the server that comes back."""
    station, place = deployed
    with drawing(station, place, "restarted") as (teacher, worker, run, _):
        station.stop()
        sold = teacher.sold
        eventually(lambda: teacher.sold > sold + 20)
        station.start()
        state = station.ended(run)
        assert state["type"] == "COMPLETED", state["message"]
        assert teacher.sold == 120
    station.kill(worker)


def test_a_pod_moves(deployed: tuple[Station, Workplace]) -> None:
    """A run in a container that is told to stop is scheduled again, and the next one buys the rest."""
    station, place = deployed
    with LoopbackTeacher(delay_s=0.2) as teacher:
        at = slow(place, teacher, "moved", prompts=120)
        run = station.run("build/first", **at)
        station.api(f"/flow_runs/{run}/set_state", {"state": {"type": "PENDING"}})
        # The command that the workers of Docker and Kubernetes run in a container, with its environment.
        with (station.folder / "pod.log").open("wb") as log:
            pod = subprocess.Popen(
                [PREFECT, "flow-run", "execute", run],
                cwd=station.folder,
                env=station.environment | CONTAINER,
                stdout=log,
                stderr=log,
            )
        eventually(lambda: teacher.sold > 5)
        pod.send_signal(signal.SIGTERM)
        pod.wait(timeout=90)
        state = station.state(run)
        assert state["name"] == "AwaitingRetry", state
        sold = teacher.sold
        assert sold < 120
        worker = station.work()
        state = station.ended(run, within_s=180)
        assert state["type"] == "COMPLETED", state["message"]
        place.lake = Path(at["lake"])
        assert place.count("samples") == 120
        # Prefect kills it at once: what had arrived is in the journal, and of what was in flight, two requests, nobody knows.
        assert sold < teacher.sold <= 122
    station.kill(worker)


def test_a_process_dies(deployed: tuple[Station, Workplace]) -> None:
    """Where a run's process is killed under its worker, which reports it, the automation starts the run again."""
    station, place = deployed
    with drawing(station, place, "crashed") as (teacher, worker, run, _):
        station.kill_runs(worker)
        state = eventually(lambda: (state := station.state(run))["type"] == "COMPLETED" and state, within_s=240)
        assert station.api(f"/flow_runs/{run}")["run_count"] == 2
        names = [each["name"] for each in station.api(f"/flow_run_states/?flow_run_id={run}")]
        assert names[names.index("Crashed") + 1] == LOST, state
        assert 120 <= teacher.sold <= 122
    station.kill(worker)


def test_a_worker_alone_is_lost(deployed: tuple[Station, Workplace]) -> None:
    """Where a worker is killed and its run isn't, the run goes on to its end by itself."""
    station, place = deployed
    with drawing(station, place, "orphaned") as (teacher, worker, run, _):
        worker.kill()
        worker.wait()
        state = station.ended(run)
        assert state["type"] == "COMPLETED", state["message"]
        assert station.api(f"/flow_runs/{run}")["run_count"] == 1
        assert teacher.sold == 120


def test_a_run_that_is_lost_again_and_again(deployed: tuple[Station, Workplace]) -> None:
    """A run that the automations started five times in vain ends as Failed, with one line for a person."""
    station, place = deployed
    with LoopbackTeacher() as teacher:
        at = slow(place, teacher, "doomed", prompts=3)
        run = station.run("build/first", **at)
        for _ in range(MOST):
            for state in ({"type": "RUNNING"}, {"type": "SCHEDULED", "name": LOST}):
                station.api(f"/flow_runs/{run}/set_state", {"state": state, "force": True})
        worker = station.work()
        state = station.ended(run)
        assert state["type"] == "FAILED"
        assert state["message"].startswith("started again 5 times, and lost each time")
        assert teacher.sold == 0
    station.kill(worker)


def test_a_worker_is_lost(deployed: tuple[Station, Workplace]) -> None:
    """Where a worker and its run are killed, the automation starts the run again on another worker; nothing is bought twice."""
    station, place = deployed
    with drawing(station, place, "lost", prompts=200, sold=20) as (teacher, first, run, at):
        station.kill(first)
        asked = len(teacher.bodies)
        assert station.state(run)["type"] == "RUNNING"
        worker = station.work()
        time.sleep(5)
        assert teacher.sold <= asked + 2, "the run lives"
        # 90 s after the last sign of life, and the time that the rest takes.
        state = station.ended(run, within_s=240)
        assert state["type"] == "COMPLETED", state["message"]
        assert station.api(f"/flow_runs/{run}")["run_count"] == 2
        # What was in flight when it was killed was billed for nothing: two requests at most.
        assert asked < teacher.sold <= 202
        place.lake = Path(at["lake"])
        assert place.count("samples") == 200
    station.kill(worker)
