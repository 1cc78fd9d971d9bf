"""Against a real Prefect server: what its UI shows of a build, schedules that a runner carries out, and cancellation."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Workplace
from tests.e2e.teacher import LoopbackTeacher
from tests.e2e.test_build import spec

pytestmark = pytest.mark.server


def api(workplace: Workplace, path: str, body: dict[str, Any] | None = None) -> Any:
    """Call Prefect's REST API; a body makes it a POST."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"{workplace.environment['PREFECT_API_URL']}{path}", data, {"content-type": "application/json"}
    )
    until = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                raw = response.read()
                return json.loads(raw) if raw else None
        except urllib.error.HTTPError as error:  # its database is busy
            if error.code != 503 or time.monotonic() > until:
                raise
            time.sleep(0.5)


def runs(workplace: Workplace, dataset: str) -> list[dict[str, Any]]:
    """Return the flow runs of a dataset, oldest first."""
    tagged = {"flow_runs": {"tags": {"all_": [f"dataset:{dataset}"]}}, "sort": "START_TIME_ASC"}
    return api(workplace, "/flow_runs/filter", tagged)


def eventually(what: Callable[[], Any], *, within_s: float = 90) -> Any:
    """Return the first true value; Prefect records task runs a little late."""
    until = time.monotonic() + within_s
    while not (found := what()):
        assert time.monotonic() < until, "it never came"
        time.sleep(0.2)
    return found


def named(workplace: Workplace, dataset: str) -> None:
    """Give the workplace's spec a dataset name of its own: the server is shared by the tests."""
    workplace.spec["dataset"] = dataset


def test_a_build_shows(workplace: Workplace) -> None:
    """The run, its shards, a progress artifact and a summary are there; no sample, and no key, went through Prefect."""
    with LoopbackTeacher() as teacher:
        spec(workplace, teacher.url, prompts=600, k=1)
        named(workplace, "Shown_1")
        workplace.build()
    (run,) = runs(workplace, "Shown_1")
    assert (run["state_type"], run["name"]) == ("COMPLETED", "build Shown_1")
    own = {"flow_runs": {"id": {"any_": [run["id"]]}}, "limit": 200}
    wanted = {f"Shown_1-shard-{number:05d}" for number in range(2)}

    def recorded() -> list[dict[str, Any]] | None:
        found = api(workplace, "/task_runs/filter", own)
        done = {task["name"] for task in found if task["state_type"] == "COMPLETED"}
        return found if wanted <= done else None

    tasks = eventually(recorded)
    assert {task["state_type"] for task in tasks} == {"COMPLETED"}
    artifacts = {artifact["key"]: artifact for artifact in api(workplace, "/artifacts/filter", own)}
    assert {"shown-1-progress", "shown-1-summary"} <= set(artifacts)
    summary = artifacts["shown-1-summary"]["data"]
    for part in ("pass rate", "200 kept", "rejected by | verify 400", "spend | $0.0132"):
        assert part in summary
    logs = api(workplace, "/logs/filter", {"logs": {"flow_run_id": {"any_": [run["id"]]}}})
    assert any("landed" in log["message"] for log in logs)
    everything = json.dumps([run, tasks, list(artifacts.values()), logs])
    for secret in ("How many in case", "The answer is", "sk-canary"):
        assert secret not in everything


def test_a_refused_build_shows(workplace: Workplace) -> None:
    """A build that ends with a user's error is Failed with that one line."""
    with LoopbackTeacher(lambda body, sold: (503, {})) as teacher:
        spec(workplace, teacher.url, prompts=5)
        named(workplace, "refused")
        workplace.build(5)
    (run,) = runs(workplace, "refused")
    assert run["state_type"] == "FAILED"
    assert "stayed unavailable" in run["state"]["message"]


def test_an_interrupted_build_shows(workplace: Workplace) -> None:
    """A build that a person ends is Cancelled, and says that what was paid for is landed."""
    with LoopbackTeacher(delay_s=0.05) as teacher:
        spec(workplace, teacher.url, limits={"concurrency": 2})
        named(workplace, "interrupted")
        running = workplace.start("build", str(workplace.write()), "--lake", str(workplace.lake))
        eventually(lambda: teacher.sold > 5)
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=60)
        assert running.returncode == 130
    (run,) = runs(workplace, "interrupted")
    assert run["state_type"] == "CANCELLED"
    assert "landed" in run["state"]["message"]


