"""A build that waits for a person's approval in Prefect, and one that can't ask anybody."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from typing import Any

import pytest

from tests.e2e.conftest import Workplace
from tests.e2e.teacher import LoopbackTeacher
from tests.e2e.test_build import spec
from tests.e2e.test_prefect import api, eventually, named, runs

pytestmark = pytest.mark.server
RESTRICTED = """
terms:
  - id: strict
    name: Strict terms
    kind: service
    hosts: [127.0.0.1]
    training: restricted
    clause: no model may be trained on it.
    basis: text
"""


def costly(workplace: Workplace, url: str, dataset: str, **approve: Any) -> None:
    """Make a spec whose estimate is over what needs no approval: at most 30 samples of 1,000 tokens, $0.06 and what goes in."""
    spec(workplace, url, prompts=10)
    named(workplace, dataset)
    workplace.spec["sampling"]["max_tokens"] = 1000
    workplace.spec["approve"] = {"over_usd": 0.01} | approve


def strict(workplace: Workplace, url: str, dataset: str, **approve: Any) -> None:
    """Make a spec with a teacher whose terms restrict training."""
    spec(workplace, url, prompts=6)
    named(workplace, dataset)
    (workplace.folder / "terms.yaml").write_text(RESTRICTED)
    workplace.spec["licenses"] = {"terms": str(workplace.folder / "terms.yaml")}
    workplace.spec["exports"] = [{"format": "messages", "to": "out"}]
    workplace.spec["approve"] = {"unacknowledged_license": True} | approve


def paused(workplace: Workplace, dataset: str) -> dict[str, Any]:
    """Return the dataset's run once it waits, and its form is there."""

    def waiting() -> dict[str, Any] | None:
        for run in runs(workplace, dataset):
            if run["state_type"] == "PAUSED" and api(workplace, f"/flow_runs/{run['id']}/input/filter", {"prefix": "paused"}):
                return run
        return None

    return eventually(waiting)


def building(workplace: Workplace) -> subprocess.Popen[str]:
    """Start the build."""
    return workplace.start("build", str(workplace.write()), "--lake", str(workplace.lake), "--json")


def answered(workplace: Workplace, run: dict[str, Any], running: subprocess.Popen[str], **said: Any) -> tuple[int, str, str]:
    """Fill the form in, and return how the build ends."""
    result = api(workplace, f"/flow_runs/{run['id']}/resume", {"run_input": said})
    assert result["status"] == "ACCEPT", result
    stdout, stderr = running.communicate(timeout=90)
    return running.returncode, stdout, stderr


@pytest.mark.slow
def test_a_cost_is_approved(workplace: Workplace) -> None:
    """It waits without the lake's lock and unspent; once a person approves, it goes on, and the manifest says who it was."""
    with LoopbackTeacher() as teacher:
        costly(workplace, teacher.url, "approved")
        running = building(workplace)
        run = paused(workplace, "approved")
        assert teacher.sold == 0
        other = Workplace(workplace.folder)
        other.environment["PREFECT_API_URL"] = workplace.environment["PREFECT_API_URL"]
        other.spec = workplace.spec | {"dataset": "meanwhile", "approve": {"over_usd": 5}, "teachers": workplace.spec["teachers"]}
        (workplace.folder / "other.yaml").write_text(json.dumps(other.spec))
        done = other.run("build", "other.yaml", "--lake", str(workplace.lake), "--json")
        assert done.returncode == 0, done.stderr
        code, stdout, stderr = answered(workplace, run, running, approved=True, who="Ada", why="the quarter's plan")
    assert code == 0, stderr
    built = json.loads(stdout)
    manifest = json.loads((workplace.lake / "manifests" / "builds" / f"{built['build_id']}.json").read_text())
    (approval,) = manifest["approvals"]
    assert (approval["what"], approval["who"], approval["why"]) == ("cost", "Ada", "the quarter's plan")
    assert 0.01 < approval["estimate_usd"] < 1


