"""What each of several samples of one response cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields

from tasks.teachers.protocol import Choice, Usage


def divided(whole: Usage, choices: Sequence[Choice]) -> list[Usage]:
    """Return each choice's share of a usage, which sum to the whole.

    Of the prompt each has as much; of the reasoning as much as its own is long, or where it is hidden as the others; of the rest
    as much as its response is long.
    """
    if len(choices) == 1:
        return [whole]
    even = [1] * len(choices)
    cached, written, thought = whole.tokens_cached, whole.tokens_cache_written, whole.tokens_reasoning
    # What no other part has is divided too, rather than the sum: no share has more of a part than of the whole.
    parts = zip(
        shares(whole.tokens_in - cached - written, even),
        shares(cached, even),
        shares(written, even),
        shares(whole.tokens_out - thought, [len(choice.response) for choice in choices]),
        shares(thought, [len(choice.reasoning or "") for choice in choices]),
        strict=True,
    )
    return [
        Usage(
            tokens_in=fresh + cached + written,
            tokens_out=said + thought,
            tokens_reasoning=thought,
            tokens_cached=cached,
            tokens_cache_written=written,
        )
        for fresh, cached, written, said, thought in parts
    ]


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
