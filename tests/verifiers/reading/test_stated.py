"""A number in bold above a list is an answer where the list has its parts, and none where it begins a solution."""

from __future__ import annotations

import pytest

from tests.verifiers.test_exact_match import check
from verifiers.reading import stated
from verifiers.reading.numerals import Numeral, numerals

DUCKS = (
    "Janet's ducks lay **16** eggs per day.\n\n1. Eggs left: 16 - 3 - 4 = 9\n2. Money: 9 × 2 = $18\n\nJanet makes $18 every day."
)
APPLES = "Tom starts with **12** apples.\n\n- He gives away 3 and then 4.\n\nTom has **5** apples."
EGGS = "**16 eggs**\n\n- eats 3\n- bakes 4\n\nShe has 9 eggs to sell."
RIGHT_BELOW = "Tom starts with **12** apples.\n\n- He gives away 3\n- He gives away 4\nTom has 5 apples."


@pytest.mark.parametrize(
    ("text", "right", "given"), [(DUCKS, "18", "16"), (APPLES, "5", "12"), (EGGS, "9", "16"), (RIGHT_BELOW, "5", "12")]
)
def test_a_given_number_above_the_steps_is_no_answer(text: str, right: str, given: str) -> None:
    """What follows the list is."""
    assert check(right, text, kind="number").passed is True
    assert check(given, text, kind="number").passed is False


@pytest.mark.parametrize(
    "behind", ["", "\n\nThat is $18 per day.", "\n\nWould you like 3 more examples?", "\n\nShe sells them at the market."]
)
def test_a_number_above_its_parts_is_the_answer(behind: str) -> None:
    """Lines that say it again, or no number, leave it."""
    assert check("18", f"Janet makes **$18** every day.\n\n- Eggs left: 9\n- Price: $2{behind}", kind="number").passed is True


def test_few_paragraphs_above_explanations_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are: each is read in full."""
    calls: list[str] = []

    def counted(text: str) -> list[Numeral]:
        calls.append(text)
        return numerals(text)

    monkeypatch.setattr("verifiers.reading.stated.numerals", counted)
    body = "".join(f"x **{i}** a\n\nwhy:={'1 ' * 8}\n\n" for i in range(2, 14_000))
    assert stated.above(body) is None
    assert 0 < len(calls) <= 20
