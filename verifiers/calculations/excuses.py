"""Why an equation that looks false may be meant otherwise, and fails nobody."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

from verifiers.calculations.amounts import cancel, explained, units
from verifiers.calculations.arithmetic import Expression, Unreadable, evaluate, unclear_roots
from verifiers.calculations.hedges import hedged
from verifiers.calculations.lexer import Token, is_per, words
from verifiers.calculations.line import Line
from verifiers.calculations.sameness import is_markup, same
from verifiers.calculations.surroundings import begins_by_itself, ends_by_itself

_LABELS_NOTHING = words("so then thus hence therefore and is are now that gives get have")
_PARTS = words("and so then thus which because since as hence therefore")
"""Between two calculations that are two."""
_DOTTED = re.compile(r"\d{1,3}(?:\.\d{3})+")
"""1.200, which is 1200 to many."""
_HALF_A_DAY = 12
_HOUR = "hour"
_TENTH = Fraction(1, 10)
_PERCENT = Fraction(1, 100)
_ROUNDED = Fraction(1, 200)
"""By what part of it a value may differ from what is computed further from rounded numbers: 6(10 - 3.333) = 6 * 6.67."""


def goes_on(line: Line, first: Expression, second: Expression, other: Fraction) -> bool:
    """Whether two calculations are one in words, whose result is `other`: "20 + 10 boxes to the 29 + 24 that are there"."""
    between = line.tokens[first.end : second.first]
    if not first.operators or any(token.kind == "stop" or token.text.lower() in _PARTS for token in between):
        return False
    value, part = second.value(), first.value()
    if value == part:  # 260 gallons divided by 20 gallons per second, 260 / 20
        return False
    written = first.kinds == ["number", "/", "number"] and first.tokens[0].end == first.tokens[1].start
    return not written or other in {part * value, value - part, value + part, part and value / part}  # 1/2 of the 20 + 10


def excused(
    line: Line, left: Expression, right: Expression, value: Fraction, other: Fraction, *, about: bool, strict: bool, begin: int
) -> bool:
    """Whether a claim that looks false may be meant otherwise than it was read."""
    by_itself = begins_by_itself(line, left, right, value, other, begin=begin)
    if not by_itself or not ends_by_itself(line.tokens, left, right, value, other):
        return True
    if unclear_roots(left.tokens) or unclear_roots(right.tokens):
        return True
    # 3/4 = 15 students, 6% = $1,200; 1999-2003 = 5 years, 10-20 = 2 points
    if (_is_share(left) and abs(other) >= 1 and not _is_rate(line, right)) or (_is_range(left) and other > 0):
        return True
    return (
        _is_time_span(line, left, right, value + other)
        or _is_rounded(right, value, other, about=about, strict=strict)
        or _other_reading(line, left, right, about=about)
        or line.systems.explain(left, right, value, other)
        or (not cancel(line.tokens, left, right) and explained(line.tokens, left, right, value, other))
        or hedged(line.text, line.behind, left, right, value - other)
    )


def excused_conversion(line: Line, left: Expression, right: Expression, value: Fraction, other: Fraction, *, begin: int) -> bool:
    """Whether an amount that looks like a wrong one of another unit may be meant otherwise."""
    rounded = value.denominator != 1 and other.denominator == 1 and abs(value - other) < 1
    by_itself = left.first == begin or line.tokens[left.first - 1].kind == "stop"  # and not "from 9 to 10 hours = 60 minutes"
    by_itself = by_itself and ends_by_itself(line.tokens, left, right, value, other)
    return rounded or not by_itself or hedged(line.text, line.behind, left, right, value - other)


def excused_result(line: Line, left: Expression, right: Expression, value: Fraction, other: Fraction, *, about: bool) -> bool:
    """Whether a calculation behind its result, `right`, that looks false may be meant otherwise."""
    return (
        _is_share(left)
        or _is_range(left)
        or _is_rounded(right, value, other, about=about, strict=False)
        or _other_reading(line, left, right, about=about)
        or line.systems.explain(left, right, value, other)
        or hedged(line.text, line.behind, right, left, value - other)
    )


def _is_rounded(right: Expression, value: Fraction, other: Fraction, *, about: bool, strict: bool) -> bool:
    """Whether the right side may be rounded, or computed from rounded numbers."""
    apart, number = abs(value - other), right.single
    if about and other and apart <= _TENTH * abs(value):
        return True
    if right.operators and any(token.places for token in right.tokens) and apart <= _ROUNDED * abs(value):
        return True
    unit = _PERCENT if any(token.kind == "%" for token in right.tokens) else 1
    return not strict and number is not None and value.denominator != 1 and not number.places and apart < unit


def sum_of_digits(left: Expression, right: Expression) -> bool:
    """Whether the right side begins with the digits of the left one, as in 9 + 8 = 17 = 1 + 7 = 8."""
    digits = [token.text for token in right.tokens if token.kind == "number"]
    return left.single is not None and right.operators > 0 and "".join(digits) == left.single.text


def _is_share(left: Expression) -> bool:
    """Whether an expression is a proper fraction or a percentage and nothing else: of what, isn't said."""
    inner = _inner(left)
    kinds = [token.kind for token in inner]
    if kinds != ["number", "/", "number"]:
        return kinds == ["number", "%"]
    above, slash, below = inner
    written = above.end == slash.start and slash.end == below.start and not (above.money or above.places or below.places)
    return written and above.value < below.value


