"""Patterns."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from pydantic import ValidationError

from tests.fakes import make_prompt, make_sample
from verifiers.making import make
from verifiers.protocol import Finding

MEGABYTE = 1_000_000


def found(response: str, **options: Any) -> Finding:
    """Return what a pattern says of a response."""
    finding = make("regex", options).check(make_prompt(), make_sample(response=response))
    assert isinstance(finding, Finding)
    return finding


@pytest.mark.parametrize(
    ("options", "response", "passed", "answer"),
    [
        ({"pattern": "b+"}, "abbc", True, "bb"),
        ({"pattern": "b+"}, "ac", False, None),
        ({"pattern": "b+", "forbid": True}, "abbc", False, "bb"),
        ({"pattern": "b+", "forbid": True}, "ac", True, None),
        ({"pattern": "b+", "match": "fullmatch"}, " bb\n", True, "bb"),
        ({"pattern": "b+", "match": "fullmatch"}, "abb", False, None),
        ({"pattern": "B", "flags": ["ignore_case"]}, "b", True, "b"),
        ({"pattern": "^b$", "flags": ["multiline"]}, "a\nb\nc", True, "b"),
        ({"pattern": "^b$"}, "a\nb\nc", False, None),
        ({"pattern": "a.b"}, "a\nb", False, None),
        ({"pattern": "a.b", "flags": ["dot_all"]}, "a\nb", True, "a\nb"),
        ({"pattern": "a b # c", "flags": ["verbose"]}, "ab", True, "ab"),
        ({"pattern": r"\d", "flags": ["ascii"]}, "\u0663", False, None),
        ({"pattern": r"(?<answer>\d+) apples"}, "7 apples", True, "7"),
        ({"pattern": r"(?<answer>\d+)?\D+"}, "apples", True, "apples"),
        ({"pattern": r"\p{Han}"}, "漢", True, "漢"),
        ({"pattern": "[^ ]"}, "\ud800", True, "\ud800"),
    ],
    ids=str,
)
def test_table(options: dict[str, Any], response: str, passed: bool, answer: str | None) -> None:
    """What passes, and which answer is found."""
    finding = found(response, **options)
    assert (finding.passed, finding.answer) == (passed, answer)


@pytest.mark.parametrize(("pattern", "response"), [("(a+)+$", "a" * MEGABYTE + "b"), ("(a|aa)+$", "a" * MEGABYTE + "b")])
def test_no_pattern_hangs(pattern: str, response: str) -> None:
    """A search ends at its limit, and is undecided, also where a match would fail the response."""
    began = time.perf_counter()
    for forbid in (False, True):
        assert found(response, pattern=pattern, timeout_s=0.2, forbid=forbid) == Finding(
            passed=None, reason="the search took more than 0.2 s"
        )
    assert time.perf_counter() - began < 20


@pytest.mark.parametrize("pattern", ["(", "[a", "*", "a{3,1}", r"\L<x>", r"\p{Foo}", "(?P<1>x)", "(" * 5000 + ")" * 5000, ""])
def test_no_pattern(pattern: str) -> None:
    """What doesn't compile is an error of the spec, with its place in the pattern."""
    with pytest.raises(ValidationError, match=r"pattern: .* is no pattern: |at least 1 character"):
        found("", pattern=pattern)


def test_a_long_match_is_cut() -> None:
    """A verdict holds no megabyte."""
    finding = found("7" * MEGABYTE, pattern="7+")
    assert finding.answer is not None
    assert re.fullmatch("7{199}…", finding.answer)