@pytest.mark.slow
@pytest.mark.parametrize("way", ["refused", "late", "cancelled", "interrupted"])
def test_a_cost_is_not_approved(workplace: Workplace, way: str) -> None:
    """Refused, unanswered, cancelled in the UI or interrupted: one line, and nothing was spent."""
    dataset = f"not-{way}"
    with LoopbackTeacher() as teacher:
        costly(workplace, teacher.url, dataset, **({"timeout_s": 4} if way == "late" else {}))
        running = building(workplace)
        if way == "late":
            _, stderr = running.communicate(timeout=90)
            assert running.returncode == 4, stderr
            assert "nobody answered within 4 s, and nothing more was spent" in stderr
        else:
            run = paused(workplace, dataset)
            if way == "refused":
                code, _, stderr = answered(workplace, run, running, approved=False, who="Bo", why="too much")
                assert code == 4, stderr
                assert "refused in Prefect by Bo: too much; nothing more was spent" in stderr.splitlines()[-1]
            elif way == "cancelled":
                api(workplace, f"/flow_runs/{run['id']}/set_state", {"state": {"type": "CANCELLING", "name": "Cancelling"}})
                _, stderr = running.communicate(timeout=90)
                assert running.returncode == 130, stderr
                assert "cancelled in Prefect" in stderr
            else:
                running.send_signal(signal.SIGINT)
                _, stderr = running.communicate(timeout=90)
                assert running.returncode == 130, stderr
        assert "Traceback" not in stderr
        assert teacher.sold == 0
    (run,) = runs(workplace, dataset)
    assert run["state_type"] == ("FAILED" if way in {"refused", "late"} else "CANCELLED")


@pytest.mark.slow
def test_terms_are_acknowledged_in_the_ui(workplace: Workplace) -> None:
    """What a person says stands in traces, card and NOTICE as the spec's own acknowledgement would; half an answer is asked again."""
    with LoopbackTeacher() as teacher:
        strict(workplace, teacher.url, "acknowledged")
        running = building(workplace)
        run = paused(workplace, "acknowledged")
        result = api(workplace, f"/flow_runs/{run['id']}/resume", {"run_input": {"approved": True, "who": "Ada"}})
        assert result["status"] == "ACCEPT"
        time.sleep(4)
        run = paused(workplace, "acknowledged")
        code, stdout, stderr = answered(
            workplace, run, running, approved=True, who="Ada", why="a pilot", agreement="contract 7 of 2026"
        )
    assert code == 0, stderr
    assert json.loads(stdout)["kept"] > 0
    said = workplace.query("SELECT DISTINCT acknowledgement, train_use FROM traces")
    assert said == [("strict: a pilot (Ada, contract 7 of 2026)", "restricted")]
    for document in ("NOTICE", "README.md"):
        assert "contract 7 of 2026" in (workplace.folder / "out" / document).read_text()


@pytest.mark.slow
def test_terms_are_refused_in_the_ui(workplace: Workplace) -> None:
    """A no is the licence gate's: exit 3, nothing spent."""
    with LoopbackTeacher() as teacher:
        strict(workplace, teacher.url, "unacknowledged")
        running = building(workplace)
        run = paused(workplace, "unacknowledged")
        code, _, stderr = answered(workplace, run, running, approved=False)
        assert code == 3, stderr
        assert "refused in Prefect by somebody" in stderr.splitlines()[-1]
        assert teacher.sold == 0


@pytest.mark.slow
def test_nobody_to_ask(lone_workplace: Workplace) -> None:
    """Without a server that somebody watches, it is refused at once by a line that says how to approve; `--approve` does."""
    with LoopbackTeacher() as teacher:
        costly(lone_workplace, teacher.url, "lone")
        refused = lone_workplace.build(4)["error"]
        assert "approve.over_usd is $0.01" in refused
        flag = refused.partition("--approve ")[2].split()[0]
        assert teacher.sold == 0
        done = lone_workplace.run("build", str(lone_workplace.write()), "--lake", str(lone_workplace.lake), "--approve", flag)
        assert done.returncode == 0, done.stderr
        strict(lone_workplace, teacher.url, "lone-strict")
        assert "licenses: {acknowledge:" in lone_workplace.build(3)["error"]
