"""What a server's response headers say of waiting and of its limits."""

from __future__ import annotations

import email.utils
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_UNITS_S = (86_400.0, 3_600.0, 60.0, 1.0, 1e-3)
_EPOCH_S, _EPOCH_MS = 1e9, 1e11
"""A number from which on it is no duration, but a time since 1970: in seconds, and in milliseconds."""
_LONGEST_S = 100 * 365 * 86_400.0
"""A wait that is longer ends at no date that could be named."""
_FAR_S = 86_400.0
"""A limit that is full again only after a day and more says nothing of how fast to ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One limit as a server states it."""

    limit: float
    """Requests or tokens that a full allowance has."""
    remaining: float
    """What is left of it."""
    reset_s: float
    """Seconds until it is full again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a response says of its account's limits. None: it says nothing."""

    requests: Window | None = None
    """Of requests."""
    tokens: Window | None = None
    """Of tokens, in and out together."""

    def __bool__(self) -> bool:
        return self.requests is not None or self.tokens is not None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a Retry-After header asks for, in either of its forms; None where it says nothing."""
    if "retry-after-ms" in headers:
        value, unit = headers["retry-after-ms"], 1e-3
    else:
        value, unit = headers.get("retry-after", ""), 1.0
    try:
        seconds = float(value) * unit
    except ValueError:
        then = _date(value)
        seconds = math.nan if then is None else then - _now(headers)
    else:
        seconds = _from_now(seconds, headers)
    return min(max(0.0, seconds), _LONGEST_S) if math.isfinite(seconds) else None


def openai_allowance(headers: Mapping[str, str]) -> Allowance | None:
    """Read `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`. A header that makes no sense says nothing."""
    if "x-ratelimit-limit-requests" not in headers and "x-ratelimit-limit-tokens" not in headers:
        return None
    found = Allowance(
        requests=_window(headers, "x-ratelimit-{}-requests"),
        tokens=_window(headers, "x-ratelimit-{}-tokens"),
    )
    return found or None


def anthropic_allowance(headers: Mapping[str, str]) -> Allowance | None:
    """Read `anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}`."""
    # The first is of both together. The other two add up to as much: each alone would slow the sum of both down.
    tokens = _window(headers, "anthropic-ratelimit-tokens-{}") or _sum(
        _window(headers, "anthropic-ratelimit-input-tokens-{}"), _window(headers, "anthropic-ratelimit-output-tokens-{}")
    )
    found = Allowance(requests=_window(headers, "anthropic-ratelimit-requests-{}"), tokens=tokens)
    return found or None


def _sum(first: Window | None, second: Window | None) -> Window | None:
    if first is None or second is None:
        return None
    return Window(
        limit=first.limit + second.limit,
        remaining=first.remaining + second.remaining,
        reset_s=max(first.reset_s, second.reset_s),
    )


def _window(headers: Mapping[str, str], pattern: str) -> Window | None:
    try:
        limit, remaining = (float(headers[pattern.format(name)]) for name in ("limit", "remaining"))
        reset_s = _seconds(headers[pattern.format("reset")], headers)
    except (KeyError, ValueError):
        return None
    if not (math.isfinite(limit) and limit > 0 and math.isfinite(remaining) and reset_s <= _FAR_S):
        return None
    return Window(limit=limit, remaining=max(0.0, min(remaining, limit)), reset_s=reset_s)


def _seconds(value: str, headers: Mapping[str, str]) -> float:
    """Return the seconds that "1.5", "6m0s" and "120ms" say, or until a time. Raise ValueError for anything else."""
    text = value.strip()
    found = _DURATION.fullmatch(text)
    if found is not None and text:
        return sum(float(amount) * unit for amount, unit in zip(found.groups(), _UNITS_S, strict=True) if amount)
    try:
        seconds = _from_now(float(text), headers)
    except ValueError:
        then = datetime.fromisoformat(text)
        seconds = then.timestamp() - _now(headers) if then.tzinfo else math.nan
    if not math.isfinite(seconds):
        raise ValueError(value)
    return max(0.0, seconds)


def _from_now(number: float, headers: Mapping[str, str]) -> float:
    """Return seconds as they are, and a time since 1970 as seconds from now."""
    if number < _EPOCH_S:
        return number
    return (number if number < _EPOCH_MS else number / 1e3) - _now(headers)


def _now(headers: Mapping[str, str]) -> float:
    """Return the time by the server's clock, which its other times are of: ours may be wrong."""
    then = _date(headers.get("date", ""))
    return time.time() if then is None else then


def _date(value: str) -> float | None:
    parsed = email.utils.parsedate_tz(value)
    if parsed is None:
        return None
    try:
        return float(email.utils.mktime_tz(parsed))
    except (ValueError, OverflowError):  # a year that no clock has
        return None
