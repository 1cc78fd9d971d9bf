"""A number is read back exactly, in each of the forms that people write it in."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.judging.fences import visible
from verifiers.reading.answers import Answer, find_number
from verifiers.reading.numerals import cardinal


def ids(case: object) -> str | None:
    """Name a case by its text."""
    return visible(" ".join(case.split()))[:70] if isinstance(case, str) else None


def number(text: str) -> Fraction | None:
    """Return the final number, or None."""
    found = find_number(text)
    return found.value if isinstance(found, Answer) else None


WRITTEN = [
    ("1,234", 1234),
    ("$1,234.50", Fraction("1234.5")),
    ("1,234,567.89", Fraction("1234567.89")),
    ("1\u202f234\u202f567", 1234567),
    ("1{,}234", 1234),
    ("10,\\!000", 10000),
    ("12.0", 12),
    (".5", Fraction(1, 2)),
    ("-5", -5),
    ("−5", -5),
    ("- 5", -5),
    ("-$5", -5),
    ("$-5$", -5),
    ("negative 5", -5),
    ("minus five", -5),
    ("+5", 5),
    ("3/4", Fraction(3, 4)),
    ("-3/4", Fraction(-3, 4)),
    ("1 1/2", Fraction(3, 2)),
    ("-1 1/2", Fraction(-3, 2)),
    ("1½", Fraction(3, 2)),
    ("¾", Fraction(3, 4)),
    ("\\frac{1}{2}", Fraction(1, 2)),
    ("-\\dfrac{3}{4}", Fraction(-3, 4)),
    ("1\\frac{1}{2}", Fraction(3, 2)),
    ("\\frac12", Fraction(1, 2)),
    ("1.2e3", 1200),
    ("1.2 × 10^3", 1200),
    ("$1.2 \\times 10^{-3}$", Fraction("0.0012")),
    ("1.2 x 10³", 1200),
    ("10^6", 10**6),
    ("10^{6}", 10**6),
    ("$10^{-3}$", Fraction(1, 1000)),
    ("10⁶", 10**6),
    ("10²", 100),
    ("-10^2", -100),
    ("10^6 cells", 10**6),
    ("5k", 5000),
    ("5K", 5000),
    ("$1.5M", 1_500_000),
    ("3B", 3 * 10**9),
    ("5 bn", 5 * 10**9),
    ("1 000 000", 10**6),
    ("one dozen", 12),
    ("a dozen", 12),
    ("half a dozen", 6),
    ("two dozens", 24),
    ("1 1/2 dozen", 18),
    ("one and a half dozen", 18),
    ("7 M&Ms", 7),
    ("3 out of 6", Fraction(1, 2)),
    ("5 in 6", Fraction(5, 6)),
    ("50%", 50),
    ("50 percent", 50),
    ("50\\%", 50),
    ("€1,000", 1000),
    ("1000€", 1000),
    ("20 USD", 20),
    ("USD 20", 20),
    ("25 cents", 25),
    ("5km", 5),
    ("5 km/h", 5),
    ("5 m²", 5),
    ("90°", 90),
    ("the 12th", 12),
    ("5 million", 5_000_000),
    ("2.5 thousand", 2500),
    ("2 dozen", 24),
    ("twelve", 12),
    ("forty-two", 42),
    ("one hundred and five", 105),
    ("nine hundred ninety-nine", 999),
    ("two thousand and three", 2003),
    ("one half", Fraction(1, 2)),
    ("two thirds", Fraction(2, 3)),
    ("two and a half hours", Fraction(5, 2)),
    ("2 and a half hours", Fraction(5, 2)),
    ("twelve (12)", 12),
    ("**42**", 42),
    ("`42`", 42),
    ("\\(42\\)", 42),
    ('"42"', 42),
    ("~~41~~ 42", 42),
    ("\uff14\uff12", 42),
    ("4\u200b2", 42),
    ("42 🙂", 42),
    ("\\text{42 apples}", 42),
    ("\\mathbf{42}", 42),
]


@pytest.mark.parametrize(("written", "expected"), WRITTEN, ids=ids)
@pytest.mark.parametrize("frame", ["The answer is {}.", "Answer: {}", "We have 7 of them.\n\\boxed{{{}}}", "{}"])
def test_a_number_is_read_in_each_of_its_forms(frame: str, written: str, expected: Fraction | int) -> None:
    """A number means the same however it is written and announced."""
    assert number(frame.format(written)) == expected


STYLES = [
    "{}", "{:,}", "${:,}", "{:,}.0", "{:,}.00 dollars", "**{}**", "\\boxed{{{:,}}}", "$\\boxed{{{}}}$", "{:,} km", "{}%", "\\text{{{} apples}}", "({})",
    "{} apples in 3 boxes", "{}/1000 * 1000 = {}", "x = {}", "{} (see step 2)", "about {}", "`{}`", '"{}"', "\\({:,}\\)",
]  # fmt: skip
FRAMES = [
    "The answer is {}.",
    "So 1 + 1 = 2.\n\nAnswer: {}",
    "**Final answer:** {}",
    "The answer is {}. That took 4 steps.",
    "9 apples.\nThe answer is:\n\n{}",
]


@given(st.integers(-(10**30), 10**30), st.sampled_from(STYLES), st.sampled_from(FRAMES))
def test_a_number_is_read_back_in_any_style(value: int, style: str, frame: str) -> None:
    """Whatever the style, a written integer is read back as itself."""
    assert number(frame.format(style.format(value, value))) == value


@given(st.fractions(-1000, 1000, max_denominator=10**6), st.sampled_from(FRAMES))
def test_a_fraction_is_read_back(value: Fraction, frame: str) -> None:
    """A fraction in LaTeX or in a line is read back exactly; a whole one would be a calculation, so it is written as an integer."""
    sign = "-" if value < 0 else ""
    above, below = abs(value.numerator), value.denominator
    styles = [f"{sign}{above}"] if below == 1 else [f"{sign}{above}/{below}", f"${sign}\\frac{{{above}}}{{{below}}}$"]
    assert {number(frame.format(style)) for style in styles} == {value}


@given(st.decimals(-(10**9), 10**9, places=4), st.sampled_from(FRAMES))
def test_a_decimal_is_read_back(value: object, frame: str) -> None:
    """A decimal is read exactly, never as a float."""
    assert number(frame.format(f"{value:,}")) == Fraction(str(value))


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("zero", 0), ("nineteen", 19), ("ninety nine", 99), ("hundred", 100), ("nine hundred and ninety nine", 999), ("two million three", 2_000_003),
        ("two three", None), ("twenty twenty", None), ("ten five", None), ("zero one", None), ("one hundred hundred", None), ("one thousand million", None),
    ],
)  # fmt: skip
def test_number_words_are_one_number_or_none(words: str, value: int | None) -> None:
    """Words that only stand beside each other don't make a number."""
    assert cardinal(words.split()) == value
