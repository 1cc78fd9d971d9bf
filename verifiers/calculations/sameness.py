"""Whether two values are the same as people show them: rounded, cut off, in percent."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from verifiers.calculations.arithmetic import Expression, Mode

NOISE = 10
"""Digits behind the point from which on a computer's floating point shows: 0.1 + 0.2 = 0.30000000000000004."""
NEAR = Fraction(1, 10**40)
"""By what part of it a value may differ that is equal, but for roots."""
_MODES: Sequence[Mode] = ("share", "unit", "relative")


def same(value: Fraction, other: Fraction, shown: Expression, *, about: bool) -> bool:  # noqa: PLR0911 - a table, in effect
    """Whether two values are the same, to the digits of the second where it is a number: rounded or cut off there."""
    if value == other or abs(value - other) <= NEAR * abs(value):
        return True
    if shown.scientific:
        mantissa, exponent = shown.scientific
        return abs(value - other) <= Fraction(10) ** (exponent - mantissa.places) / 2
    number = shown.single
    if number is None:
        return False
    percent = any(token.kind == "%" for token in shown.tokens)
    if not number.places and not about and not percent:
        return False
    share = percent and abs(other) == number.value / 100  # and not 66.7 of the same unit
    unit = Fraction(10) ** -number.places / (100 if share else 1)
    digits = number.text.replace(",", "")
    if about and not number.places and (zeros := len(digits) - len(digits.rstrip("0"))) and zeros < len(digits):
        coarse = unit * 10**zeros
        if abs(value - other) <= coarse / 2:
            return True
    if number.places >= NOISE and abs(value - other) <= unit * 10 ** (number.places - NOISE):
        return True
    return abs(value - other) <= unit / 2 or (value * other >= 0 and 0 <= abs(value) - abs(other) < unit)


def same_in_percent(left: Expression, right: Expression, *, about: bool) -> bool:
    """Whether two sides with percentages are the same in some reading of these: 100 - 20 = 80%, 50 + 10% = 55."""
    both = (*left.tokens, *right.tokens)
    if all(token.kind != "%" for token in both):
        return False
    # $50 - 10% isn't $40, nor 50 + 10% 60
    amounts = any(token.money for token in both) or (is_markup(left) and right.single is not None)
    modes: Sequence[Mode] = ("share", "relative") if amounts else _MODES
    return any(same(left.value(mode), right.value(each), right, about=about) for mode in modes for each in modes)


def is_markup(left: Expression) -> bool:
    """Whether a percentage, and nothing else, is added to a number or taken off it: $100 + 20%."""
    return left.kinds in (["number", "+", "number", "%"], ["number", "-", "number", "%"])
