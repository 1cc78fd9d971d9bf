"""Against a real Prefect server: what its UI shows of a build, schedules that a runner carries out, and cancellation."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Workplace
from tests.e2e.station import call, eventually
from tests.e2e.teacher import LoopbackTeacher
from tests.e2e.test_build import spec

pytestmark = pytest.mark.server


def api(workplace: Workplace, path: str, body: dict[str, Any] | None = None) -> Any:
    """Call Prefect's REST API; a body makes it a POST."""
    return call(f"{workplace.environment['PREFECT_API_URL']}{path}", body)


def runs(workplace: Workplace, dataset: str) -> list[dict[str, Any]]:
    """Return the flow runs of a dataset, oldest first."""
    tagged = {"flow_runs": {"tags": {"all_": [f"dataset:{dataset}"]}}, "sort": "START_TIME_ASC"}
    return api(workplace, "/flow_runs/filter", tagged)


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
@pytest.mark.timeout(600)
def test_several_specs_by_interval(workplace: Workplace) -> None:
    """One process serves two specs every few seconds; a source that grows is paid for by its new prompts alone."""
    with LoopbackTeacher() as teacher:
        specs = []
        for name, prompts in (("hourly-1", 4), ("hourly-2", 6)):
            spec(workplace, teacher.url, prompts=prompts, k=1)
            workplace.spec["prompts"][0]["source"] = workplace.prompts(prompts, f"{name}.jsonl")
            named(workplace, name)
            workplace.spec["template"] = {"user": f"{name}: {{{{ prompt }}}}"}  # else they would share samples
            specs.append(workplace.write().rename(workplace.folder / f"{name}.yaml"))
        workplace.environment["PREFECT_RUNNER_POLL_FREQUENCY"] = "1"
        serving = workplace.start(
            "serve", *map(str, specs), "--lake", str(workplace.lake), "--interval", "20s", "--with", "export"
        )
        try:

            def completed(name: str) -> int:
                return sum(run["state_type"] == "COMPLETED" for run in runs(workplace, name))

            def under_way(name: str) -> int:
                return sum(run["state_type"] in {"PENDING", "RUNNING"} for run in runs(workplace, name))

            eventually(lambda: completed("hourly-1") and completed("hourly-2"), within_s=180)
            assert teacher.sold == 10
            workplace.prompts(9, "hourly-2.jsonl")
            eventually(lambda: teacher.sold > 10, within_s=120)
            done = completed("hourly-2")
            eventually(lambda: completed("hourly-2") > done, within_s=120)
            assert teacher.sold == 13
            export = api(workplace, "/deployments/name/export/hourly-2")
            body = {"parameters": {"options": {"to": str(workplace.folder / "shards")}}}
            run = api(workplace, f"/deployments/{export['id']}/create_flow_run", body)
            eventually(lambda: api(workplace, f"/flow_runs/{run['id']}")["state"]["type"] == "COMPLETED", within_s=120)
            assert list((workplace.folder / "shards").glob("**/*.parquet"))
            # One that is at work when its process is told to end says so in Prefect's own words.
            eventually(lambda: not any(under_way(name) for name in ("hourly-1", "hourly-2")), within_s=120)
        finally:
            serving.send_signal(signal.SIGTERM)
            _, stderr = serving.communicate(timeout=60)
        assert "Traceback" not in stderr
        assert "serving build/hourly-1 every 20s" in stderr


@pytest.mark.slow
@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_serving_is_stopped_as_a_run_begins(workplace: Workplace, told: signal.Signals) -> None:
    """Told to stop while a run's process starts or has just begun, `serve` says one line and ends well, and the run is Cancelled."""
    workplace.environment["PREFECT_RUNNER_POLL_FREQUENCY"] = "1"
    with LoopbackTeacher(delay_s=0.2) as teacher:
        for reached in ("PENDING", "RUNNING"):
            spec(workplace, teacher.url, prompts=80, k=1, limits={"concurrency": 2})
            named(workplace, f"begins-{told.name.lower()}-{reached.lower()}")
            command = ("serve", str(workplace.write()), "--lake", str(workplace.lake))
            serving = workplace.start(*command, start_new_session=True)
            try:
                deployments = {"deployments": {"name": {"any_": [workplace.spec["dataset"]]}}}
                (deployment,) = eventually(lambda: api(workplace, "/deployments/filter", deployments))  # noqa: B023
                run = api(workplace, f"/deployments/{deployment['id']}/create_flow_run", {})["id"]
                eventually(lambda: api(workplace, f"/flow_runs/{run}")["state"]["type"] == reached)  # noqa: B023
            finally:
                # A terminal tells all of them.
                os.killpg(serving.pid, told) if told == signal.SIGINT else serving.send_signal(told)
                _, stderr = serving.communicate(timeout=90)
            assert serving.returncode == 0, stderr
            assert stderr.splitlines()[-1].startswith(f"{told.name}: starting no more runs")
            assert "Traceback" not in stderr
            assert api(workplace, f"/flow_runs/{run}")["state"]["type"] == "CANCELLED"


