"""What a server's response headers say of waiting and of its limits."""

from __future__ import annotations

import email.utils
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_UNITS_S = (86_400.0, 3_600.0, 60.0, 1.0, 1e-3)


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
    """Of tokens: in and out together, or the tighter of the two."""

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
        parsed = email.utils.parsedate_tz(value)
        if parsed is None:
            return None
        try:
            seconds = email.utils.mktime_tz(parsed) - time.time()
        except (ValueError, OverflowError):  # a year that no clock has
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


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
    tokens = [_window(headers, f"anthropic-ratelimit-{kind}-{{}}") for kind in ("tokens", "input-tokens", "output-tokens")]
    stated = [window for window in tokens if window is not None]
    found = Allowance(
        requests=_window(headers, "anthropic-ratelimit-requests-{}"),
        tokens=min(stated, key=lambda window: window.remaining / window.limit, default=None),
    )
    return found or None


def _window(headers: Mapping[str, str], pattern: str) -> Window | None:
    try:
        limit, remaining = (float(headers[pattern.format(name)]) for name in ("limit", "remaining"))
        reset_s = _seconds(headers[pattern.format("reset")])
    except (KeyError, ValueError):
        return None
    if not (math.isfinite(limit) and limit > 0 and math.isfinite(remaining)):
        return None
    return Window(limit=limit, remaining=max(0.0, min(remaining, limit)), reset_s=reset_s)


def _seconds(value: str) -> float:
    """Return the seconds of "1.5", "6m0s", "120ms" or an RFC 3339 time. Raise ValueError for anything else."""
    text = value.strip()
    found = _DURATION.fullmatch(text)
    if found is not None and text:
        return sum(float(amount) * unit for amount, unit in zip(found.groups(), _UNITS_S, strict=True) if amount)
    try:
        seconds = float(text)
    except ValueError:
        then = datetime.fromisoformat(text)
        seconds = (then - datetime.now(UTC)).total_seconds() if then.tzinfo else math.nan
    if not math.isfinite(seconds):
        raise ValueError(value)
    return max(0.0, seconds)