def test_a_build_hears_of_a_cancellation(workplace: Workplace) -> None:
    """Cancelled in the UI, a build that a person started ends as if interrupted, and lands what was paid for."""
    with LoopbackTeacher(delay_s=0.1) as teacher:
        spec(workplace, teacher.url, prompts=200, limits={"concurrency": 2})
        named(workplace, "cancelled")
        running = workplace.start("build", str(workplace.write()), "--lake", str(workplace.lake))
        eventually(lambda: teacher.sold > 5)
        (run,) = runs(workplace, "cancelled")
        api(workplace, f"/flow_runs/{run['id']}/set_state", {"state": {"type": "CANCELLING", "name": "Cancelling"}})
        _, stderr = running.communicate(timeout=60)
        assert running.returncode == 130, stderr
        assert "cancelled in Prefect" in stderr
        assert workplace.count("samples") == teacher.sold < 600


@pytest.mark.slow
def test_a_scheduled_build(workplace: Workplace) -> None:
    """`serve` registers a deployment with its schedule, carries out a run that the server starts, and ends when told to."""
    with LoopbackTeacher() as teacher:
        spec(workplace, teacher.url, prompts=5)
        named(workplace, "nightly")
        serving = workplace.start("serve", str(workplace.write()), "--lake", str(workplace.lake), "--cron", "0 2 * * *")
        try:

            def registered() -> list[dict[str, Any]]:
                return api(workplace, "/deployments/filter", {"deployments": {"name": {"any_": ["nightly"]}}})

            (deployment,) = eventually(registered)
            assert deployment["schedules"][0]["schedule"]["cron"] == "0 2 * * *"
            assert set(deployment["tags"]) == {"stillhouse", "dataset:nightly"}
            run = api(workplace, f"/deployments/{deployment['id']}/create_flow_run", {})
            state = eventually(
                lambda: (state := api(workplace, f"/flow_runs/{run['id']}")["state"])["type"] in {"COMPLETED", "FAILED"} and state
            )
            assert state["type"] == "COMPLETED", state["message"]
        finally:
            serving.send_signal(signal.SIGTERM)
            _, stderr = serving.communicate(timeout=60)
        assert "Traceback" not in stderr
    assert workplace.query("SELECT dataset, kept FROM builds") == [("nightly", 5)]


def test_a_schedule_that_is_none(workplace: Workplace) -> None:
    """A cron expression that isn't one is a line and exit 2."""
    spec(workplace, "http://127.0.0.1:1/v1", prompts=1)
    done = workplace.run("serve", str(workplace.write()), "--cron", "every night")
    assert done.returncode == 2
    assert done.stderr.startswith("error: --cron: 'every night'")


@pytest.mark.slow
def test_a_worker_carries_out_the_deployment(workplace: Workplace) -> None:
    """`deploy/prefect.yaml`, deployed as its head says, runs on a process worker in the folder that it was deployed from."""
    prefect = str(Path(sys.executable).with_name("prefect"))

    def command(*arguments: str) -> None:
        done = subprocess.run(
            [prefect, *arguments], cwd=workplace.folder, env=environment, text=True, capture_output=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    environment = workplace.environment | {"PWD": str(workplace.folder)}
    file = Path(__file__).parents[2] / "deploy" / "prefect.yaml"
    with LoopbackTeacher() as teacher:
        spec(workplace, teacher.url, prompts=5)
        named(workplace, "worked")
        workplace.write()
        command("work-pool", "create", "--type", "process", "stillhouse")
        command("--no-prompt", "deploy", "--all", "--prefect-file", str(file))
        deployment = api(workplace, "/deployments/name/build/first")
        assert deployment["schedules"][0]["schedule"]["cron"] == "0 2 * * *"
        parameters = {"parameters": {"spec": "spec.yaml", "lake": "lake"}}
        run = api(workplace, f"/deployments/{deployment['id']}/create_flow_run", parameters)
        with (workplace.folder / "worker.log").open("wb") as log:
            worker = subprocess.Popen(
                [prefect, "worker", "start", "--pool", "stillhouse", "--type", "process"],
                cwd=workplace.folder.parent,
                env=environment,
                stdout=log,
                stderr=log,
            )
            try:
                state = eventually(
                    lambda: (
                        (state := api(workplace, f"/flow_runs/{run['id']}")["state"])["type"]
                        in {"COMPLETED", "FAILED", "CRASHED"}
                        and state
                    )
                )
            finally:
                worker.terminate()
                worker.wait(timeout=180)
        assert state["type"] == "COMPLETED", state["message"]
    assert workplace.query("SELECT dataset, kept FROM builds") == [("worked", 5)]
