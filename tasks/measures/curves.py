"""Curves: pass@k of a landed build, by teacher and strategy, from the samples that it has anyway."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from storage.lake import Manifest
from storage.workspace import Workspace
from tasks.diff import ACCEPTED, RESPONDED
from tasks.evaluation.passing import pass_at
from tasks.measures.breakdown import PLAIN

POINTS = 64
"""The largest k of a curve."""
NORMAL = 1.96
"""Standard errors to either side of a mean that make an interval of 95 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point of a curve."""

    k: int
    """Samples of a prompt."""
    value: float
    """The mean chance that at least one of them is accepted."""
    low: float
    """Where its interval of 95 % over prompts begins."""
    high: float
    """Where it ends."""
    prompts: int
    """Of which it is the mean: those that have as many responses as it takes to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """Prompts whose samples went alike."""

    responses: int
    """That each of them has."""
    accepted: int
    """Of these."""
    first: int | None
    """The index of the first that was accepted; None where none was."""
    prompts: int
    """How many."""


def pass_curves(workspace: Workspace, build: Manifest) -> dict[str, Any]:
    """Return `curves`, each with its teacher, strategy (None without any) and points, and whether k was `adaptive`.

    A fixed k is estimated as Chen et al. (2021) do it. Where drawing stops at a success, how many samples there are depends on
    how they went, and that estimate would be too low: there it counts whether one of the first k was accepted, which is known of
    a solved prompt for every k.
    """
    sampling = build.get("spec", {}).get("sampling", {})
    adaptive = bool(sampling.get("adaptive") or sampling.get("cascade"))
    found: defaultdict[tuple[str, str | None], list[Attempts]] = defaultdict(list)
    for teacher, strategy, responses, accepted, first, prompts in workspace.rows(
        f"""
        WITH tried AS (
            SELECT teacher, strategy, count(*) FILTER ({RESPONDED}) AS responses, count(*) FILTER ({ACCEPTED}) AS accepted,
                min(sample_index) FILTER ({ACCEPTED}) AS first
            FROM outcomes GROUP BY prompt_id, teacher, strategy
        )
        SELECT teacher, strategy, responses, accepted, first, count(*) FROM tried WHERE responses > 0 GROUP BY ALL ORDER BY ALL
        """
    ):
        each = Attempts(responses=responses, accepted=accepted, first=first, prompts=prompts)
        found[teacher, strategy].append(each)
    named = any(strategy for _, strategy in found)
    curves = [
        {
            "teacher": teacher,
            "strategy": (strategy or PLAIN) if named else None,
            "points": [asdict(point) for point in points(attempts, adaptive=adaptive)],
        }
        for (teacher, strategy), attempts in found.items()
    ]
    return {"adaptive": adaptive, "curves": curves}


def points(attempts: Sequence[Attempts], *, adaptive: bool) -> list[Point]:
    """Return a curve's points, as far as there are responses."""
    most = max(each.responses for each in attempts)
    found = (_point(k, attempts, adaptive=adaptive) for k in range(1, min(most, POINTS) + 1))
    return [point for point in found if point is not None]


def _point(k: int, attempts: Sequence[Attempts], *, adaptive: bool) -> Point | None:
    chances: dict[float, int] = {}
    for each in attempts:
        if (chance := _first_of(k, each) if adaptive else _any_of(k, each)) is not None:
            chances[chance] = chances.get(chance, 0) + each.prompts
    return _mean(k, chances) if chances else None


def _any_of(k: int, each: Attempts) -> float | None:
    if each.responses < k:
        return None
    return float(pass_at(k, each.responses, np.array([each.accepted], np.int64))[0])


def _first_of(k: int, each: Attempts) -> float | None:
    if each.first is not None and each.first < k:
        return 1.0
    return 0.0 if each.responses >= k else None


def _mean(k: int, chances: Mapping[float, int]) -> Point:
    prompts = sum(chances.values())
    mean = sum(chance * number for chance, number in chances.items()) / prompts
    spread = sum((chance - mean) ** 2 * number for chance, number in chances.items()) / max(prompts - 1, 1)
    half = NORMAL * math.sqrt(spread / prompts)
    low, high = max(0.0, mean - half), min(1.0, mean + half)
    return Point(k=k, value=round(mean, 6), low=round(low, 6), high=round(high, 6), prompts=prompts)
