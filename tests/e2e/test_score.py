"""`stillhouse score`: a teacher grades what is stored, over real HTTP, and traces are selected by it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import Workplace
from tests.e2e.teacher import LoopbackTeacher, counting
from tests.e2e.test_build import spec
from tests.e2e.test_prefect import api
from tests.tasks.exporters import students
from tests.tasks.score import fake_vllm

pytestmark = pytest.mark.slow


def reply(body: dict[str, Any], sold: int) -> tuple[int, dict[str, Any]]:
    """Answer conversations as a teacher, and all else as vLLM does."""
    if not body.keys().isdisjoint({"prompt", "tokens", "add_generation_prompt"}):
        return fake_vllm.answer(body)
    return counting(body, sold)


def thinking(body: dict[str, Any], sold: int) -> tuple[int, dict[str, Any]]:
    """Answer likewise, with reasoning apart."""
    status, document = reply(body, sold)
    for choice in document.get("choices", []):
        if "message" in choice:
            choice["message"]["reasoning_content"] = "I count."
    return status, document


@pytest.fixture
def teacher() -> Iterator[LoopbackTeacher]:
    """Give a teacher that answers and scores."""
    with LoopbackTeacher(reply) as serving:
        yield serving


def score(workplace: Workplace, *options: str, want: int = 0) -> dict[str, Any]:
    """Score, and return what is said."""
    done = workplace.run("score", str(workplace.write()), "--lake", str(workplace.lake), "--json", "--teacher", "t", *options)
    assert done.returncode == want, done.stderr
    assert "Traceback" not in done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def scored(teacher: LoopbackTeacher) -> int:
    """Return how many responses were scored."""
    return sum("prompt_logprobs" in body for body in teacher.bodies)


def test_a_teacher_grades_its_own_traces(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """Kept traces are scored, once; then all that is stored, of which the kept ones cost nothing more."""
    spec(workplace, teacher.url, prompts=9, k=2)
    built = workplace.build()
    found = score(workplace, "--top", "5")
    assert found["samples"] == found["scored"] == built["kept"] == scored(teacher)
    assert found["cost_usd"] > 0
    assert 0 < found["fit"]["outside"] < 1
    assert workplace.query("SELECT DISTINCT reasoning, ended FROM scores") == [("none", True)]
    assert len(found["fit"]["entropy"]) == 10
    again = score(workplace, "--top", "5")
    assert (again["scored"], again["stored"], again["cost_usd"]) == (0, built["kept"], 0)
    assert again["fit"] == found["fit"]
    everything = score(workplace, "--top", "5", "--dataset", "all")
    assert everything["stored"] == built["kept"]
    assert everything["samples"] == everything["stored"] + everything["scored"] == workplace.count("scores")
    assert scored(teacher) == everything["samples"]
    ((number,),) = workplace.query("SELECT count(*) FROM scores WHERE fingerprint = (SELECT min(fingerprint) FROM scores)")
    assert number == everything["samples"]


def test_reasoning(workplace: Workplace) -> None:
    """Where responses have reasoning apart, nothing is asked until it is said how a student sees it; an export says so too."""
    with LoopbackTeacher(thinking) as teacher:
        spec(workplace, teacher.url, prompts=3, k=1)
        built = workplace.build()
        assert "add --reasoning think, turn or omit" in score(workplace, want=2)["error"]
        assert scored(teacher) == 0
        found = score(workplace, "--reasoning", "think")
        assert (found["reasoning"], found["reasoned"], found["scored"], found["left_out"]) == (
            "think",
            built["kept"],
            built["kept"],
            {},
        )
        (body, *_) = [body for body in teacher.bodies if "prompt_logprobs" in body]
        assert "<think>\nI count.\n</think>\n\n" in fake_vllm.text_of(body["prompt"])
        assert body["prompt"][-1] == fake_vllm.END
        student = students.small(workplace.folder / "student", students.THINKING)
        soft = {"format": "soft", "to": "soft", "tokenizer": student, "scores": "t", "reasoning": "turn"}
        workplace.spec["exports"] = [soft]
        again = score(workplace)
    assert (again["reasoning"], again["scored"]) == ("turn", built["kept"])
    assert again["fit"] == found["fit"]  # the fake's template writes it as <think> text


def test_report(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """A report says what the distributions over traces are like, by whose they are."""
    spec(workplace, teacher.url, prompts=6, k=1)
    workplace.build()
    score(workplace, "--top", "3")
    named = score(workplace, "--top", "5")
    done = workplace.run("report", workplace.spec["dataset"], "--lake", str(workplace.lake), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["distributions"]
    assert [name[: len("by t (")] for name in found] == ["by t ("] * 2
    assert found[f"by t ({named['fingerprint'][:8]})"] == named["fit"]
    shown = workplace.run("report", workplace.spec["dataset"], "--lake", str(workplace.lake))
    assert "nats a token" in shown.stdout


def test_killed(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """Killed while it scores, and started again, it asks about no response a second time but what was in flight."""
    spec(workplace, teacher.url, prompts=60, k=1)
    workplace.spec["verify"] = []
    workplace.spec["teachers"][0]["limits"] = {"concurrency": 2}
    built = workplace.build()
    command = ("score", str(workplace.write()), "--lake", str(workplace.lake), "--json", "--teacher", "t")
    running = workplace.start(*command)
    until = time.monotonic() + 100
    while scored(teacher) < 10 and time.monotonic() < until:
        time.sleep(0.002)
    running.send_signal(signal.SIGKILL)
    running.communicate(timeout=100)
    assert scored(teacher) < built["kept"]
    found = score(workplace)
    assert found["stored"] >= 8
    assert found["stored"] + found["scored"] == built["kept"] == workplace.count("scores")
    assert scored(teacher) <= built["kept"] + 2


def test_errors(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """What can't be is told in one line with exit code 2, before anything is asked; a budget that is spent has code 4."""
    spec(workplace, teacher.url, prompts=3, k=1)
    assert "no build of" in score(workplace, want=2)["error"]
    workplace.build()
    done = workplace.run("score", str(workplace.write()), "--lake", str(workplace.lake), "--teacher", "tt")
    assert (done.returncode, "did you mean 't'?" in done.stderr) == (2, True)
    workplace.spec["teachers"][0]["license"] = None
    assert "has no license" in score(workplace, want=3)["error"]
    workplace.spec["teachers"][0]["license"] = "MIT"
    workplace.spec["budget"] = {"usd": 1e-9}
    assert "are spent" in score(workplace, want=4)["error"]
    assert scored(teacher) == 0


