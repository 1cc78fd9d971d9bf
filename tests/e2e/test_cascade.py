"""A cascade over real HTTP: what it asks, what it costs, what a plan foretells of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.conftest import Workplace
from tests.e2e.teacher import LoopbackTeacher, completion

pytestmark = pytest.mark.slow


def laddered(body: dict, sold: int) -> tuple[int, dict]:
    """Answer as a weak model that knows every third case, as a strong one that knows all, or as a judge that likes anything.

    No two answers are alike: of those that are, a judge is asked once.
    """
    if body["model"] == "judge":
        return 200, completion(['{"score": 9, "reason": "fine"}'])
    case = int(body["messages"][-1]["content"].split("case ")[1].rstrip("?"))
    right = body["model"] == "strong" or case % 3 == 0
    return 200, completion([f"Draft {sold}. The answer is {case % 3 if right else 99}."])


def cascade(workplace: Workplace, url: str, *, prompts: int = 30, **teacher: object) -> None:
    """Give the workplace a spec with a cascade of a cheap and a strong teacher."""
    workplace.spec = {
        "dataset": "sums",
        "prompts": [{"source": workplace.prompts(prompts), "license": "MIT"}],
        "teachers": [
            workplace.teacher(url, name="strong", model="strong", price={"input": 10.0, "output": 20.0}, **teacher),
            workplace.teacher(url, name="cheap", model="cheap", **teacher),
        ],
        "sampling": {"k": 2, "max_tokens": 64, "cascade": ["cheap", "strong"]},
        "verify": [{"use": "exact_match", "kind": "number"}],
        "dedup": {"exact": False},
    }


def judged(workplace: Workplace, url: str, **teacher: object) -> None:
    """Let a judge who is paid have a word too."""
    judge = workplace.teacher(url, name="j", model="judge", draw=False, price={"input": 5.0, "output": 5.0}, **teacher)
    workplace.spec["teachers"].append(judge)
    workplace.spec["verify"].append({"use": "judge", "teacher": "j", "rubric": "?", "pass_at": 7})


def test_a_cascade(workplace: Workplace) -> None:
    """The strong teacher gets only what the cheap one didn't solve; a rerun buys nothing and reaches the very same slots."""
    with LoopbackTeacher(laddered) as teacher:
        cascade(workplace, teacher.url)
        first = workplace.build()
        assert (first["paid"], first["requested"], first["kept"], teacher.sold) == (100, 100, 60, 100)
        assert sum(body["model"] == "strong" for body in teacher.bodies) == 40
        again = workplace.build()
        assert (again["paid"], again["requested"], again["reused"], again["kept"], teacher.sold) == (0, 100, 100, 60, 100)
    counted = {name: (each["requested"], each["paid"], each["pass_rate"]) for name, each in first["by_teacher"].items()}
    assert counted == {"strong": (40, 40, 1.0), "cheap": (60, 60, pytest.approx(1 / 3))}
    assert sum(each["cost_usd"] for each in first["by_teacher"].values()) == pytest.approx(first["cost_usd"])
    assert (first["saved"]["samples"], first["saved"]) == (20, again["saved"])
    assert first["saved"]["usd"] == pytest.approx((20 * 220 - 60 * 22) / 1e6)
    same = "SELECT count(*) FROM (SELECT DISTINCT prompt_id, teacher, sample_index FROM outcomes)"
    assert workplace.query(same) == [(100,)]


def test_a_budget_with_a_cascade_and_a_judge(workplace: Workplace) -> None:
    """What a judge and both teachers are paid counts against one budget, which is exceeded by what was in flight and no more."""
    with LoopbackTeacher(laddered) as teacher:
        cascade(workplace, teacher.url, limits={"concurrency": 2})
        judged(workplace, teacher.url, limits={"concurrency": 2})
        prices = {"cheap": 22e-6, "strong": 220e-6, "judge": 80e-6}
        limit = 5e-3
        workplace.spec["budget"] = {"usd": limit}
        for _ in range(2):
            assert "budget" in workplace.build(4)["error"]
            spent = sum(prices[body["model"]] for body in teacher.bodies)
            assert limit <= spent <= limit + 2 * sum(prices.values())
        sold = teacher.sold
        workplace.spec["budget"] = {"usd": 1.0}
        whole = workplace.build()
        assert (whole["requested"], teacher.sold) == (100, 200)
        assert whole["by_teacher"]["j"]["cost_usd"] > 0
        assert sum(each["cost_usd"] for each in whole["by_teacher"].values()) == pytest.approx(
            sum(prices[body["model"]] for body in teacher.bodies[sold:])
        )


