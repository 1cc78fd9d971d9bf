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
        ("number", "12", "I forgot the driver. So the total number of people is 13."),
        ("number", "12", "I forgot one. So the total is 13, which is correct."),
        ("number", "12", "Let me double-check: 10 + 3 = 13. So the total is 13, which is correct."),
        ("number", "12", "However, we must also count the driver: 12 + 1 = 13."),
        ("number", "12", "There is one more, so it is 13 apples in total."),
        ("number", "12", "The box has one more, so it is 13, not 12."),
        ("number", "12", "So it should be 13 rather than 12."),
        ("number", "12", "Thus the final price is $13."),
        ("number", "12", "Therefore x = 13."),
        ("math", "12", "So $x = 13$."),
        ("math", "x = 12", "So $x = 13$."),
        ("math", "7", "However, $x = 7$ doesn't satisfy the original equation."),
        ("date", "March 5, 2024", "So it's Monday, March 4, 2024."),
        ("choice", "A", "So it is **B. Berlin**"),
        ("choice", "A", "So it must be B (Berlin)."),
        ("number", "90", "So it is 1.6 hours."),
        ("number", "12", "Let me double-check: 10 + 3 = 13. So the total number of apples is 13."),
        ("number", "12", "So it is 0.12."),
        ("number", "12", "So the total amount is $13."),
        ("choice", "A", "So the better answer is B."),
        ("choice", "A", "So the most likely diagnosis is B."),
        ("date", "March 5, 2024", "So it is March 4."),
        ("set", "{1, 2}", "So the solution set is $\\{1, 3\\}$."),
        ("math", "\\frac{7}{3}", "So it is $2.43$."),
        ("math", "60^\\circ", "So it is $\\frac{\\pi}{4}$."),
        ("math", "\\pi", "So it is $3.15$."),
        ("set", "{1,2}", "So it is $\\{1\\}$."),
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
        ("number", "12", "Check: Ann has 12, Bob has 8, so the total is 20."),
        ("number", "12", "So the total is 12 + 8 = 20, which matches the given total."),
        ("number", "12", "Check:\n- Ann: 12\n- Bob: 8\nSo the sum is 20."),
        ("number", "12", "- Ann: 12\n- Bob: 8\nSo the sum is 20."),
        ("number", "12", "Let's verify: twice 12 is 24. Subtracting 4 gives 20. So the total is 20."),
        ("number", "8", "Check: Doubling 8 gives 16. So the number is 16."),
        ("number", "8", "Check: 8² + 6² = 100. So the sum is 100 \u2713"),
        ("math", "x=2", "Check: $3(2)+1 = 7$. So the value is $7$."),
        ("math", "(2,3)", "Check: $2 + 3 = 5$, so the sum is $5$."),
        ("set", "{1,2}", "Check: 1 + 2 = 3, so the sum is 3."),
        ("set", "{1,2}", "So the number of elements is 2."),
        ("math", "10", "So the number of divisors is $4$."),
        ("math", "10", "So $y = 4$."),
        ("number", "12", "So the number of boxes is 4."),
        ("number", "40", "So the number of girls is 60."),
        ("number", "40", "So the amount left is 60."),
        ("number", "40", "So the total per day is 8."),
        ("number", "40", "So the amount per person is $8."),
        ("number", "40", "So it is 8 per day."),
        ("number", "40", "So it is $8 a day."),
        ("number", "40", "So it is 8 hours a day."),
        ("number", "40", "So it is 5 groups of 8."),
        ("number", "40", "So this is one way to solve it."),
        ("number", "40", "It must be 2 digits long."),
        ("number", "10", "So it is 5 times as many as Bob has."),
        ("number", "10", "So it is 3 days longer than the first trip."),
        ("number", "10", "So the value is 50% of the original."),
        ("number", "10", "So the amount is 3 dollars more than before."),
        ("number", "10", "So it is 50% off."),
        ("number", "5", "So it is the 3rd smallest prime."),
        ("number", "34", "So it is 33.3 rounded up to the nearest whole number."),
        ("number", "15", "So it is 3 PM."),
        ("number", "25", "So it is 1/4 of the total."),
        ("number", "40", "The right angle is 90 degrees."),
        ("text", "Paris", "The actual population is 2.1 million."),
        ("text", "Mount Everest", "The correct height is 8,849 meters."),
        ("text", "William Shakespeare", "The correct title of the play is Hamlet."),
        ("math", "4", "So there are no other solutions."),
        ("number", "3", "This uses 4 boxes rather than 3."),
        ("number", "3", "She has 5 now instead of 3."),
        ("choice", "B", "The patient has hepatitis C. So the diagnosis is C."),
        ("choice", "B", "So the correct formula is C."),
        ("number", "90", "So it is 1.5 hours."),
        ("number", "12", "Check: Ann has 12 and Bob 8. So the total number of apples is 20."),
        ("math", "\\pi", "So it is $3.14$."),
        ("math", "\\frac{7}{3}", "So it is $2.33$."),
        ("math", "12\\pi", "So it is $37.7$."),
        ("math", "\\sqrt{2}", "So the value is $\\approx 1.414$."),
        ("math", "60^\\circ", "So it is $\\frac{\\pi}{3}$."),
        ("math", "\\frac{\\pi}{3}", "So it is $60^\\circ$."),
        ("date", "March 5, 2024", "So the date is March 5."),
        ("date", "March 5, 2024", "So it is 10 days after February 24, 2024."),
        ("date", "March 5, 2024", "So the total number of days is 10."),
        ("set", "{1,2}", "So it is 2 solutions in total."),
        ("set", "{1,2}", "So the sum is 3."),
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