def test_student_loss(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """A build drops what the student finds hardest, says so, and names the command where scores are missing."""
    spec(workplace, teacher.url, prompts=9, k=2)
    workplace.spec["select"] = {"student_loss": {"student": "t", "keep": 0.5}}
    failed = workplace.build(want=2)
    assert "stillhouse score SPEC --teacher t --dataset all" in failed["error"]
    sold = teacher.sold
    found = score(workplace, "--dataset", "all", "--top", "0")
    assert found["scored"] > 0
    asked = teacher.sold - sold
    built = workplace.build()
    assert teacher.sold - sold == asked  # the build bought nothing
    assert built["rejected"]["select"] > 0
    reasons = workplace.query("SELECT DISTINCT reason FROM outcomes WHERE stage = 'select'")
    assert all("nats a token, more than" in reason for (reason,) in reasons)
    assert any("could not be scored and are kept" in line for line in built["warnings"])
    workplace.spec["select"]["student_loss"]["student"] = "nobody"
    assert "select.student_loss.student" in workplace.build(want=2)["error"]


@pytest.mark.server
def test_as_a_flow(workplace: Workplace, teacher: LoopbackTeacher) -> None:
    """As a run of Prefect's, it scores what the command would; what is wrong is the state's one line."""
    spec(workplace, teacher.url, prompts=6, k=1)
    workplace.spec["dataset"] = "scored"
    built = workplace.build()
    code = "import asyncio, sys; from flows.score import score; asyncio.run(score(*sys.argv[1:], return_state=True))"
    for name in ("t", "nobody"):
        command = [sys.executable, "-c", code, str(workplace.write()), name, str(workplace.lake)]
        done = subprocess.run(
            command, cwd=workplace.folder, env=workplace.environment, capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == 0, done.stderr
    good, bad = (
        run["state"] for run in api(workplace, "/flow_runs/filter", {"sort": "START_TIME_ASC"}) if run["name"] == "score scored"
    )
    assert good["type"] == "COMPLETED"
    assert scored(teacher) == built["kept"]
    assert (bad["type"], "nobody" in bad["message"]) == ("FAILED", True)
