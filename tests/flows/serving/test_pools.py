"""The deployments in deploy/, against the job templates of the worker classes that would carry them out."""

from __future__ import annotations

import importlib
import json
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.serving.served_runs import HEARTBEAT_S

DEPLOY = Path(__file__).parents[3] / "deploy"
WORKERS = {
    "prefect.yaml": "prefect.workers.process.ProcessWorker",
    "prefect-docker.yaml": "prefect_docker.worker.DockerWorker",
    "prefect-kubernetes.yaml": "prefect_kubernetes.worker.KubernetesWorker",
}
NOBODY = object()
"""No server is asked: nothing here refers to a block."""


def worker(file: str) -> Any:
    """Return the worker's class."""
    module, _, name = WORKERS[file].rpartition(".")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # its own
        return getattr(importlib.import_module(module), name)


def template(file: str) -> dict[str, Any]:
    """Return the job template of the pool that a file's head makes."""
    if file == "prefect-kubernetes.yaml":
        return json.loads((DEPLOY / "kubernetes-pool.json").read_text())
    return worker(file).get_default_base_job_template()


def deployments(file: str) -> list[dict[str, Any]]:
    """Return the deployments of a file."""
    return yaml.safe_load((DEPLOY / file).read_text())["deployments"]


CASES = [pytest.param(file, each, id=f"{file}-{each['entrypoint']}") for file in WORKERS for each in deployments(file)]


@pytest.mark.parametrize(("file", "deployment"), CASES)
async def test_job_variables(file: str, deployment: dict[str, Any]) -> None:
    """Each variable is one of the pool's, and the worker makes a job of them whose environment tells that the run lives."""
    given = json.loads(json.dumps(deployment["work_pool"]["job_variables"]).replace("{{ $PWD }}", "/work"))
    made = template(file)
    assert set(given) <= set(made["variables"]["properties"])
    configuration = await worker(file).job_configuration.from_template_and_values(
        base_job_template=made, values=given, client=NOBODY
    )
    assert configuration.env["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == str(HEARTBEAT_S)


@pytest.mark.parametrize(("file", "deployment"), CASES)
def test_parameters(file: str, deployment: dict[str, Any]) -> None:
    """The parameters are what the flow takes."""
    module, _, name = deployment["entrypoint"].rpartition(".")
    flow = getattr(importlib.import_module(module), name)
    assert flow.validate_parameters(deployment["parameters"])
    assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": "ENQUEUE"}


@pytest.mark.parametrize("file", ["prefect-docker.yaml", "prefect-kubernetes.yaml"])
def test_what_runs_in_containers(file: str) -> None:
    """All that the image has what it needs for; what buys nothing follows the build. A student is trained where torch fits the driver."""
    entries = {each["entrypoint"]: [every["cron"] for every in each.get("schedules", ())] for each in deployments(file)}
    assert entries == {"flows.build.build": ["0 2 * * *"], "flows.export.export": ["0 5 * * *"], "flows.evaluate.evaluate": []}


def test_schedules() -> None:
    """The build has a schedule, and the export after it; what buys or trains beside them has one that somebody switches on."""
    made = {
        each["entrypoint"]: [(every["cron"], every.get("active", True)) for every in each.get("schedules", ())]
        for each in deployments("prefect.yaml")
    }
    assert made == {
        "flows.build.build": [("0 2 * * *", True)],
        "flows.export.export": [("0 5 * * *", True)],
        "flows.score.score": [],
        "flows.evaluate.evaluate": [("0 6 * * 0", False)],
        "flows.distill.distill": [("0 8 * * 0", False)],
    }


async def test_a_kubernetes_job() -> None:
    """The pool's template is the installed worker's own, with a claim at /work, the keys' secret, and a user and account without rights."""
    deployment = deployments("prefect-kubernetes.yaml")[0]
    kubernetes = worker("prefect-kubernetes.yaml")
    made, default = template("prefect-kubernetes.yaml"), kubernetes.get_default_base_job_template()
    assert set(made["variables"]["properties"]) - {"claim"} == set(default["variables"]["properties"])
    configuration = await kubernetes.job_configuration.from_template_and_values(
        base_job_template=made, values=deployment["work_pool"]["job_variables"], client=NOBODY
    )
    pod = configuration.job_manifest["spec"]["template"]["spec"]
    (box,) = pod["containers"]
    # The image's entry point is `stillhouse`; what the worker runs is a command of Prefect's.
    assert box["command"] == ["env"]
    assert box["envFrom"] == [{"secretRef": {"name": "stillhouse-keys", "optional": True}}]
    assert pod["volumes"] == [{"name": "work", "persistentVolumeClaim": {"claimName": "stillhouse"}}]
    assert box["volumeMounts"] == [{"name": "work", "mountPath": "/work"}]
    assert pod["securityContext"]["runAsNonRoot"]
    accounts = [
        each for each in yaml.safe_load_all((DEPLOY / "kubernetes/rbac.yaml").read_text()) if each["kind"] == "ServiceAccount"
    ]
    assert pod["serviceAccountName"] in {each["metadata"]["name"] for each in accounts}
    assert pod["serviceAccountName"] != "stillhouse-worker"  # which may make jobs
    assert pod["automountServiceAccountToken"] is False
    assert made["variables"]["properties"]["namespace"]["default"] == accounts[0]["metadata"]["namespace"]
    own = json.loads(json.dumps(made["job_configuration"]))
    pod = own["job_manifest"]["spec"]["template"]["spec"]
    for name in ("volumes", "securityContext", "terminationGracePeriodSeconds", "automountServiceAccountToken"):
        del pod[name]
    for name in ("command", "workingDir", "envFrom", "volumeMounts"):
        del pod["containers"][0][name]
    assert own == default["job_configuration"]


def test_automations() -> None:
    """The automations are what Prefect takes, and a run is lost that missed three signs of life."""
    from prefect.automations import Automation

    given = yaml.safe_load((DEPLOY / "automations-heartbeat.yaml").read_text())["automations"]
    lost, crashed = (Automation.model_validate(each) for each in given)
    assert (lost.name, crashed.name) == ("stillhouse-lost", "stillhouse-crashed")
    assert lost.trigger.within == timedelta(seconds=3 * HEARTBEAT_S)
