"""Statements: what an evaluation says of style and of skill, in words.

A student learns how a teacher writes sooner than how it solves (Gudibande et al. 2023, "The False Promise of Imitating
Proprietary LLMs"). So it is said plainly where answers have become like somebody's and not better.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tasks.evaluation.comparison import LENGTH

ENOUGH = 30
"""Prompts from which on an interval is more than a guess."""
LONGER = 0.05
"""A change of length that is spoken of, relative."""
HABIT = 0.03
"""A change of a habit's share that is spoken of."""
OPEN = 0.01
"""Share of samples of which it isn't known whether they passed, from which on that is said."""
SHOWN = 4
"""Changes of style that a sentence lists."""


def statements(
    compared: Sequence[Mapping[str, Any]], manners: Sequence[Mapping[str, Any]], *, baseline: str
) -> Iterator[tuple[str, str]]:
    """Yield for each contestant but the baseline its name and what is said of it."""
    for one, other in zip(compared, manners, strict=True):
        if one["difference"] is not None:
            yield one["name"], f"{one['name']} against {baseline}: {_sentence(one['difference']['1'], other['change'])}"


def _sentence(skill: Mapping[str, Any], change: Mapping[str, Mapping[str, Any]]) -> str:
    moved = sorted(
        (name for name, each in change.items() if each["excludes_zero"] and abs(each["value"]) >= _least(name)),
        key=lambda name: (name != LENGTH, -abs(change[name]["value"])),
    )
    shown = ", ".join(_moved(name, change[name]) for name in moved[:SHOWN])
    more = f" and {len(moved) - SHOWN} more" if len(moved) > SHOWN else ""
    solved = f"pass@1 {points(skill)}"
    if skill["excludes_zero"]:
        direction = "rose" if skill["value"] > 0 else "fell"
        return f"skill {direction} ({solved}{_undone(skill)})" + (
            f", and style moved ({shown}{more})" if moved else "; style is not seen to move"
        )
    if moved:
        return (
            f"style moved ({shown}{more}), skill did not ({solved}): its answers have another manner, and are not seen to be "
            "right more or less often"
        )
    return f"neither skill ({solved}) nor style is seen to move"


def _undone(skill: Mapping[str, Any]) -> str:
    """Return a warning where samples that nobody could judge, or that never came, could make a difference go the other way."""
    if skill["at_least"] > 0 or skill["at_most"] < 0:
        return ""
    return f"; undecided and missing samples could make it {100 * skill['at_least']:+.1f} to {100 * skill['at_most']:+.1f}"


def _least(name: str) -> float:
    return LONGER if name == LENGTH else HABIT


def _moved(name: str, change: Mapping[str, Any]) -> str:
    if name == LENGTH:
        return f"length {change['value']:+.0%} [{change['low']:+.0%}, {change['high']:+.0%}]"
    return f"{name.replace('_', ' ')} {points(change)}"


def points(change: Mapping[str, Any]) -> str:
    """Return a difference of shares with its interval, in percentage points."""
    if change["value"] is None:
        return "unknown"
    value, low, high = (100 * change[name] for name in ("value", "low", "high"))
    return f"{value:+.1f} points [{low:+.1f}, {high:+.1f}]"
