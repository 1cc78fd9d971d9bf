"""An answer that is only supposed, or is of another case than the question's, is none, though nothing else is announced."""

from __future__ import annotations

import pytest

from tests.verifiers.reading.test_taken_back import ANSWERS
from tests.verifiers.test_exact_match import check

SUPPOSED = [
    "If there were 3 boxes, the answer would be {}.",
    "I don't have enough information. If there were 3 boxes, the answer would be {}.",
    "Had there been 3 boxes, the answer would have been {}.",
    "I'm not sure what is asked. If it's about boxes, the answer would be {}.",
    "If you mean the old one, then the answer is {}.",
    "Let's say the answer is {}.",
    "Suppose the answer is {}.",
    "The student's answer is {}.",
    "For example, if n = 2, then the answer is {}.",
    "If x > 0, the answer is {}.",
    "If $a > 0$, the answer is $\\boxed{{{}}}$.",
]
STATED = [
    "If each costs 3, the answer is {}.",
    "If there are 3 boxes, the answer would be {}.",
    "Given that she had 5 and gave 2, the answer would be {}.",
    "When we compare them, the answer is {}.",
    "Since x > 0, the answer is {}.",
    "If x > 0, then y > 0, so the answer is {}.",
    "At first 5 seems right, but the correct answer is {}.",
    "At first glance, another one seems right, but the answer is {}.",
]


@pytest.mark.parametrize("kind", ANSWERS)
def test_what_is_only_supposed_does_not_pass(kind: str) -> None:
    """A date neither, though it ends the last line."""
    answer = ANSWERS[kind]
    assert [words for words in SUPPOSED if check(answer, words.format(answer), kind=kind).passed] == []


@pytest.mark.parametrize("kind", ANSWERS)
def test_a_case_that_the_question_gives_has_the_answer(kind: str) -> None:
    """What holds in it, or is concluded from it, is stated."""
    answer = ANSWERS[kind]
    assert [words for words in STATED if not check(answer, words.format(answer), kind=kind).passed] == []


def test_an_answer_to_another_question_leaves_the_answer_what_it_is() -> None:
    """Behind the one that was announced."""
    assert check("5", "The answer is 5. For the first question, the answer is 7.", kind="number").passed is True
