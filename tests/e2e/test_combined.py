"""Verifiers that consist of others, in real builds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.conftest import Workplace
from tests.e2e.teacher import LoopbackTeacher, completion, counting

pytestmark = pytest.mark.slow

JUDGED = 16 * 5 / 1e6
"""USD for one verdict."""


def judged(workplace: Workplace, url: str, *parts: dict[str, Any], use: str = "cascade", prompts: int = 6, **more: Any) -> None:
    """Give the workplace a spec whose cheap parts go before a judge who is paid."""
    workplace.spec = {
        "dataset": "sums",
        "prompts": [{"source": workplace.prompts(prompts), "license": "MIT"}],
        "teachers": [
            workplace.teacher(url),
            workplace.teacher(url, name="j", model="judge", draw=False, price={"input": 5.0, "output": 5.0}),
        ],
        "sampling": {"k": 3, "seed": 0, "max_tokens": 64},
        "verify": [{"use": use, "of": [*parts, {"use": "judge", "teacher": "j", "rubric": "?", "pass_at": 7}], **more}],
        "dedup": {"exact": False},
    }


def liking(body: dict[str, Any], sold: int) -> tuple[int, dict[str, Any]]:
    """Count as a teacher; as a judge, like what is 1 better than all else."""
    if body["model"] != "judge":
        return counting(body, sold)
    good = "The answer is 1." in body["messages"][-1]["content"]
    return 200, completion([json.dumps({"score": 9 if good else 2, "reason": "read"})])


def asked(teacher: LoopbackTeacher) -> int:
    """Return how often the judge was asked."""
    return sum(body["model"] == "judge" for body in teacher.bodies)


def test_a_judge_at_the_end_of_a_cascade(workplace: Workplace) -> None:
    """It is asked and paid for what the cheap part passed alone, its bill is in the lake, and a rerun asks nobody."""
    with LoopbackTeacher(liking) as teacher:
        judged(workplace, teacher.url, {"use": "exact_match", "kind": "number"})
        summary = workplace.build()
        assert (summary["paid"], summary["kept"], asked(teacher)) == (18, 2, 6)
        assert summary["by_teacher"]["j"]["cost_usd"] == pytest.approx(6 * JUDGED)
        again = workplace.build()
        assert (again["paid"], again["kept"], again["cost_usd"], asked(teacher)) == (0, 2, 0, 6)
        plan = json.loads(workplace.run("plan", str(workplace.write()), "--lake", str(workplace.lake), "--json").stdout)
    assert plan["spent_usd"] == pytest.approx(18 * 22e-6 + 6 * JUDGED)
    assert [(judge["verifier"], judge["teacher"], judge["cost_usd"]) for judge in plan["judges"]] == [("cascade", "j", 0)]
    reasons = "SELECT verifier, passed, regexp_extract(reason, '^\\w+: (\\d of \\d+)?'), sum(cost_usd) FROM verdicts GROUP BY ALL ORDER BY ALL"
    assert workplace.query(reasons) == [
        ("cascade", False, "exact_match: ", 0),
        ("cascade", False, "judge: 2 of 10", pytest.approx(4 * JUDGED)),
        ("cascade", True, "judge: 9 of 10", pytest.approx(2 * JUDGED)),
    ]


def test_deeply_nested(workplace: Workplace) -> None:
    """A judge within a combinator within another is asked and billed as one at the top."""
    with LoopbackTeacher(liking) as teacher:
        judged(workplace, teacher.url, {"use": "exact_match", "kind": "number"})
        cascade = workplace.spec["verify"][0]
        weighted = {"use": "weighted", "of": [{"use": "exact_match"}, cascade], "weights": [1, 9], "pass_at": 0.8}
        workplace.spec["verify"] = [{"use": "any", "of": [{"use": "all", "of": [weighted]}]}]
        summary = workplace.build()
        assert (summary["kept"], asked(teacher)) == (2, 6)
        assert summary["by_teacher"]["j"]["cost_usd"] == pytest.approx(6 * JUDGED)


def test_a_judge_that_can_not_be_asked(workplace: Workplace) -> None:
    """There is no verdict then, and the next build asks again."""
    down = True

    def failing(body: dict[str, Any], sold: int) -> tuple[int, dict[str, Any]]:
        if body["model"] == "judge" and down:
            return 500, {"error": {"message": "down"}}
        return liking(body, sold)

    with LoopbackTeacher(failing) as teacher:
        judged(workplace, teacher.url, {"use": "exact_match", "kind": "number"}, prompts=2)
        workplace.build(5)
        down = False
        summary = workplace.build()
        assert (summary["kept"], workplace.count("samples")) == (1, 6)
        assert summary["rejected"] == {"verify": 5}


def test_a_rehearsal_asks_no_judge(workplace: Workplace) -> None:
    """A combinator with a judge in it is left out, as a judge by itself is."""
    with LoopbackTeacher(liking) as teacher:
        judged(workplace, teacher.url, {"use": "exact_match", "kind": "number"})
        workplace.spec["verify"].append({"use": "exact_match", "kind": "number"})
        done = workplace.run("doctor", "--load", str(workplace.write()))
        assert done.returncode == 0, done.stderr
        assert not teacher.bodies


def test_a_function_in_the_project(workplace: Workplace) -> None:
    """A module beside the spec judges in the folder in which the command runs; a changed one judges anew, and one that is gone is exit 2."""
    module = workplace.folder / "my_module.py"
    module.write_text("def judge(prompt, sample, right):\n    return f'answer is {right}' in sample.response\n")
    with LoopbackTeacher(liking) as teacher:
        judged(workplace, teacher.url, prompts=3)
        workplace.spec["verify"] = [
            {"use": "all", "of": [{"use": "python", "call": "my_module:judge", "options": {"right": "1"}}]}
        ]
        assert workplace.build()["kept"] == 3
        module.write_text("def judge(prompt, sample, right):\n    return right in '0123456789'\n")
        summary = workplace.build()
        assert (summary["paid"], summary["kept"]) == (0, 9)
        module.unlink()
        assert "verify[0].of[0]: call: there is no module 'my_module'" in workplace.build(2)["error"]
        assert teacher.sold == 9


def test_what_the_machine_lacks(workplace: Workplace) -> None:
    """A part that needs what isn't installed is one line and exit 2, before anything is asked for."""
    hidden = workplace.folder / "hidden" / "py3langid"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ImportError('not installed')\n")
    workplace.environment["PYTHONPATH"] = str(hidden.parent)
    with LoopbackTeacher(liking) as teacher:
        judged(workplace, teacher.url, {"use": "language", "expect": ["en"]})
        assert "pip install 'stillhouse[language]'" in workplace.build(2)["error"]
        assert teacher.sold == 0
