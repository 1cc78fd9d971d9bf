"""What `exact_match` is tried on: the reference passes, what is near it fails, whatever the kind and the extraction."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes import make_prompt, make_sample
from verifiers.exact_match import ExactMatch
from verifiers.reading.extraction import Pattern
from verifiers.self_consistency import SelfConsistency

REFERENCES: dict[str, list[str]] = {
    "number": ["72", "1,234.5", "-3", "1/2", "She has 3 + 4 = 7 apples.\n#### 7", "50%", "72 m^2", "0", "99"],
    "choice": ["B", "(C)", "The answer is D."],
    "text": ["Paris", "not guilty", "New York City", "5"],
    "math": [r"\frac{1}{2}", "x = 3", "2x + 1", r"\sqrt{2}", "(1, 2)", "9", "x^2 + 2x + 1", r"\frac{0}{5}", "1^{2}"],
    "set": ["{1, 2, 3}", "red, green, 2"],
    "interval": ["[1, 2)", r"(-\infty, 3]"],
    "date": ["2024-03-31", "March 3, 2024"],
    "json": ['{"a": 1, "b": [2, 3]}', "[1, 2]"],
}
CASES = [(kind, reference) for kind, references in REFERENCES.items() for reference in references]


def tried(verifier: ExactMatch, reference: str | None) -> list[tuple[str, str, bool | None]]:
    """Return what it is tried on and what it says to that."""
    prompt = make_prompt(reference=reference)
    trials = list(verifier.trials(prompt))
    return [(each.kind, each.response, verifier.check(prompt, make_sample(response=each.response)).passed) for each in trials]


@pytest.mark.parametrize(("kind", "reference"), CASES)
def test_right_and_wrong(kind: Any, reference: str):
    """It is sound on each kind of reference, and tried on both."""
    found = tried(ExactMatch(kind=kind), reference)
    assert {passed for each, _, passed in found if each == "right"} == {True}, found
    assert True not in {passed for each, _, passed in found if each == "wrong"}, found
    assert len([each for each, response, _ in found if each == "wrong" and response]) >= (kind != "set" or "1" in reference)


@pytest.mark.parametrize("extract", ["whole", "boxed", "tag", "hashes", "last_line", "code"])
def test_as_a_response_would_give_it(extract: Any):
    """The answer stands where the options look for it, also of a reference that is a worked solution."""
    found = tried(ExactMatch(kind="number", extract=extract), "3 + 4 = 7\n#### 7")
    assert [passed for each, _, passed in found if each == "right"] == [True], found
    assert not any(passed for each, _, passed in found if each == "wrong"), found


def test_within_the_tolerance():
    """What is near enough is not tried as wrong."""
    found = tried(ExactMatch(kind="number", tolerance=5), "7")
    assert [passed for each, _, passed in found if each == "wrong"] == [False, False, False]


def test_nothing_to_try():
    """Without a reference, with a pattern of the user's, or with a vote there is nothing."""
    assert tried(ExactMatch(), None) == []
    assert tried(ExactMatch(extract=Pattern(regex="x")), "7") == []
    assert tried(SelfConsistency(kind="number"), "7") == []


def test_a_reference_that_can_not_be_read():
    """It is tried as it is, so that its check says why."""
    assert tried(ExactMatch(kind="number"), "5 or 6") == [("right", "5 or 6", None)]
