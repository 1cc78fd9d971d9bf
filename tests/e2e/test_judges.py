"""Judges and a reward model over the whole way, from a spec to verdicts in the lake."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.conftest import Workplace
from tests.e2e.teacher import LoopbackTeacher, completion
from tests.verifiers.reward_server import RewardServer

pytestmark = pytest.mark.slow

REASONS = {
    "judge": ("win", "tie", "loss", "the judge ", "the prompt "),
    "step_check": ("step ", "1 steps", "2 steps", "3 steps", "4 steps", "the judge ", "the response "),
}


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_small_model_judges(workplace: Workplace) -> None:
    """The embedded model compares pairs and looks for wrong steps: each sample gets a verdict, or an honest undecided one."""
    # A model of this size wouldn't end its reason before its context does, so its answers are cut.
    smol = {"name": "smol", "provider": "local", "model": "smollm2-135m-instruct", "license": "Apache-2.0"}
    workplace.spec = {
        "dataset": "judged",
        "seed": 7,
        "prompts": [{"source": workplace.prompts(1), "license": "MIT"}],
        "teachers": [smol | {"limits": {"concurrency": 1}, "extra_body": {"max_tokens": 48}}],
        "verify": [
            {"use": "judge", "mode": "pairwise", "teacher": "smol", "rubric": "Is the number right?", "pass_on": "tie"},
            {"use": "step_check", "teacher": "smol"},
        ],
        "select": {"require": "any"},
    }
    building = workplace.start("build", str(workplace.write()), "--lake", str(workplace.lake), "--json")
    printed, told = building.communicate(timeout=500)
    assert building.returncode == 0, told
    summary = json.loads(printed)
    assert summary["kept"] + sum(summary["rejected"].values()) + summary["failed"] == summary["requested"] == 1
    verdicts = workplace.query("SELECT verifier, passed, score, reason FROM verdicts")
    assert sorted(verifier for verifier, *_ in verdicts) == ["judge", "step_check"]
    for verifier, passed, score, reason in verdicts:
        assert (score is None) == (passed is None)
        assert reason.startswith(REASONS[verifier]), reason


def test_a_reward_model_that_goes_away(workplace: Workplace) -> None:
    """A build whose reward model isn't there lands and exits 5, without a verdict; the next one judges, and asks no teacher."""
    with LoopbackTeacher() as teacher, RewardServer(lambda response: 1.0 if "is 1" in response else -1.0) as server:
        workplace.spec = {
            "dataset": "scored",
            "prompts": [{"source": workplace.prompts(4), "license": "MIT"}],
            "teachers": [workplace.teacher(teacher.url)],
            "sampling": {"k": 3, "seed": 0},
            "verify": [{"use": "reward_model", "url": server.url, "model": "rm", "pass_at": 0.5, "attempts": 1, "patience_s": 0}],
            "dedup": {"exact": False},
        }
        server.script = [(503, {}, {})] * 50
        assert "stayed unavailable" in workplace.build(5)["error"]
        sold = teacher.sold
        server.script = []
        summary = workplace.build()
        assert summary["paid"] == 12 - sold
        assert (summary["kept"], summary["rejected"]) == (4, {"verify": 8})
        asked = len(server.asked)
        assert workplace.build()["paid"] == 0
        assert len(server.asked) == asked
    workplace.spec["verify"][0]["api_key_env"] = "NO_SUCH_KEY"
    assert "NO_SUCH_KEY is not set" in workplace.build(2)["error"]


def test_a_judge_that_says_nothing(workplace: Workplace) -> None:
    """An empty answer is paid for once: it is an undecided verdict with its reason, and the next build asks nobody.

    So where the judge answers something else; else it is down, and nothing is decided.
    """
    well = False

    def short(body: dict[str, Any]) -> bool:
        return body["messages"][-1]["content"].startswith("Repeat this number")

    def answer(body: dict[str, Any], sold: int) -> tuple[int, dict[str, Any]]:
        return 200, completion(["7" if well and short(body) else ""])

    with LoopbackTeacher() as teacher, LoopbackTeacher(answer) as judge:
        workplace.spec = {
            "dataset": "judged",
            "prompts": [{"source": workplace.prompts(3), "license": "MIT"}],
            "teachers": [workplace.teacher(teacher.url), workplace.teacher(judge.url, name="j", model="judge", draw=False)],
            "verify": [{"use": "judge", "teacher": "j", "rubric": "Is it right?", "pass_at": 7}],
        }
        assert "teacher 'j' answers with no response" in workplace.build(5)["error"]
        judge.bodies.clear()
        well = True
        summary = workplace.build()
        asked = [body for body in judge.bodies if not short(body)]
        # What fails while nobody is answered, before the first control, doesn't count.
        assert (summary["rejected"], 9 <= len(asked) <= 12) == ({"verify": 3}, True)
        said = "the judge gave no answer (_ attempts, the last: the response is empty)"
        assert workplace.query(f"SELECT count(*) FROM verdicts WHERE passed IS NULL AND reason LIKE '{said}'") == [(3,)]
        again = workplace.build()
        assert (again["paid"], again["cost_usd"], again["rejected"]) == (0, 0, {"verify": 3})
        assert [body for body in judge.bodies if not short(body)] == asked


def test_days_that_are_used(workplace: Workplace) -> None:
    """Where a teacher's day is used, and a judge's, the rest goes on; the build says whose, and a rerun another day goes on."""

    def judging(body: dict[str, Any], sold: int) -> tuple[int, dict[str, Any]]:
        return 200, completion([json.dumps({"reason": "so", "score": 9})])

    with LoopbackTeacher() as teacher, LoopbackTeacher() as other, LoopbackTeacher(judging) as judge:
        workplace.spec = {
            "dataset": "capped",
            "prompts": [{"source": workplace.prompts(6), "license": "MIT"}],
            "teachers": [
                workplace.teacher(teacher.url, limits={"requests_per_day": 4}),
                workplace.teacher(other.url, name="u", model="other"),
                workplace.teacher(judge.url, name="j", model="judge", draw=False, limits={"requests_per_day": 5}),
            ],
            "verify": [{"use": "judge", "teacher": "j", "rubric": "Is it right?", "pass_at": 7}],
            "dedup": {"exact": False},
        }
        error = workplace.build(5)["error"]
        for name, most in (("t", 4), ("j", 5)):
            assert f"teacher '{name}': requests_per_day: the {most} of today are used; a rerun after 00:00 UTC goes on" in error
        assert (teacher.sold, other.sold, judge.sold) == (4, 6, 5)
        workplace.environment["XDG_STATE_HOME"] = str(workplace.folder / "tomorrow")
        workplace.spec["teachers"][2]["limits"] = {}
        summary = workplace.build()
        assert (summary["paid"], summary["kept"]) == (2, 12)
        assert (teacher.sold, other.sold, workplace.count("verdicts")) == (6, 6, 12)
