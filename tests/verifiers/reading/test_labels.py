"""Answers to several parts of a question: none of them is the answer."""

from __future__ import annotations

import pytest

from tests.verifiers.reading.test_answers import ids, number
from verifiers.reading.answers import Answer, find_number, find_texts
from verifiers.reading.choices import find_choice
from verifiers.reading.extraction import announced

SEVERAL_PARTS = [
    "For part (a) the answer is 3. For part (b) the answer is 5.",
    "(a) The answer is 3.\n(b) The answer is 5.",
    "Part A: the answer is 3.\nPart B: the answer is 5.",
    "1. The answer to the first question is 3.\n2. The answer to the second question is 5.",
    "The answer to the first part is 3, and the answer to the second part is 5.",
    "The answer for Tom is 3. The answer for Ann is 5.",
    "The first answer is 3. The second answer is 5.",
    "Answer (a): 3\nAnswer (b): 5",
    r"(a) \boxed{3} (b) \boxed{5}",
    "(a) The probability is $\\boxed{3}$.\n\n(b) The expected value is $\\boxed{5}$.",
    "Part (a): \\boxed{3}\nPart (b): \\boxed{5}",
    "<answer>3</answer> or <answer>5</answer>",
    "If $n$ is even, $\\boxed{3}$; if odd, $\\boxed{5}$.",
    "\\boxed{3}\\text{ if }n\\text{ is even}, \\boxed{5}\\text{ otherwise}",
]
LISTED = [
    "a) 3\nb) 5",
    "**(a)** 3\n\n**(b)** 5",
    "The answer is:\n\n3\n\n5",
    "The answer is:\n1. 3\n2. 5",
    "Answer:\n- 3 cm\n- 5 cm",
    "We get 5 if n = 4.",
    "The result is 12, provided that n = 4.",
    "There are 12 boxes, for n = 4.",
]
ONE_ANSWER = [
    ("(a) The answer is 3.\n(b) The answer is 5.\nThe final answer is 8.", 8),
    ("Part 1: She has 3. Part 2: She gets 5 more. The answer is 8.", 8),
    ("Question 1 asks for the sum. The answer is 8.", 8),
    ("The answer is 3.\n\nSo for part (b) of the check, the answer is 3.", 3),
    ("(a) She has 3.\n(b) She gets 5 more.\n\nSo she has 8.", 8),
    ("Answer:\n1. She has 3.\n2. She gets 5 more, so 8.", 8),
    ("x + 3 = 7 when x = 4.", 4),
]


@pytest.mark.parametrize("response", SEVERAL_PARTS, ids=ids)
def test_answers_to_several_parts_are_no_answer(response):
    """Neither as a number, nor as mathematics, nor as a text, the last one passes for the answer."""
    assert number(response) is None
    assert not isinstance(announced(response), Answer)
    texts = find_texts(response)
    assert not isinstance(texts, list) or all(each.text != "5" for each in texts)


@pytest.mark.parametrize("response", LISTED, ids=ids)
def test_numbers_that_stand_below_each_other_are_no_answer(response):
    """A list answers several questions, and a condition's number none."""
    assert not isinstance(find_number(response), Answer)


@pytest.mark.parametrize(("response", "value"), ONE_ANSWER, ids=ids)
def test_parts_of_a_solution_have_one_answer(response, value):
    """Where what is announced last is of the whole, it counts."""
    assert number(response) == value


@pytest.mark.parametrize(
    "response",
    ["For part 1 the answer is B. For part 2 the answer is C.", "Question 1: The answer is B.\nQuestion 2: The answer is C."],
)
def test_choices_for_several_questions_are_none(response):
    """A response that answers two questions chooses nothing."""
    assert not isinstance(find_choice(response, "ABCDE"), Answer)


@pytest.mark.parametrize(
    "response",
    [
        "$x = -\\boxed{5}$",
        "$\\boxed{5}\\pi$",
        "$\\boxed{5}\\sqrt{2}$",
        "$\\boxed{5}^2$",
        "$x \\ne \\boxed{5}$",
        "\\boxed{5}\\cdot 10^3",
    ],
)
def test_a_part_of_an_answer_in_a_box_is_none(response):
    """What stands right beside the box belongs to the answer, too."""
    assert number(response) is None
    assert not isinstance(announced(response), Answer)


@pytest.mark.parametrize(
    "response",
    [
        "$\\boxed{5}^\\circ$",
        "$\\boxed{5}\\%$",
        "$2 \\cdot \\boxed{5} = 10$",
        "$\\boxed{5} \\times 2 = 10$",
        "$10 - \\boxed{5} = 5$",
        "$7-2=\\boxed{5}$",
        "\\boxed{5}!",
    ],
)
def test_a_box_in_an_equation_or_before_a_unit_holds_the_answer(response):
    """It fills a gap there."""
    assert number(response) == 5
