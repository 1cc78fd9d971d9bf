"""Comparison: the contestants' rates over some prompts, their differences to the baseline, and how far chance reaches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.evaluation.bootstrap import Bootstrap, Interval
from tasks.evaluation.grades import GRADES, Grades
from tasks.evaluation.manner import Manner
from tasks.evaluation.passing import Counts, Floats, pass_at
from tasks.measures.style import HABITS

LENGTH = "length"
"""The style measure that isn't a habit: characters of a response."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """How an evaluation is counted."""

    contestants: tuple[str, ...]
    """Their names, in the spec's order."""
    baseline: int
    """The number of the one that the others are compared with."""
    ks: tuple[int, ...]
    """Of pass@k."""
    resamples: int
    """Of the bootstrap."""
    confidence: float
    """Of an interval."""
    seed: int
    """Of the resamples."""


def sums(grades: Grades, contestant: int) -> dict[str, int]:
    """Return how many samples have each grade; they add up to all that were asked for."""
    found = {name: int(grades.counts[name][:, contestant].sum()) for name in GRADES}
    asked = len(grades.ords) * grades.samples
    if sum(found.values()) != asked:
        raise AssertionError(f"{sum(found.values())} grades for {asked} samples")
    return {"asked": asked} | found


def compare(grades: Grades, rows: Counts, design: Design, *, key: str) -> list[dict[str, Any]]:
    """Return for each contestant `pass_at` and, but for the baseline, `difference`, by k as a text, of these rows alone.

    What is open counts as not passed; `at_most` and, of a difference, both bounds say what it could be if none, or all, passed.
    """
    n, contestants = grades.samples, len(design.contestants)
    least = np.stack([pass_at(k, n, grades.counts["passed"][rows]) for k in design.ks], axis=-1)
    most = np.stack([pass_at(k, n, grades.most()[rows]) for k in design.ks], axis=-1)
    above = least.reshape(len(rows), -1)
    drawn = Bootstrap(above, np.ones_like(above), resamples=design.resamples, seed=design.seed, key=key)
    low, high = least.mean(axis=0), most.mean(axis=0)
    column = np.arange(contestants * len(design.ks)).reshape(contestants, len(design.ks))
    found = []
    for contestant, name in enumerate(design.contestants):
        told: dict[str, Any] = {"name": name, "pass_at": {}, "difference": None}
        for place, k in enumerate(design.ks):
            rate = drawn.rate(int(column[contestant, place]), confidence=design.confidence)
            told["pass_at"][str(k)] = _some(rate) | {"at_most": round(float(high[contestant, place]), 6)}
        if contestant != design.baseline:
            told["difference"] = {}
            for place, k in enumerate(design.ks):
                one, other = int(column[contestant, place]), int(column[design.baseline, place])
                gap = drawn.difference(one, other, confidence=design.confidence)
                told["difference"][str(k)] = _difference(gap) | {
                    "at_least": round(float(low[contestant, place] - high[design.baseline, place]), 6),
                    "at_most": round(float(high[contestant, place] - low[design.baseline, place]), 6),
                }
        found.append(told)
    return found


def manners(grades: Grades, manner: Manner, design: Design) -> list[dict[str, Any]]:
    """Return for each contestant its `style` by measure, and `change` against the baseline's, but for the baseline.

    A length's change is relative, a habit's is of shares. Their intervals hold together: each is as much wider as it takes for
    all of one contestant's to be right at once with the design's confidence (Bonferroni).
    """
    names = [LENGTH, *HABITS]
    lengths = _lengths(grades, design)
    above = manner.habits.reshape(len(manner.habits), -1).astype(np.float64)
    below = np.repeat(manner.responses, len(HABITS), axis=1).astype(np.float64)
    habits = Bootstrap(above, below, resamples=design.resamples, seed=design.seed, key="habits")
    together = 1 - (1 - design.confidence) / len(names)
    found = []
    for contestant, name in enumerate(design.contestants):
        told: dict[str, Any] = {"name": name, "style": {}, "change": None, "diversity": manner.diversity[contestant]}
        base = design.baseline
        if contestant != base:
            told["change"] = {LENGTH: _difference(lengths.interval(_by(contestant, base), confidence=together))}
        told["style"][LENGTH] = _finite(lengths.values[contestant])
        for place, habit in enumerate(HABITS):
            one, other = contestant * len(HABITS) + place, base * len(HABITS) + place
            told["style"][habit] = _finite(habits.values[one])
            if contestant != base:
                told["change"][habit] = _difference(habits.difference(one, other, confidence=together))
        found.append(told)
    return found


def _lengths(grades: Grades, design: Design) -> Bootstrap:
    above, below = grades.chars.astype(np.float64), grades.responses.astype(np.float64)
    return Bootstrap(above, below, resamples=design.resamples, seed=design.seed, key="lengths")


def _by(one: int, other: int) -> Any:
    def statistic(columns: Floats) -> Floats:
        below = columns[..., other]
        found: Floats = columns[..., one] / np.where(below > 0, below, np.nan) - 1
        return found

    return statistic


def _some(found: Interval | None) -> dict[str, Any]:
    return found.as_dict() if found is not None else {"value": None, "low": None, "high": None}


def _difference(found: Interval | None) -> dict[str, Any]:
    return _some(found) | {"excludes_zero": found is not None and found.excludes_zero}


def _finite(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None
