"""Which letter a multiple-choice response chooses. None: none."""

from __future__ import annotations

import pytest

from verifiers.answers import Answer, find_choice, whole_choice
from verifiers.fences import visible


def ids(case: object) -> str | None:
    """Name a case by its text."""
    return visible(" ".join(case.split()))[:70] if isinstance(case, str) else None


CHOICES = [
    ("A", "A"),
    ("(A)", "A"),
    ("A)", "A"),
    ("A.", "A"),
    ("b", "B"),
    ("a) dog", "A"),
    ("Option A", "A"),
    ("Choice B", "B"),
    ("**D**", "D"),
    ("\\boxed{C}", "C"),
    ("\\boxed{\\text{C}}", "C"),
    ("$\\boxed{\\textbf{(C)}\\ 5}$", "C"),
    ("The answer is (B) because it fits", "B"),
    ("The answer is B because it fits", "B"),
    ("The answer is C) Paris", "C"),
    ("The answer is C: Paris", "C"),
    ('The answer is "B"', "B"),
    ("The answer is b", "B"),
    ("the answer is a.", "A"),
    ("The answer is option (d).", "D"),
    ("Answer: A", "A"),
    ("Answer: **C**", "C"),
    ("<answer>B</answer>", "B"),
    ("The correct option is C.", "C"),
    ("Option C is correct.", "C"),
    ("B is correct", "B"),
    ("A is the answer", "A"),
    ("C is wrong. (D) is correct.", "D"),
    ("B. Paris\n\nThe others are in Spain.", "B"),
    ("Let me think about it.\n\nC", "C"),
    ("A. dog\nB. cat\n\nThe answer is B.", "B"),
    ("The answer is A, not B", "A"),
    ("The answer is not A but B", "B"),
    ("The answer is B and not C", "B"),
    ("The answer is A. On reflection, the answer is B.", "B"),
    ("The answer is B. If A were true, then x > 5, which contradicts the premise.", "B"),
    ("**Answer: B**\n\nOption C says that it is hot. This does not match the passage.", "B"),
    ("The answer is B because A gives 7, which doesn't fit.", "B"),
    ("The answer is B. This does not match the passage.", None),
    ("The best answer is C.", "C"),
    ("The most appropriate answer is (C).", "C"),
    ("The correct answer choice is C.", "C"),
    ("The correct answer option is **C**", "C"),
    ("I would choose C.", "C"),
    ("So I'd go with C.", "C"),
    ("I choose option A.", "A"),
    ("My choice is C.", "C"),
    ("Hence, (A).", "A"),
    ("Therefore C.", "C"),
    ("We get 12 m/s, which is option C.", "C"),
    ("This corresponds to option A.", "A"),
    ("We get 12 m/s.\n\n(C) 12 m/s", "C"),
    ("None of A, C, D. Therefore B.", "B"),
    ("Ans. C", "C"),
    ("答案是C。", "C"),
    ("正确答案：C", "C"),
    ("Die Antwort ist C.", "C"),
    ("La respuesta correcta es C.", "C"),
    ("La bonne réponse est (C).", "C"),
    ("Правильный ответ: C", "C"),
    ("La respuesta no es C.", None),
    ("The answer could be C.", None),
    ("The answer is E = mc^2", None),
    ("The answer is e.g. this", None),
    ("Therefore A dog", None),
    ("Therefore, I think it's hard", None),
    ("Therefore B is wrong.", None),
    ("Option A says x. Option B says y.", None),
    ("Option A is true, but the question asks which is false.", None),
    ("I choose B. No: I choose C.", None),
    ("It is C.", "C"),
    ("This is C, the programming language.", None),
    ("If it is option D, then x = 2.", None),
    ("Suppose it is (D).", None),
    ("One might think that it is option D.", None),
    ("It can't be that it is (D).", None),
    ("I would say B, maybe C.", None),
    ("I would say C, but it's B.", None),
    ("I'd go with C, but it's really B.", None),
    ("I'd choose C. Or maybe it's B.", None),
    ("I'd choose C, but I didn't check.", "C"),
    ("Thus B, C and D can be ruled out.", None),
    ("So B, C, and D are out.\n\nA", "A"),
    ("Only B, C. So D, too.", None),
    ("It is C. difficile.", None),
    ("Thus C. difficile.", None),
    ("It is C, found in oranges.", None),
    ("It is B. The others are too small.", "B"),
    ("The reaction leads to C, which then forms D.\n\n(B) is correct.", "B"),
    ("The right angle corresponds to C. Hence AB is longest.\n\nOption B is correct.", "B"),
    ("B is my pick.", "B"),
    ("(B) is the one that fits.", "B"),
    ("B is what we want because A is smaller.", "B"),
    ("(A) is false. (B) is false. (C) is true. (D) is false.", "C"),
    ("(A) is true. (B) is false. (C) is true.", None),
    ("So B. But D also.", None),
    ("(A) is tempting, yet (B) is better.", None),
    ("The most common answer is B.", None),
    ("Die Antwort ist B oder C.", None),
    ("La respuesta es B o C.", None),
    ("答案是B还是C", None),
    ("(A) dog\n(B) cat\n(C) cow", None),
    ("The answer is a dog", None),
    ("Answer: A dog", None),
    ("A dog", None),
    ("I think it's a cat", None),
    ("The answer is A or B", None),
    ("The answer is A, B", None),
    ("The answer is (A) (B)", None),
    ("The answer is either A or B", None),
    ("Both A and B", None),
    ("The answer is A/B", None),
    ("The answer is A & B", None),
    ("The answer is not A.", None),
    ("The answer is A. Or B.", None),
    ("The answer is B. Wait, it's C.", None),
    ("$\\boxed{A}$ or $\\boxed{B}$", None),
    ("Is the answer A?", None),
    ("A is incorrect.", None),
    ("A. dog is wrong\nB. cat is right\n", None),
    ("None of the above", None),
    ("Answer: F", None),
    ("The answer is E-mail", None),
    ("The answer is C++", None),
    ("The answer is D'Artagnan", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "expected"), CHOICES, ids=ids)
def test_a_choice_is_a_letter_that_can_be_no_word(text: str, expected: str | None) -> None:
    """A letter is found where it is one; the article "a" is none."""
    found = find_choice(text, "ABCDE")
    assert (found.text if isinstance(found, Answer) else None) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("(B)", "B"), ("**b**", "B"), ("Option: C.", "C"), ("B because", None), ("F", None), ("A B", None), ("", None)],
    ids=ids,
)
def test_a_whole_response_may_have_to_be_the_choice(text: str, expected: str | None) -> None:
    """With `extract: whole` nothing may stand around the letter."""
    found = whole_choice(text, "ABCDE")
    assert (found.text if isinstance(found, Answer) else None) == expected
