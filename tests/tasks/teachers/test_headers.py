"""What response headers say of waiting and of limits."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import formatdate

import pytest

from tasks.teachers.headers import Allowance, Window, anthropic_allowance, openai_allowance, retry_after

NOW = 1_800_000_000
CENTURY = 100 * 365 * 86_400.0


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
            ({"retry-after": "1e300"}, CENTURY),
            ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, CENTURY),
        ],
        ids=repr,
    )
    def test_seconds(self, headers: dict[str, str], expected: float | None):
        """Seconds, milliseconds where they are given, and nothing for what says nothing."""
        assert retry_after(headers) == expected

    def test_date(self, monkeypatch: pytest.MonkeyPatch):
        """A date is so many seconds from now."""
        monkeypatch.setattr("tasks.teachers.headers.time.time", lambda: NOW)
        assert retry_after({"retry-after": formatdate(NOW + 90, usegmt=True)}) == pytest.approx(90)
        assert retry_after({"retry-after": str(NOW + 90)}) == pytest.approx(90)

    @pytest.mark.parametrize("behind_s", [1_200, -1_200])
    @pytest.mark.parametrize(("after_s", "expected"), [(5, 5), (-5, 0)])
    def test_wrong_clock(self, monkeypatch: pytest.MonkeyPatch, behind_s: int, after_s: int, expected: float):
        """Where the server tells its time, a date is by its clock, and not by ours."""
        monkeypatch.setattr("tasks.teachers.headers.time.time", lambda: NOW - behind_s)
        headers = {"retry-after": formatdate(NOW + after_s, usegmt=True), "date": formatdate(NOW, usegmt=True)}
        assert retry_after(headers) == expected


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
        ("value", "seconds"), [("1s", 1), ("1m30s", 90), ("7.66s", 7.66), ("2h", 7200), ("0d2h", 7200), ("60", 60), ("0s", 0)]
    )
    def test_durations(self, value: str, seconds: float):
        """Go's durations and plain seconds."""
        found = openai_allowance(self.HEADERS | {"x-ratelimit-reset-requests": value})
        assert found is not None
        assert found.requests is not None
        assert found.requests.reset_s == pytest.approx(seconds)

    @pytest.mark.parametrize("value", [str(NOW + 60), f"{NOW + 60}.0", str((NOW + 60) * 1_000), "2027-01-15T08:01:00Z"])
    def test_times(self, value: str):
        """A time, in whatever form, is so many seconds from the server's now."""
        found = openai_allowance(self.HEADERS | {"x-ratelimit-reset-requests": value, "date": formatdate(NOW, usegmt=True)})
        assert found is not None
        assert found.requests is not None
        assert found.requests.reset_s == pytest.approx(60)

    @pytest.mark.parametrize("value", ["25h", "1d2h", "100000", str(NOW + 100_000), "2100-01-01T00:00:00Z"])
    def test_far(self, value: str):
        """What is full again only after more than a day is no measure of how fast to ask."""
        found = openai_allowance(self.HEADERS | {"x-ratelimit-reset-requests": value, "date": formatdate(NOW, usegmt=True)})
        assert found is not None
        assert found.requests is None
        assert found.tokens is not None

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

    @staticmethod
    def headers(**limits: tuple[int, int, int]) -> dict[str, str]:
        """Return headers with a limit, what is left, and the seconds until it is full again, of each kind."""
        found = {"date": formatdate(NOW, usegmt=True)}
        for kind, (limit, remaining, reset_s) in limits.items():
            then = datetime.fromtimestamp(NOW + reset_s, UTC).isoformat().replace("+00:00", "Z")
            for name, value in (("limit", str(limit)), ("remaining", str(remaining)), ("reset", then)):
                found[f"anthropic-ratelimit-{kind.replace('_', '-')}-{name}"] = value
        return found

    def test_both(self):
        """Requests, and tokens in and out together where the server says so; times are by its clock."""
        headers = self.headers(requests=(50, 49, 30), tokens=(48, 40, 20), input_tokens=(40, 39, 30), output_tokens=(8, 1, 30))
        assert anthropic_allowance(headers) == Allowance(
            requests=Window(limit=50, remaining=49, reset_s=30), tokens=Window(limit=48, remaining=40, reset_s=20)
        )

    def test_sum(self):
        """Limits on tokens in and on tokens out add up: the smaller alone would hold the others back."""
        headers = self.headers(input_tokens=(400_000, 395_000, 5), output_tokens=(80_000, 75_000, 10))
        found = anthropic_allowance(headers)
        assert found == Allowance(tokens=Window(limit=480_000, remaining=470_000, reset_s=10))

    @pytest.mark.parametrize("kind", ["input_tokens", "output_tokens"])
    def test_one_of_two(self, kind: str):
        """One of them alone says nothing of both together."""
        assert anthropic_allowance(self.headers(**{kind: (8_000, 1_000, 30)})) is None

    def test_silence(self):
        """No headers, no allowance."""
        assert anthropic_allowance({}) is None
