"""How long a response is."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tests.fakes import make_prompt, make_sample
from verifiers.making import make
from verifiers.protocol import Finding

MEGABYTE = 1_000_000


def found(options: dict[str, Any], **sample: Any) -> Finding:
    """Return what the verifier says of a sample."""
    finding = make("length", options).check(make_prompt(), make_sample(**sample))
    assert isinstance(finding, Finding)
    return finding


@pytest.mark.parametrize(
    ("options", "response", "passed", "reason"),
    [
        ({"min_chars": 3}, "  ab ", False, "2 chars, fewer than 3"),
        ({"min_chars": 3}, "abc", True, "3 chars"),
        ({"max_chars": 3}, "abcd", False, "4 chars, more than 3"),
        ({"min_words": 2, "max_words": 3}, "a b\nc", True, "3 words"),
        ({"max_words": 2}, "a b\nc", False, "3 words, more than 2"),
        ({"max_lines": 2}, "a\n\n b\n", True, "2 lines"),
        ({"min_lines": 1}, "", False, "0 lines, fewer than 1"),
        ({"max_chars": 5, "max_words": 1}, "ab cd", False, "2 words, more than 1"),
        ({"max_chars": 5}, "7" * MEGABYTE, False, "1,000,000 chars, more than 5"),
        ({"max_words": 5}, "x " * (MEGABYTE // 2), False, "500,000 words, more than 5"),
        ({"max_words": 5}, " " * MEGABYTE, True, "0 words"),
        ({"min_chars": 1}, "\ud800", True, "1 chars"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_table(options: dict[str, Any], response: str, passed: bool, reason: str) -> None:
    """Characters, words and lines, and the first bound that is broken."""
    assert found(options, response=response) == Finding(passed=passed, reason=reason)


def test_reasoning() -> None:
    """The reasoning is measured where the spec says so; a sample that shows none is undecided."""
    options = {"part": "reasoning", "max_words": 2}
    assert found(options, reasoning="a b c", response="").passed is False
    assert found(options, reasoning="a b", response="a b c").passed is True
    assert found(options, reasoning=None) == Finding(passed=None, reason="the sample shows no reasoning")


def test_tokens() -> None:
    """As billed: of the whole sample, or of its reasoning, where the teacher counts that."""
    options = {"max_tokens": 10}
    assert found(options, tokens_out=11, tokens_reasoning=5).passed is False
    assert found(options | {"part": "reasoning"}, tokens_out=15, tokens_reasoning=5, reasoning="r").passed is True
    assert found(options | {"part": "reasoning"}, tokens_out=15, tokens_reasoning=0, reasoning="r").passed is None
    assert found(options | {"part": "reasoning"}, tokens_out=15, tokens_reasoning=0, reasoning="").passed is True


@pytest.mark.parametrize("options", [{}, {"part": "reasoning"}, {"min_chars": 3, "max_chars": 2}, {"min_words": -1}], ids=str)
def test_bounds_that_decide_nothing(options: dict[str, Any]) -> None:
    """No bound, or two between which nothing lies, is an error of the spec."""
    with pytest.raises(ValidationError):
        make("length", options)