def test_spend_by_teacher(workplace: Workplace) -> None:
    """`status` says what each teacher's samples and the judge cost over all runs, and `show` what a sample cost."""
    with LoopbackTeacher(laddered) as teacher:
        cascade(workplace, teacher.url)
        judged(workplace, teacher.url)
        for _ in range(2):
            workplace.build()
    for arguments in (["status"], ["status", "sums"]):
        status = json.loads(workplace.run(*arguments, "--lake", str(workplace.lake), "--json").stdout)
        assert [(each["kind"], each["name"], each["number"], each["cost_usd"]) for each in status["spend"]] == [
            ("teacher", "strong", 40, pytest.approx(40 * 220e-6)),
            ("teacher", "cheap", 60, pytest.approx(60 * 22e-6)),
            ("judge", "judge", 100, pytest.approx(100 * 80e-6)),
        ]
    said = workplace.run("status", "--lake", str(workplace.lake)).stdout
    assert "teacher strong (strong): 40 samples, $0.0088, 400 tokens in, 240 out" in said
    assert "judge judge: 100 verdicts, $0.0080" in said
    assert "· cheap · sample 0 · $0.000022 ──" in workplace.run("show", "sums", "--lake", str(workplace.lake)).stdout


def test_what_was_paid_in_vain(workplace: Workplace) -> None:
    """What `status` says was spent is the builds' cost: with what teachers were paid for nothing of use."""
    prices = {"cheap": 22e-6, "strong": 220e-6, "judge": 80e-6}

    def reply(body: dict[str, Any], sold: int) -> tuple[int, dict[str, Any]]:
        status, document = laddered(body, sold)
        if body["model"] != "judge" and "case 3?" in body["messages"][-1]["content"]:
            document["choices"][0]["message"]["content"] = ""
        return status, document

    with LoopbackTeacher(reply) as teacher:
        cascade(workplace, teacher.url)
        judged(workplace, teacher.url)
        workplace.spec["teachers"] = [each | {"retry": {"attempts": 1}} for each in workplace.spec["teachers"]]
        cost = workplace.build()["cost_usd"]
        assert cost == pytest.approx(sum(prices[body["model"]] for body in teacher.bodies))
    for arguments in (["status"], ["status", "sums"]):
        spend = json.loads(workplace.run(*arguments, "--lake", str(workplace.lake), "--json").stdout)["spend"]
        vain = {each["name"]: each["cost_usd"] for each in spend if each["kind"] == "in vain"}
        assert vain == {"cheap": pytest.approx(2 * prices["cheap"]), "strong": pytest.approx(2 * prices["strong"])}
        assert sum(each["cost_usd"] for each in spend) == pytest.approx(cost)
    said = workplace.run("status", "--lake", str(workplace.lake)).stdout
    assert "in vain strong: 2 requests, $0.0004, 20 tokens in, 12 out" in said


def test_plan_foretells_a_build(workplace: Workplace) -> None:
    """After `plan --probe`, what a build of a judged cascade then pays is within a fifth of the plan."""
    with LoopbackTeacher(laddered) as teacher:
        cascade(workplace, teacher.url, prompts=120)
        judged(workplace, teacher.url)
        done = workplace.run("plan", str(workplace.write()), "--lake", str(workplace.lake), "--probe", "40", "--json")
        assert done.returncode == 0, done.stderr
        plan = json.loads(done.stdout)
        assert (plan["probe"]["prompts"], 2 * plan["probe"]["paid"]) == (40, teacher.sold)
        built = workplace.build()
        assert built["paid"] == 400 - plan["probe"]["paid"]
        assert teacher.sold == 800
    assert plan["cost_usd"] == pytest.approx(built["cost_usd"], rel=0.2)
    assert plan["least_usd"] < built["cost_usd"] <= plan["most_usd"]


def test_a_second_judgement_is_billed_once(workplace: Workplace) -> None:
    """What judging stored samples anew costs counts once against the budget of the run that does it."""
    with LoopbackTeacher(laddered) as teacher:
        cascade(workplace, teacher.url, prompts=10)
        del workplace.spec["teachers"][0], workplace.spec["sampling"]["cascade"], workplace.spec["verify"][0]
        workplace.spec["sampling"]["k"] = 1
        judged(workplace, teacher.url)
        workplace.build()
        workplace.spec["verify"][0]["rubric"] = "another"
        workplace.spec["prompts"][0]["source"] = workplace.prompts(15)
        # Ten samples judged twice and five judged once are 25 verdicts and 15 samples; ten verdicts more would be too many.
        workplace.spec["budget"] = {"usd": 26 * 80e-6 + 15 * 22e-6}
        assert workplace.build()["paid"] == 5
        assert len(teacher.bodies) == 25 + 15
