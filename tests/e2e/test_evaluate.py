"""An evaluation as a user runs it: contestants of known accuracy over real HTTP, a kill in the middle, and the embedded model."""

from __future__ import annotations

import json
import signal
import time
from typing import Any

import pytest

from tests.e2e.conftest import Workplace
from tests.e2e.teacher import LoopbackTeacher, completion

pytestmark = pytest.mark.slow
PROMPTS, K = 40, 4
RIGHT = {"base": 1, "student": 2, "teacher": 4}
"""Of each prompt's K samples."""


def contestant(body: dict[str, Any], sold: int) -> tuple[int, dict[str, Any]]:
    """Answer rightly as often as the model is said to; the student is chatty."""
    case = int(body["messages"][-1]["content"].split("case ")[1].rstrip("?"))
    right = (body["seed"] + case) % K < RIGHT[body["model"]]
    text = f"The answer is {case % 3 if right else 99}."
    return 200, completion([f"Certainly! {text}" if body["model"] == "student" else text])


def contest(workplace: Workplace, url: str, **sampling: Any) -> None:
    """Give the workplace a spec of three contestants."""
    workplace.spec = {
        "dataset": "exam",
        "prompts": [{"source": workplace.prompts(PROMPTS)}],
        "teachers": [workplace.teacher(url, name=name, model=name) for name in RIGHT],
        "sampling": {"k": K, "max_tokens": 64, "seed": 0} | sampling,
        "verify": [{"use": "exact_match", "kind": "number"}],
    }


def command(workplace: Workplace) -> list[str]:
    """Return the command."""
    return ["evaluate", str(workplace.write()), "--lake", str(workplace.lake), "--resamples", "1000", "--k", "1,2"]


def test_known_accuracy(workplace: Workplace):
    """Rates are those that the servers were made to have; asked again it buys nothing; the terminal and Prefect show them."""
    with LoopbackTeacher(contestant) as teacher:
        contest(workplace, teacher.url)
        done = workplace.run(*command(workplace), "--json")
        assert done.returncode == 0, done.stderr
        shown = workplace.run(*command(workplace))
        assert shown.returncode == 0, shown.stderr
        assert teacher.sold == PROMPTS * K * len(RIGHT)
    found = json.loads(done.stdout)
    rates = {each["name"]: each["pass_at"] for each in found["contestants"]}
    assert [rates[name]["1"]["value"] for name in RIGHT] == [0.25, 0.5, 1.0]
    assert rates["base"]["2"]["value"] == pytest.approx(1 - 3 / 6)
    assert (found["paid"], found["cost_usd"] > 0) == (PROMPTS * K * len(RIGHT), True)
    for text in ("points against base", "student against base: skill rose (pass@1 +25.0 points", "bought 0 samples"):
        assert text in shown.stdout


def test_killed_and_broke(workplace: Workplace):
    """Killed in the middle it goes on where it was; a budget ends it with exit 4 and a line, and nothing is bought twice."""
    with LoopbackTeacher(contestant, delay_s=0.05) as teacher:
        contest(workplace, teacher.url)
        process = workplace.start(*command(workplace), "--json")
        until = time.monotonic() + 100
        while teacher.sold < 40 and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        sold = teacher.sold
        assert 40 <= sold < PROMPTS * K * len(RIGHT)
        workplace.spec["budget"] = {"usd": 1e-4}
        broke = workplace.run(*command(workplace), "--json")
        assert broke.returncode == 4, broke.stderr
        assert "budget.usd" in json.loads(broke.stdout)["error"]
        del workplace.spec["budget"]
        done = workplace.run(*command(workplace), "--json")
        assert done.returncode == 0, done.stderr
        lost = teacher.sold - PROMPTS * K * len(RIGHT)
    assert 0 <= lost <= 64 * len(RIGHT)  # what was in flight when it was killed
    found = json.loads(done.stdout)
    assert all(each["asked"] == PROMPTS * K for each in found["contestants"])
    assert found["contestants"][2]["pass_at"]["1"]["value"] == 1.0


@pytest.mark.model
def test_a_real_model(lone_workplace: Workplace):
    """The embedded model takes part for real: its samples are graded, and they add up."""
    workplace = lone_workplace
    contest(workplace, "http://127.0.0.1:9/v1", k=2, max_tokens=12)
    workplace.spec["prompts"][0]["limit"] = 3
    model = {"provider": "local", "model": "smollm2-135m-instruct", "license": "Apache-2.0"}
    workplace.spec["teachers"] = [model | {"name": "cold"}]
    done = workplace.run("evaluate", str(workplace.write()), "--lake", str(workplace.lake), "--resamples", "200", "--json")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["contestants"]
    assert (found["asked"], found["missing"]) == (6, 0)
    assert found["passed"] + found["refuted"] + found["undecided"] + found["unusable"] == 6
