"""What response headers say of waiting and of limits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import formatdate

import pytest

from tasks.teachers.headers import Allowance, Window, anthropic_allowance, openai_allowance, retry_after


class TestRetryAfter:
    """Both forms of the header."""

    @pytest.mark.parametrize(
        ("headers", "expected"),
        [
            ({}, None),
            ({"retry-after": "2"}, 2.0),
            ({"retry-after": "0.5"}, 0.5),
            ({"retry-after": "-3"}, 0.0),
            ({"retry-after": ""}, None),
            ({"retry-after": "soon"}, None),
            ({"retry-after": "inf"}, None),
            ({"retry-after": "nan"}, None),
            ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0.0),
            ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ],
        ids=repr,
    )
    def test_seconds(self, headers: dict[str, str], expected: float | None):
        """Seconds, milliseconds where they are given, and nothing for what says nothing."""
        assert retry_after(headers) == expected

    def test_date(self, monkeypatch: pytest.MonkeyPatch):
        """A date is so many seconds from now."""
        monkeypatch.setattr("tasks.teachers.headers.time.time", lambda: 1_800_000_000.0)
        assert retry_after({"retry-after": formatdate(1_800_000_090, usegmt=True)}) == pytest.approx(90)


class TestOpenAI:
    """`x-ratelimit-…`."""

    HEADERS = {
        "x-ratelimit-limit-requests": "3000",
        "x-ratelimit-remaining-requests": "2999",
        "x-ratelimit-reset-requests": "20ms",
        "x-ratelimit-limit-tokens": "150000",
        "x-ratelimit-remaining-tokens": "149000",
        "x-ratelimit-reset-tokens": "6m0s",
    }

    def test_both(self):
        """Limits, what is left, and when it is all there again."""
        assert openai_allowance(self.HEADERS) == Allowance(
            requests=Window(limit=3000, remaining=2999, reset_s=0.02),
            tokens=Window(limit=150_000, remaining=149_000, reset_s=360),
        )

    @pytest.mark.parametrize(
        ("value", "seconds"), [("1s", 1), ("1m30s", 90), ("7.66s", 7.66), ("2h", 7200), ("1d2h", 93_600), ("60", 60), ("0s", 0)]
    )
    def test_durations(self, value: str, seconds: float):
        """Go's durations and plain seconds."""
        found = openai_allowance(self.HEADERS | {"x-ratelimit-reset-requests": value})
        assert found is not None
        assert found.requests is not None
        assert found.requests.reset_s == pytest.approx(seconds)

    @pytest.mark.parametrize("value", ["soon", "", "nan", "inf", "1 s", "2030-01-01T00:00:00"])
    @pytest.mark.parametrize("name", ["limit", "remaining", "reset"])
    def test_nonsense(self, name: str, value: str):
        """A window that makes no sense is left out, and the other stays."""
        found = openai_allowance(self.HEADERS | {f"x-ratelimit-{name}-requests": value})
        assert found is not None
        assert found.requests is None
        assert found.tokens is not None

    def test_silence(self):
        """No headers, no allowance."""
        assert openai_allowance({"content-type": "application/json"}) is None


class TestAnthropic:
    """`anthropic-ratelimit-…`."""

    def test_the_tighter_of_the_token_limits(self):
        """Requests, and the token window of which least is left."""
        then = (datetime.now(UTC) + timedelta(seconds=30)).isoformat().replace("+00:00", "Z")
        headers = {}
        for kind, limit, remaining in (("requests", 50, 49), ("input-tokens", 40_000, 39_000), ("output-tokens", 8_000, 1_000)):
            headers |= {
                f"anthropic-ratelimit-{kind}-limit": str(limit),
                f"anthropic-ratelimit-{kind}-remaining": str(remaining),
                f"anthropic-ratelimit-{kind}-reset": then,
            }
        found = anthropic_allowance(headers)
        assert found is not None
        assert found.requests is not None
        assert found.tokens is not None
        assert (found.requests.limit, found.requests.remaining) == (50, 49)
        assert (found.tokens.limit, found.tokens.remaining) == (8_000, 1_000)
        assert found.tokens.reset_s == pytest.approx(30, abs=2)

    def test_silence(self):
        """No headers, no allowance."""
        assert anthropic_allowance({}) is None