def _is_rate(line: Line, right: Expression) -> bool:
    """Whether a result is of money for one of something: $0.2 per minute."""
    behind = line.tokens[right.end : right.end + 2]
    return right.tokens[0].money and len(behind) > 1 and is_per(*behind)


def _is_time_span(line: Line, left: Expression, right: Expression, both: Fraction) -> bool:
    """Whether the hours between two times of a clock may be counted, with half a day between the values: 9 - 5 = 8 hours."""
    kinds = [token.kind for token in _inner(left)]
    return kinds == ["number", "-", "number"] and both == _HALF_A_DAY and _HOUR in units(line.tokens[right.end : right.units_end])


def _inner(left: Expression) -> Sequence[Token]:
    """Return its tokens without a bracket around them."""
    return left.tokens[1:-1] if left.tokens[0].kind == "(" and left.tokens[-1].kind == ")" else left.tokens


def _is_range(left: Expression) -> bool:
    """Whether an expression is a number and a greater one, with a dash and no space between."""
    inner = _inner(left)
    if [token.kind for token in inner] != ["number", "-", "number"]:
        return False
    least, dash, most = inner
    return least.value < most.value and least.end == dash.start and dash.end == most.start


def _other_reading(line: Line, left: Expression, right: Expression, *, about: bool) -> bool:
    """Whether the claim is true when it is read otherwise."""
    kinds, other = set(left.kinds), right.value()
    if (
        "%" in kinds
        and kinds & {"+", "-"}
        and not (_is_sum_of_shares(left, right) or _is_marked_up(left, other) or _is_of_something(left))
    ):
        return True
    if any(same(value, other, right, about=about) for value in _other_values(line, left)):
        return True
    dotted = [_dotted(each.tokens) for each in (left, right)]
    return dotted != [left.tokens, right.tokens] and evaluate(dotted[0]) == evaluate(dotted[1])


def _is_sum_of_shares(left: Expression, right: Expression) -> bool:
    """Whether percentages, and nothing else, are added up to one: 50% + 25% = 80%."""
    if left.end < left.units_end or abs(left.value() - right.value()) <= _PERCENT:  # of the rest; 33% + 33% + 33% = 100%
        return False
    sides = [side.kinds for side in (left, right)]
    return all(set(kinds) <= {"number", "%", "+", "-"} and kinds.count("number") == kinds.count("%") for kinds in sides)


def _is_marked_up(left: Expression, other: Fraction) -> bool:
    """Whether a percentage is added to a number, of nothing else, and that isn't the result, rounded: $100 + 20% = $130."""
    return is_markup(left) and left.end == left.units_end and abs(left.value("relative") - other) >= 1


def _is_of_something(left: Expression) -> bool:
    """Whether each percentage says of what it is: 20% of 50 + 5, 1000 * (1 + 5%)^2."""
    kinds = left.kinds
    grows = (["(", "number", "+", "number", "%", ")"], ["(", "number", "-", "number", "%", ")"])
    return all(
        "*" in kinds[max(i - 2, 0) : i + 2] or (kinds[max(i - 4, 0) : i + 2] in grows and left.tokens[i - 3].value == 1)
        for i, kind in enumerate(kinds)
        if kind == "%"
    )


def _is_of_years(left: Expression) -> bool:
    """Whether its numbers may be years: 2020 - 2023."""
    return all(token.value in range(1000, 3000) for token in left.tokens if token.kind == "number")


def _other_values(line: Line, left: Expression) -> list[Fraction]:
    """Return what the left side may be worth otherwise."""
    values = [left.value(swapped=line.rounded)] if line.rounded else []
    if line.dash and left.first == 0:
        with contextlib.suppress(Unreadable):
            values.append(evaluate((Token("-", "-", 0, 0), *left.tokens)))
    if _is_range(left) or (left.kinds == ["number", "-", "number"] and _is_of_years(left)):
        values.append(-left.value())
    if left.kinds[:3] == ["number", "%", "*"]:  # 20% of (50 + 5)
        values.append(evaluate(left.tokens[:2]) * evaluate(left.tokens[3:]))
    for behind in _behind_a_label(line, left):
        with contextlib.suppress(Unreadable):
            values.append(evaluate(behind))
    return values


def _behind_a_label(line: Line, left: Expression) -> Iterator[Sequence[Token]]:
    """Yield the calculations that begin behind a dash: "Total for 10 - 5 * 2 = 10"."""
    if not left.first:
        return
    label = line.tokens[left.first - 1]
    if label.kind != "word" or label.text.lower() in _LABELS_NOTHING:
        return
    for i in range(1, len(left.tokens) - 1):
        dash, behind = left.tokens[i], left.tokens[i + 1 :]
        spaced = left.tokens[i - 1].end < dash.start and dash.end < behind[0].start
        if dash.kind == "-" and spaced and any(token.kind in {"*", "/", "^", "+"} for token in behind):
            yield behind


def _dotted(line: Sequence[Token]) -> tuple[Token, ...]:
    """Return the tokens with 1.200 as 1200."""
    return tuple(
        replace(token, value=Fraction(token.text.replace(".", "")), places=0) if _DOTTED.fullmatch(token.text) else token
        for token in line
    )