@pytest.mark.slow
def test_serving_is_stopped_in_mid_run(workplace: Workplace) -> None:
    """Where `serve` is told to stop, a run lands what was paid for and is Cancelled; the next one buys the rest."""
    workplace.environment["PREFECT_RUNNER_POLL_FREQUENCY"] = "1"
    with LoopbackTeacher(delay_s=0.2) as teacher:
        spec(workplace, teacher.url, prompts=80, k=1, limits={"concurrency": 2})
        named(workplace, "stopped")
        command = ("serve", str(workplace.write()), "--lake", str(workplace.lake))
        serving = workplace.start(*command)
        deployments = {"deployments": {"name": {"any_": ["stopped"]}}}
        (deployment,) = eventually(lambda: api(workplace, "/deployments/filter", deployments))
        assert deployment["schedules"] == []
        run = api(workplace, f"/deployments/{deployment['id']}/create_flow_run", {})["id"]
        eventually(lambda: teacher.sold > 5)
        serving.send_signal(signal.SIGTERM)
        _, stderr = serving.communicate(timeout=90)
        assert "Traceback" not in stderr
        state = api(workplace, f"/flow_runs/{run}")["state"]
        assert state["type"] == "CANCELLED", state
        assert workplace.count("samples") == teacher.sold < 80
        serving = workplace.start(*command)
        try:
            run = api(workplace, f"/deployments/{deployment['id']}/create_flow_run", {})["id"]
            eventually(lambda: api(workplace, f"/flow_runs/{run}")["state"]["type"] == "COMPLETED", within_s=150)
            assert teacher.sold == 80
        finally:
            serving.send_signal(signal.SIGTERM)
            serving.communicate(timeout=90)


def temporary_server(build: subprocess.Popen[str]) -> int:
    """Return the process of the server that a build has started."""
    children = Path(f"/proc/{build.pid}/task/{build.pid}/children").read_text().split()
    (server,) = [int(child) for child in children if b"uvicorn" in Path(f"/proc/{child}/cmdline").read_bytes()]
    return server


@pytest.mark.slow
@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hanging"])
@pytest.mark.parametrize("sold", [5, 60], ids=["in mid-draw", "at the end"])
def test_the_temporary_server_is_gone(lone_workplace: Workplace, blow: signal.Signals, sold: int) -> None:
    """Where the temporary server is killed or hangs, a build goes on without it, lands, and says so; nothing is left running."""
    with LoopbackTeacher(delay_s=0.05) as teacher:
        spec(lone_workplace, teacher.url, prompts=60, k=1, limits={"concurrency": 2})
        running = lone_workplace.start("build", str(lone_workplace.write()), "--lake", str(lone_workplace.lake), "--json")
        eventually(lambda: teacher.sold >= sold)
        server = temporary_server(running)
        os.kill(server, blow)
        stdout, stderr = running.communicate(timeout=200)
        assert running.returncode == 0, stderr
        assert "Traceback" not in stderr
        assert "Prefect's server didn't hear how the run ended" in stderr
        assert json.loads(stdout)["paid"] == teacher.sold == 60
        assert lone_workplace.count("samples") == 60
        assert not Path(f"/proc/{server}").exists()


@pytest.mark.slow
def test_an_end_on_a_server_that_hangs(lone_workplace: Workplace) -> None:
    """Interrupted while its server hangs, a build lands what was paid for and ends as any interrupted one."""
    with LoopbackTeacher(delay_s=0.05) as teacher:
        spec(lone_workplace, teacher.url, prompts=60, limits={"concurrency": 2})
        running = lone_workplace.start("build", str(lone_workplace.write()), "--lake", str(lone_workplace.lake))
        eventually(lambda: teacher.sold > 5)
        os.kill(temporary_server(running), signal.SIGSTOP)
        running.send_signal(signal.SIGTERM)
        _, stderr = running.communicate(timeout=200)
        assert running.returncode == 130, stderr
        assert "Traceback" not in stderr
        assert lone_workplace.count("samples") == teacher.sold < 180
