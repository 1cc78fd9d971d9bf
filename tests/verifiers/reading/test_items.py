"""Things side by side, each with a number of its own: none of them is the answer, unless one says that it is."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest

from verifiers.reading.answers import Answer, NoAnswer, find_number

SIDE_BY_SIDE = [
    "Tom: 5\nAnn: 6",
    "- Tom: 5\n- Ann: 6",
    "1. Tom: 5 apples\n2. Ann: 6 apples",
    "(a) Monday: 5\n(b) Tuesday: 6",
    "**Monday:** 5\n\n**Tuesday:** 6",
    "Monday - 5\nTuesday - 6",
    "The price of pens: $5\nThe price of books: $6",
    "| Item | Cost |\n|---|---|\n| Pen | 5 |\n| Book | 6 |",
    "x = 5\ny = 6",
    "$x = 5$\n\n$y = 6$",
    "a_1 = 5\na_2 = 6",
    "**5** apples\n**6** pears",
    "5 apples\n6 pears\n",
    "4\n5\n6",
    "- 5\n- 6",
    "Case 1 gives 5.\nCase 2 gives 6.",
    "Case A: there are 5 ways.\n\nCase B: there are 6",
    "Tom gets 5 and Ann gets 6.",
    "So Tom gets 5 apples, and Ann gets 6 apples.",
    "The first costs 5 while the second costs 6",
    "The answer depends on x: 5 if x is even, 6 otherwise.",
    '{"min": 5, "max": 6}',
    '{\n  "tom": 5,\n  "ann": 6\n}',
]
ONE = [
    "Pen: 2\nBook: 4\nTotal: 6",
    "- Pen: 2\n- Book: 4\n- **Total:** 6",
    "Pens: 2\nBooks: 4\nAltogether: 6",
    "| Pen | 2 |\n| Book | 4 |\n| Total | 6 |",
    "x = 2\nx + 4 = 6",
    "x = 2\ny = x + 4 = 6",
    "eggs = 10\neaten = 4\nleft = 6",
    "Step 1: 2 + 2 = 4\nStep 2: 4 + 2 = 6",
    "First: 2 apples.\nShe buys 4 more, so she has 6 apples",
    "Tom: 6\nAnn: 6",
    "6\n6",
    "Tom gets 2 and Ann gets 4, so together they get 6.",
    "Tom gets 2 and Ann gets 4. Together: 6",
    "She has 2 and buys 4, which makes 6",
    "Case 1 gives 2.\nCase 2 gives 4.\nSo there are 6.",
    "Case 1 gives 2.\nCase 2 gives 4, so both give 6.",
    '{"steps": 2, "answer": 6}',
    '{"answer": 6, "confidence": 0.9}',
    '{"answer": "6", "steps": 2}',
    '{"value": 6}',
]


@pytest.mark.parametrize("text", SIDE_BY_SIDE)
def test_side_by_side(text: str) -> None:
    """The last one is no more the answer than the others."""
    found = find_number(text)
    assert isinstance(found, NoAnswer)
    assert "several" in found.why


@pytest.mark.parametrize("text", ONE)
def test_one_that_is_meant(text: str) -> None:
    """A total, a last step, or the same again."""
    found = find_number(text)
    assert isinstance(found, Answer), found
    assert found.value == Fraction(6)


@pytest.mark.parametrize("bit", ["Tom: 5\n", "| a | 5 |\n", "gets 5 and Ann ", "5 ", "case 1 5\n", '"a": 5, ', "x = 5\n", "5 a "])
def test_a_hostile_text_takes_no_time(bit: str) -> None:
    """Also where it is long and almost of the form."""
    began = time.process_time()
    find_number("{" + bit * (500_000 // len(bit)) + "5}")
    assert time.process_time() - began < 2
