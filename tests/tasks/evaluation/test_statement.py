"""What is said of style and of skill."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.evaluation.statement import statements
from tasks.measures.style import HABITS

STILL = {"value": 0.0, "low": -0.01, "high": 0.01, "excludes_zero": False}


def moved(value: float, width: float = 0.02) -> dict[str, Any]:
    """Return a change with an interval that excludes 0."""
    return {"value": value, "low": value - width, "high": value + width, "excludes_zero": abs(value) > width}


def said(skill: dict[str, Any], **changes: dict[str, Any]) -> str:
    """Return the sentence on a student."""
    base = {"name": "base", "difference": None}
    student = {"name": "student", "difference": {"1": {"at_least": skill["value"], "at_most": skill["value"]} | skill}}
    change = {name: changes.get(name, STILL) for name in ("length", *HABITS)}
    manners = [{"name": "base", "change": None}, {"name": "student", "change": change}]
    ((name, sentence),) = statements([base, student], manners, baseline="base")
    assert name == "student"
    return sentence


def test_style_without_skill():
    """Style that moved while skill did not is said plainly, with both intervals."""
    skill = {"value": 0.004, "low": -0.012, "high": 0.02, "excludes_zero": False}
    found = said(skill, length=moved(-0.3), opening=moved(0.4))
    assert found == (
        "student against base: style moved (length -30% [-32%, -28%], opening +40.0 points [+38.0, +42.0]), skill did not "
        "(pass@1 +0.4 points [-1.2, +2.0]): its answers have another manner, and are not seen to be right more or less often"
    )


def test_what_is_open():
    """Where samples that are open could turn a difference round, the sentence says so, and where they couldn't it doesn't."""
    assert "could" not in said(moved(0.2) | {"at_least": 0.1, "at_most": 0.3})
    assert "skill fell (pass@1 -20.0 points [-22.0, -18.0]; undecided and missing samples could make it -20.0 to +5.0)" in said(
        moved(-0.2) | {"at_least": -0.2, "at_most": 0.05}
    )


@pytest.mark.parametrize(
    ("skill", "changes", "begins"),
    [
        (moved(0.2), {}, "student against base: skill rose (pass@1 +20.0 points [+18.0, +22.0]); style is not seen to move"),
        (moved(-0.2), {"list": moved(0.5)}, "student against base: skill fell (pass@1 -20.0 points"),
        (STILL, {}, "student against base: neither skill (pass@1 +0.0 points [-1.0, +1.0]) nor style is seen to move"),
    ],
)
def test_the_others(skill: dict[str, Any], changes: dict[str, Any], begins: str):
    """Every other case has its sentence too."""
    assert said(skill, **changes).startswith(begins)


def test_what_is_small():
    """A change that is certain and tiny is no move: of many prompts the least is certain."""
    assert "nor style is seen to move" in said(STILL, length=moved(0.02, 0.001), hedge=moved(0.01, 0.001))


def test_many_changes():
    """The largest are listed, length first, and the rest are counted."""
    changes = {name: moved(0.1 + place / 100) for place, name in enumerate(list(HABITS)[:6])}
    found = said(STILL, length=moved(0.06), **changes)
    assert "length +6%" in found
    assert found.index("length") < found.index(list(HABITS)[5].replace("_", " "))
    assert "and 3 more" in found
