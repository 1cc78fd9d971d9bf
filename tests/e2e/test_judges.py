"""Judges and a reward model over the whole way, from a spec to verdicts in the lake."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import Workplace
from tests.e2e.teacher import LoopbackTeacher
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
