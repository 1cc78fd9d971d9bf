"""Texts in a response."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tests.fakes import make_prompt, make_sample
from verifiers.making import make
from verifiers.protocol import Finding


@pytest.mark.parametrize(
    ("options", "response", "expected"),
    [
        ({"require": "all"}, "a b", Finding(passed=True, reason="'a' is in it", answer="a")),
        ({"require": "all"}, "a", Finding(passed=False, reason="'b' is not in it", answer="a")),
        ({"require": "any"}, "b", Finding(passed=True, reason="'b' is in it", answer="b")),
        ({"require": "any"}, "c", Finding(passed=False, reason="'a' is not in it")),
        ({"require": "none"}, "c", Finding(passed=True, reason="'a' is not in it")),
        ({"require": "none"}, "b", Finding(passed=False, reason="'b' is in it", answer="b")),
        (
            {"texts": ["STRASSE"], "ignore_case": True},
            "straße",
            Finding(passed=True, reason="'STRASSE' is in it", answer="STRASSE"),
        ),
        ({"texts": ["STRASSE"]}, "strasse", Finding(passed=False, reason="'STRASSE' is not in it")),
        (
            {"texts": ["caf\u00e9"], "require": "none"},
            "un cafe\u0301",
            Finding(passed=False, reason="'caf\u00e9' is in it", answer="caf\u00e9"),
        ),
        ({"texts": ["cafe\u0301"]}, "un caf\u00e9", Finding(passed=True, reason="'cafe\u0301' is in it", answer="cafe\u0301")),
        ({"texts": ["cafe"]}, "un cafe\u0301", Finding(passed=True, reason="'cafe' is in it", answer="cafe")),
        ({"texts": ["\u00e9"]}, "e" + "\u0301\u0323" * 500_000, Finding(passed=False, reason="'\u00e9' is not in it")),
        ({"texts": ["a"]}, "", Finding(passed=False, reason="'a' is not in it")),
        ({"texts": ["ab"]}, "a" * 1_000_000, Finding(passed=False, reason="'ab' is not in it")),
        ({"texts": ["a"], "ignore_case": True}, "\ud800", Finding(passed=False, reason="'a' is not in it")),
    ],
    ids=lambda value: str(value)[:40],
)
def test_table(options: dict[str, Any], response: str, expected: Finding) -> None:
    """All, any or none of the texts, and the one that decides."""
    made = make("contains", {"texts": ["a", "b"]} | options)
    assert made.check(make_prompt(), make_sample(response=response)) == expected


@pytest.mark.parametrize("texts", [[], [""], ["a", ""]], ids=str)
def test_nothing_to_look_for(texts: list[str]) -> None:
    """A text that is in everything, or none at all, decides nothing."""
    with pytest.raises(ValidationError):
        make("contains", {"texts": texts})
