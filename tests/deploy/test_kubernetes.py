"""deploy/kubernetes: each manifest keeps Kubernetes' own schema, they fit together, and they grant no more than is needed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "deploy/kubernetes"
VERSIONS = ("1.30", "1.37")
"""The oldest and the newest that the manifests are checked against."""


def kustomization() -> dict[str, Any]:
    """Return what Kustomize reads."""
    content: dict[str, Any] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))
    return content


def manifests() -> list[dict[str, Any]]:
    """Return all objects that Kustomize would apply."""
    return [
        each for name in kustomization()["resources"] for each in yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8"))
    ]


def one(kind: str, name: str | None = None) -> dict[str, Any]:
    """Return the one object of a kind, or of that name."""
    (found,) = [each for each in manifests() if each["kind"] == kind and name in {None, each["metadata"]["name"]}]
    return found


MANIFESTS = manifests()
NAMES = [f"{each['kind']}-{each['metadata']['name']}" for each in MANIFESTS]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", MANIFESTS, ids=NAMES)
def test_schema(manifest: dict[str, Any], version: str) -> None:
    """Strictly: a key that the API doesn't know is an error."""
    kubernetes_validate.validate(manifest, version, strict=True)


def test_what_the_api_would_refuse_is_refused() -> None:
    """A mistyped key: else the test above would say nothing."""
    worker = one("Deployment")
    worker["spec"]["template"]["spec"]["containers"][0]["imagePullPolcy"] = "Never"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(worker, VERSIONS[-1], strict=True)


def test_every_file_is_applied_and_in_one_namespace() -> None:
    """Kustomize lists each manifest of the folder, and all of them are in the namespace that it makes."""
    assert set(kustomization()["resources"]) == {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    assert {each["metadata"].get("namespace", each["metadata"]["name"]) for each in MANIFESTS} == {kustomization()["namespace"]}


def test_they_fit_together() -> None:
    """The worker's account, configuration and selector are those that the other manifests make."""
    worker = one("Deployment")["spec"]
    pod = worker["template"]["spec"]
    account = one("ServiceAccount", pod["serviceAccountName"])["metadata"]["name"]
    assert account in {each["name"] for each in one("RoleBinding")["subjects"]}
    assert one("RoleBinding")["roleRef"]["name"] == one("Role")["metadata"]["name"]
    assert worker["selector"]["matchLabels"].items() <= worker["template"]["metadata"]["labels"].items()
    (container,) = pod["containers"]
    references = [each["configMapRef"]["name"] for each in container["envFrom"] if "configMapRef" in each]
    assert references == [one("ConfigMap")["metadata"]["name"]]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}


def test_the_worker_keeps_the_restricted_standard() -> None:
    """As Kubernetes' Pod Security Standards define it, and with a root file system that can't be written to."""
    pod = one("Deployment")["spec"]["template"]["spec"]
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert all(set(volume) <= {"name", "emptyDir", "persistentVolumeClaim"} for volume in pod["volumes"])
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["readOnlyRootFilesystem"] is True
        assert container["resources"]["limits"]["memory"]
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}


def test_the_worker_may_do_nothing_but_run_jobs() -> None:
    """No wildcard, no secret, no right beyond the namespace."""
    assert not {"ClusterRole", "ClusterRoleBinding"} & {each["kind"] for each in MANIFESTS}
    for rule in one("Role")["rules"]:
        assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]
        assert "secrets" not in rule["resources"]
        if rule["resources"] != ["jobs"]:
            assert set(rule["verbs"]) <= {"get", "list", "watch"}


def test_prefect_reads_its_configuration_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """prefect-kubernetes knows the variables of the ConfigMap by these names: a mistyped one would be ignored."""
    from prefect_kubernetes.settings import KubernetesSettings

    given = one("ConfigMap")["data"]
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = KubernetesSettings()
    assert settings.observer.namespaces == {"stillhouse"}
    assert settings.cluster_uid == given["PREFECT_INTEGRATIONS_KUBERNETES_CLUSTER_UID"]


def test_no_secret_stands_in_a_manifest() -> None:
    """Secrets are named, and made by hand."""
    assert "Secret" not in {each["kind"] for each in MANIFESTS}
    text = "".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("*.yaml"))
    assert not re.search(r"(?i)(password|api_key|auth_string): *\S", text)
