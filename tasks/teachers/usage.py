"""What a response is billed for, as its server counts it. An odd count is no reason to throw away an answer that was paid for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from tasks.teachers.protocol import Usage


def section(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a part that has names of its own, or nothing where it is none."""
    found = document.get(name)
    return cast("Mapping[str, Any]", found) if isinstance(found, dict) else {}


def count(section: Mapping[str, Any], name: str) -> int:
    """Return a number of tokens, also where it is a float or a text of digits; 0 where it is none."""
    try:
        return max(0, int(float(section.get(name) or 0)))
    except (TypeError, ValueError, OverflowError):
        return 0


def billed(
    *,
    tokens_in: int,
    tokens_out: int,
    tokens_total: int = 0,
    tokens_reasoning: int = 0,
    tokens_cached: int = 0,
    tokens_cache_written: int = 0,
) -> Usage:
    """Return a usage in which parts are never more than the whole: else a cost could be negative.

    Some servers count reasoning beside the completion, not in it: xAI's and Gemini's totals tell.
    """
    tokens_out = max(tokens_out, tokens_total - tokens_in)
    if tokens_reasoning > tokens_out:
        tokens_out += tokens_reasoning
    tokens_cached = min(tokens_cached, tokens_in)
    return Usage(
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        tokens_reasoning=tokens_reasoning,
        tokens_cached=tokens_cached,
        tokens_cache_written=min(tokens_cache_written, tokens_in - tokens_cached),
    )
