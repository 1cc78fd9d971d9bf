"""What a plan says, and how it reckons judges."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from flows.loading import load_spec
from flows.plan import Plan, _judge, plan
from flows.probe import Probed
from flows.spec import Spec
from storage.lake import Lake
from storage.workspace import Workspace
from tasks.verify import Named
from verifiers.judge import Judge

PLAN = Plan(
    dataset="d",
    prompts=10,
    folded=0,
    barred={},
    slots=10,
    stored=0,
    missing=10,
    expected=10,
    cost_usd=4.0,
    least_usd=1.0,
    most_usd=9.0,
    known=True,
    budget_usd=6.0,
    spent_usd=1.5,
    licenses={},
    teachers=[],
    judges=[],
    first=[],
)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, ""),
        ({"spent_usd": 3.0}, "about $1.0000 more than is left of it"),
        ({"spent_usd": 9.0}, "about $4.0000 more than is left of it"),
        ({"spent_usd": 9.0, "cost_usd": 0.0}, ""),
        ({"known": False, "cost_usd": 8.0}, ""),
        ({"known": False, "least_usd": 5.0}, "at least $0.5000 more than is left of it"),
        ({"known": False, "cost_usd": None, "least_usd": None}, ""),
    ],
    ids=["enough is left", "about", "nothing is left", "nothing is wanted", "nobody knows", "at least", "no price"],
)
def test_more_than_the_budget(given: dict[str, Any], said: str) -> None:
    """Where what is expected costs more than is left of the budget, one more line says so."""
    lines = replace(PLAN, **given).lines()
    behind = lines[[name for name, _ in lines].index("budget") + 1 :]
    assert [text.split(" is needed")[0] for _, text in behind] == ([said] if said else [])


@pytest.mark.parametrize(
    ("least", "most", "said"),
    [
        (0.0, 0.0, ["$0.0000"]),
        (0.0, None, ["from $0.0000 to nobody knows how much", "a range"]),
        (None, None, ["price unknown", "give each teacher a `price: {input: …"]),
    ],
    ids=["the same", "no bound", "no price"],
)
def test_a_range(least: float | None, most: float | None, said: list[str]) -> None:
    """A probe is offered where it would tell more: not where the least is the most, and not without a price."""
    lines = replace(PLAN, known=False, least_usd=least, most_usd=most).lines()
    first = [name for name, _ in lines].index("cost")
    assert [text.split(",")[0] for name, text in lines[first:] if name in {"cost", ""}] == said


def test_samples_that_several_prompts_share() -> None:
    """What is wanted is stored, missing, or the same as what is missing for another prompt."""
    lines = dict(replace(PLAN, slots=10, stored=3, missing=5, expected=5).lines())
    assert lines["samples"] == "10 wanted: 3 stored, 5 missing, 2 shared with these by prompts that say the same"


def test_no_budget() -> None:
    """Without a budget there is no line about it."""
    assert "budget" not in dict(replace(PLAN, budget_usd=None).lines())


@dataclass(frozen=True)
class FakeWorkspace:
    """Has verdicts that cost a cent each, and one that cost four; three samples have none."""

    def rows(self, query: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
        """Answer the judge's two questions."""
        assert parameters == ["f"]
        return [(10, 0.013, 0.04)] if "avg" in query else [(3,)]


@pytest.mark.parametrize(
    ("usd", "expected", "most"),
    [(1, 13 * 0.013, 2 * 13 * 0.04), (0, 0, 0)],
    ids=["at a price", "for nothing"],
)
def test_a_judge_may_be_asked_twice(usd: float, expected: float, most: float) -> None:
    """A judge's bound is that each verdict takes two answers, and that each costs what the dearest did. A free one costs nothing."""
    price = {"input": usd, "output": usd}
    spec = Spec.model_validate(
        {
            "dataset": "d",
            "prompts": [{"source": "p.jsonl", "license": "MIT"}],
            "teachers": [{"name": "j", "provider": "openai", "model": "m", "license": "MIT", "price": price}],
        }
    )
    named = Named(name="judge", version="1", fingerprint="f", verifier=Judge(teacher="j", rubric="r", pass_at=5))
    one = SimpleNamespace(expected=PLAN.expected, missing=PLAN.missing, coming=0, coming_most=0)
    found = _judge(spec, named, [cast("Any", one)], cast("Workspace", FakeWorkspace()))
    assert found.cost_usd == pytest.approx(expected)
    assert found.most_usd == pytest.approx(most)


def test_a_probe_that_only_judged() -> None:
    """A probe says what was judged, since that has its price."""
    ((_, said),) = Probed(prompts=20, paid=0, judged=40, cost_usd=0.22, tokens_in=9, tokens_out=9).lines()
    assert said.startswith("20 prompts: 0 samples bought and 40 stored ones judged for $0.2200")


async def test_a_key_that_is_not_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan needs no key, and names the variables that a build will look for in vain; what is in the others isn't told."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("FULL_KEY", "sk-canary")
    monkeypatch.setenv("EMPTY_KEY", "")
    (tmp_path / "p.jsonl").write_text(json.dumps({"id": "p", "prompt": "Why?"}) + "\n")
    teacher = {"provider": "openai", "model": "m", "license": "MIT"}
    home, there = teacher | {"name": "home"}, teacher | {"name": "there", "model": "n", "base_url": "http://server/v1"}
    reward = {"url": "http://server/v1", "api": "classify", "model": "r", "scale": "sigmoid", "pass_at": 0.5}
    replicas = [{"api_key_env": name} for name in ("FULL_KEY", "EMPTY_KEY", "MISSING_KEY", "MISSING_KEY")]
    spec = {
        "dataset": "d",
        "prompts": [{"source": "p.jsonl", "license": "MIT"}],
        "licenses": {"acknowledge": [{"teacher": "home", "who": "we", "why": "a test", "agreement": "ours"}]},
        "teachers": [home, there, there | {"name": "several", "model": "o", "replicas": replicas}],
        "verify": [
            {"use": "all", "of": [{"use": "length", "min_chars": 1}, {"use": "reward_model", "api_key_env": "RM_KEY"} | reward]}
        ],
    }
    (tmp_path / "spec.yaml").write_text(json.dumps(spec))
    said: list[str] = []
    await plan(load_spec(tmp_path / "spec.yaml"), tmp_path / "spec.yaml", Lake(tmp_path / "lake"), said.append)
    assert [line for line in said if "variable" in line] == [
        "teacher 'home': the environment variable OPENAI_API_KEY is not set, or empty; a build needs it",
        "teacher 'several': the environment variable EMPTY_KEY is not set, or empty; a build needs it",
        "teacher 'several': the environment variable MISSING_KEY is not set, or empty; a build needs it",
        "verify[0] (all): the environment variable RM_KEY is not set, or empty; a build needs it",
    ]
    assert "canary" not in " ".join(said)
