"""What an evaluation found, as tables for a terminal."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from flows import evaluated
from flows.commands import evaluate


def rate(value: float, most: float | None = None) -> dict[str, Any]:
    """Return a rate."""
    return {"value": value, "low": value - 0.1, "high": value + 0.1, "at_most": value if most is None else most}


def gap(value: float) -> dict[str, Any]:
    """Return a difference."""
    return {"value": value, "low": value - 0.1, "high": value + 0.1, "excludes_zero": abs(value) > 0.1}


def found(most: float | None = None) -> dict[str, Any]:
    """Return what three contestants did, by one tag."""
    contestants = [
        {"name": "base", "pass_at": {"1": rate(0.3), "8": rate(0.6)}, "difference": None},
        {
            "name": "student-of-1b",
            "pass_at": {"1": rate(0.35, most), "8": rate(0.7)},
            "difference": {"1": gap(0.05), "8": gap(-0.2)},
        },
        {"name": "teacher", "pass_at": {"1": rate(0.8), "8": rate(0.9)}, "difference": {"1": gap(0.5), "8": gap(0.3)}},
    ]
    tagged = [{"tag": "topic", "value": "geometry", "prompts": 1200, "contestants": contestants}]
    return {"ks": [1, 8], "baseline": "base", "contestants": contestants, "by_tag": tagged}


def test_a_row_for_each(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """In 80 columns each contestant has its whole name, rate, interval and difference, by tag too."""
    monkeypatch.setattr(evaluate, "out", Console(soft_wrap=True, highlight=False, width=80))
    all_ = found(most=0.45)
    evaluate._show(evaluated.rates(all_, all_["contestants"]))
    evaluate._show(evaluated.by_tag(all_))
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["student-of-1b", "1", "35.0%", "[25.0%,", "45.0%]", "45.0%", "+5.0", "[-5.0,", "+15.0]"] in shown
    assert ["student-of-1b", "8", "70.0%", "[60.0%,", "80.0%]", "-20.0", "[-30.0,", "-10.0]", "*"] in shown
    assert not any("…" in word for line in shown for word in line)


def test_columns_of_nothing():
    """Where nothing is open, no column says how much could have passed; alone, nobody is compared."""
    assert "at most" in evaluated.rates(found(most=0.45), found(most=0.45)["contestants"])[0]
    assert evaluated.rates(found(), found()["contestants"])[0] == ["contestant", "k", "pass@k", "points against base"]
    assert evaluated.rates(found(), found()["contestants"][:1])[0] == ["contestant", "k", "pass@k"]
