"""What a number means by what its prompt asks."""

from __future__ import annotations

import pytest

from storage.records import Prompt
from tests.verifiers.test_exact_match import prompt, sample
from verifiers.exact_match import ExactMatch


def asking(question: str, reference: str) -> Prompt:
    """Return a prompt with this question."""
    return Prompt(prompt_id="p", messages=(), prompt=question, reference=reference, source="test", license="CC0-1.0")


@pytest.mark.parametrize("kind", ["number", "math"])
@pytest.mark.parametrize("reference", ["3", "6"])
@pytest.mark.parametrize("question", ["In how many ways can they stand in a row?", "What is 3!?", "Count the permutations."])
def test_an_exclamation_mark_may_be_a_factorial(kind, reference, question):
    """Where orders are counted, "3!" may be 3, with joy, and may be 6."""
    finding = ExactMatch(kind=kind).check(asking(question, reference), sample("The answer is 3!"))
    assert (finding.passed, finding.reason) == (None, "3! may be a factorial (after 'The answer is')")


@pytest.mark.parametrize("kind", ["number", "math"])
def test_elsewhere_it_is_joy(kind):
    """Apples are not arranged."""
    assert ExactMatch(kind=kind).check(prompt("3"), sample("The answer is 3!")).passed is True


@pytest.mark.parametrize(
    ("kind", "reference", "response", "passed"),
    [
        ("number", "3", "The answer is 3!.", False),
        ("number", "3", "So there are 3!, as we saw.", False),
        ("number", "6", "The answer is 3! = 6.", True),
        ("math", "3", "The answer is 3!.", False),
        ("math", "6", "The answer is 3!.", True),
        ("math", "6", "The answer is 3! = 6.", True),
        ("math", "3", "The answer is 3! = 6.", False),
        ("math", "n!", "The answer is n!", True),
        ("math", "n", "The answer is n!", False),
    ],
)
def test_a_factorial_is_not_the_number_before_it(kind, reference, response, passed):
    """With a full stop behind it, an exclamation mark ends no sentence."""
    assert ExactMatch(kind=kind).check(prompt(reference), sample(response)).passed is passed
