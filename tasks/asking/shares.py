"""What each of several samples of one response cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields

from tasks.teachers.protocol import Choice, Usage


def divided(whole: Usage, choices: Sequence[Choice]) -> list[Usage]:
    """Return each choice's share of a usage: of the prompt evenly, of the rest by length. The shares sum to the whole."""
    if len(choices) == 1:
        return [whole]
    even = [1] * len(choices)
    thoughts = [len(choice.reasoning or "") for choice in choices]
    lengths = [len(choice.response) + thought for choice, thought in zip(choices, thoughts, strict=True)]
    columns = {
        "tokens_in": shares(whole.tokens_in, even),
        "tokens_out": shares(whole.tokens_out, lengths),
        "tokens_reasoning": shares(whole.tokens_reasoning, thoughts),
        "tokens_cached": shares(whole.tokens_cached, even),
        "tokens_cache_written": shares(whole.tokens_cache_written, even),
    }
    return [Usage(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]


def shares(total: int, weights: Sequence[int]) -> list[int]:
    """Return `total` divided in proportion to `weights`, in whole numbers that sum to it."""
    whole = sum(weights)
    if not whole:
        weights, whole = [1] * len(weights), len(weights)
    parts = []
    given = passed = 0
    for weight in weights:
        passed += weight
        parts.append(total * passed // whole - given)
        given += parts[-1]
    return parts


def total(usages: Iterable[Usage]) -> Usage:
    """Return the sum."""
    listed = list(usages)
    return Usage(**{field.name: sum(getattr(usage, field.name) for usage in listed) for field in fields(Usage)})
