"""Where a response grants a second answer beside its own, it has none."""

from __future__ import annotations

import pytest

from tests.verifiers.test_exact_match import check

GRANTED = [
    ("choice", "B", "The answer is B (C is also correct)."),
    ("choice", "B", "The answer is B. C would also be correct."),
    ("choice", "B", "The answer is B. However, C is also possible."),
    ("choice", "B", "The correct answer is B, and so is C."),
    ("choice", "B", "B. However, C is also possible."),
    ("choice", "B", "The true statement is B; also C."),
    ("choice", "B", "The answer is B. Also C."),
    ("number", "7", "The answer is 7. Also 9."),
    ("number", "7", "The answer is 7 (9 is also acceptable)."),
    ("number", "7", "The answer is 7, though 9 is also correct."),
    ("number", "7", "The answer is 7; however 9 also works."),
    ("number", "7", "The answer is 7 under the first reading and 9 under the second."),
    ("number", "7", "7, though 9 is also correct."),
    ("number", "7", "$\\boxed{7}$, though 9 may be right too."),
    ("math", "\\frac{1}{2}", "The answer is $\\boxed{\\frac{1}{2}}$, though 0.7 is also correct."),
    ("text", "Paris", "The answer is **Paris**, although **Lyon** is also possible."),
]
NOT_GRANTED = [
    ("number", "7", "The answer is 7. 9 is also a perfect square."),
    ("number", "7", "The answer is 7. Note that 9 is also a valid divisor of 18."),
    ("number", "7.5", "The answer is 7.5 (15/2 is also acceptable)."),
    ("number", "7", "The answer is 7. It is also correct to say a week."),
    ("math", "7", "The answer is $7$. It is also possible to solve it by hand."),
    ("choice", "B", "The answer is B. A and C are also found in fruit."),
    ("text", "Paris", "The answer is **Paris**. Lyon is also a possible destination."),
]


@pytest.mark.parametrize(("kind", "reference", "response"), GRANTED)
def test_a_second_answer_is_refused(kind: str, reference: str, response: str) -> None:
    """A lucky guess must not become a lesson."""
    assert check(reference, response, kind=kind).passed is False


@pytest.mark.parametrize(("kind", "reference", "response"), NOT_GRANTED)
def test_what_is_also_so_is_no_second_answer(kind: str, reference: str, response: str) -> None:
    """The same in other digits, or what is said of something else."""
    assert check(reference, response, kind=kind).passed is True
