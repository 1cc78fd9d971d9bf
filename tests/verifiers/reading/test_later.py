"""An answer that the last sentence contradicts is none; one that it says again, explains or checks stands."""

from __future__ import annotations

import time

import pytest

from tests.verifiers.reading.test_taken_back import ANSWERS, FORMS, OTHERS
from tests.verifiers.test_exact_match import check
from verifiers.reading.later import concluded

HEADS = [
    "Let me double-check. ",
    "Let me double-check: 10 + 3 = 13. ",
    "However, she also bought 1 more. ",
    "But Berlin is in Germany. ",
    "I should note that I misread the problem: each box has 5. ",
]
CONCLUDED = [
    "So it should be {}.",
    "It should be {}.",
    "So the correct total is {}.",
    "So the right one is {}.",
    "Therefore, the correct one should be {}.",
    "The correct result is {}.",
    "However, since it asks for the other one, it should be {}.",
]
CONCLUDED_IN_FEW_WORDS = [
    "So the total is {}.",
    "So it is {}.",
    "Hence the result is {}.",
    "So {}.",
    "There is one more, so it is {}.",
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_is_none_where_another_one_is_concluded(kind: str, form: str) -> None:
    """In the last sentence, whatever the kind; the same one, said again, leaves it."""
    answer, other = ANSWERS[kind], OTHERS[kind]
    tails = [head + tail for head in HEADS for tail in CONCLUDED + CONCLUDED_IN_FEW_WORDS * (kind != "text")]
    said = [(tail, form.format(answer) + "\n\n" + tail) for tail in tails]
    assert [tail for tail, response in said if check(answer, response.replace(tail, tail.format(other)), kind=kind).passed] == []
    assert [
        tail for tail, response in said if not check(answer, response.replace(tail, tail.format(answer)), kind=kind).passed
    ] == []


@pytest.mark.parametrize(
    ("kind", "answer", "behind"),
    [
        ("number", "12", "But each box has 5, not 4, so the total is 15."),
        ("number", "12", "Let me verify: 10 + 3 = 13, not 12. So the total is 13."),
        ("number", "12", "Double-check: 10 + 3 = 13 ≠ 12."),
        ("number", "12", "Double-check: 10 + 3 = 13 $\\neq$ 12."),
        ("number", "12", "However, she gave away 3, so she has 9 left."),
        ("number", "12", "Hmm, but that doesn't account for the 3 that were sold. 12 - 3 = 9."),
        ("number", "12", "However, this doesn't count the 3 that she gave away. The final number is 9."),
        ("number", "12", "Re-reading the problem, each box has 5. So 3 × 5 = 15."),
        ("math", "7", "However, x = 7 is extraneous, so there is no solution."),
        ("math", "7", "However, $x = 7$ is extraneous."),
        ("math", "7", "But then the denominator is 0, so there is no solution."),
        ("number", "7", "But then the denominator is 0, so there is no solution."),
        ("math", "7", "But note that we forgot to divide by 2, so the result is $\\frac{7}{2}$."),
        ("math", "7", "Let me double-check: $3 + 5 = 8$, so it should be $8$."),
        ("choice", "A", "However, on closer look, Paris is the capital, so B."),
        ("choice", "A", "But Berlin is in Germany, so the right one is B."),
        ("choice", "A", "However, the values exclude this. Therefore the most likely diagnosis is B."),
        ("text", "London", "However, since the question asks for France, it should be Paris."),
        ("date", "March 5, 2024", "February has 29 days, so it should be March 4, 2024."),
        ("interval", "(1, 2)", "At $x=1$ it holds, so it should be $[1, 2)$."),
    ],
)
def test_an_answer_that_is_contradicted_is_none(kind: str, answer: str, behind: str) -> None:
    """By what is objected, excluded or concluded."""
    for form in ("The answer is {}.", "\\boxed{{{}}}"):
        assert check(answer, f"{form.format(answer)}\n\n{behind}", kind=kind).passed is False, form


@pytest.mark.parametrize(
    ("kind", "answer", "behind"),
    [
        ("number", "12", "Check: 12 + 8 = 20, so the total is 20."),
        ("number", "12", "Check: 12 + 8 = 20. So it is right."),
        ("number", "12", "Verification: 12 × 2 = 24, so the sum is 24 ✓"),
        ("number", "12", "However, if we count the driver, it would be 13."),
        ("number", "12", "However, 13 would be wrong."),
        ("number", "12", "Each box has 4 apples, so 3 boxes have 12."),
        ("number", "12", "Each box has 4 apples, so the price of one is 3 dollars."),
        ("number", "12", "So each of the 3 children gets 12 candies."),
        ("number", "12", "So there are 12 of them, and 4 in each box."),
        ("number", "12", "That is one dozen, so it's a dozen."),
        ("math", "12", "The value $-12$ is extraneous."),
        ("math", "1/2", "So it is $0.5$."),
        ("math", "1/2", "Hence it is 50%."),
        ("math", "1/2", "Check: $1/2 + 1/2 = 1$, so the sum is $1$."),
        ("math", "1/2", "So the discriminant is $4$."),
        ("math", "1/2", "Thus $x > 0$."),
        ("math", "1/2", "So the result is irreducible."),
        ("math", "\\emptyset", "The roots are extraneous, so there is no solution."),
        ("choice", "A", "B is wrong, so A it is."),
        ("choice", "A", "Scurvy is caused by lack of it, so the vitamin is C."),
        ("choice", "A", "This means that it is a noun."),
        ("choice", "A", "It should be noted that B is close."),
        ("text", "London", "The true centre is Charing Cross."),
        ("text", "London", "The correct spelling is London."),
        ("text", "London", "It is the capital of England, so it is a city."),
    ],
)
def test_what_explains_or_checks_an_answer_leaves_it(kind: str, answer: str, behind: str) -> None:
    """So does what is said of something else."""
    for form in ("The answer is {}.", "\\boxed{{{}}}"):
        assert check(answer, f"{form.format(answer)}\n\n{behind}", kind=kind).passed is True, form


@pytest.mark.parametrize(
    ("response", "number"),
    [
        ("Die Antwort ist 12. Nein, 13.", "13"),
        ("Die Antwort ist 12. Ich habe mich verrechnet: es sind 13.", "13"),
        ("La respuesta es 12. Perdón, me equivoqué: es 13.", "13"),
        ("La réponse est 12. Je me suis trompé, c'est 13.", "13"),
        ("The answer is 12.\n\nThat doesn't seem right. 13.", None),
    ],
)
def test_answers_are_taken_back_in_other_words_too(response: str, number: str | None) -> None:
    """In other languages what follows counts instead."""
    assert check("12", response, kind="number").passed is False
    if number:
        assert check(number, response, kind="number").passed is True


def test_two_statements_that_nothing_concludes_are_not_compared() -> None:
    """A second answer of the same line isn't a later one."""
    assert check("B", "Answer: B\n\nSo C.", kind="choice").passed is False
    assert concluded("The answer is 12, so it is 12.", 14) is None


@pytest.mark.parametrize("unit", ["so ", "so it is ", "the correct ", "however, it should be ", ", but ", "the a b c d e f "])
def test_a_long_last_sentence_takes_no_time(unit: str) -> None:
    """Only its end is looked at."""
    began = time.process_time()
    concluded("12.\n" + unit * (200_000 // len(unit)) + "13.", 0)
    assert time.process_time() - began < 1
