"""The units of an equation's two sides, and whether these explain that the numbers differ."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction

from verifiers.calculations.arithmetic import Expression
from verifiers.calculations.dimensions import cancels, singular
from verifiers.calculations.lexer import Token, terms, words
from verifiers.calculations.sameness import same

NO_UNITS = words(
    """total altogether left in for per each and a an the of on at to so he she they we it this that which there remaining
    all together more by is are was were has have had because since then while when but or as with from overall after before
    during until"""
)
"""Words behind a number that are no unit of it."""
_MEASURES: Sequence[tuple[Collection[str], Collection[int]]] = (
    (
        words("ms millisecond second sec minute min hour hr day week fortnight month year yr decade century"),
        (7, 12, 24, 30, 52, 60, 365, 1440, 3600),
    ),
    (
        words(
            """inch in foot feet ft yard yd mile mi mm cm m km millimeter millimetre centimeter centimetre meter metre kilometer
            kilometre"""
        ),
        (3, 12, 36, 100, 1000, 1760, 5280),
    ),
    (words("mg g gram kg kilogram kilo tonne ton oz ounce lb pound"), (16, 1000, 2000)),
    (
        words("ml l liter litre milliliter millilitre cup pint quart gallon tablespoon tbsp teaspoon tsp oz ounce"),
        (4, 8, 16, 1000),
    ),
    (words("$ dollar buck cent \u00a2 penny pennie nickel dime quarter euro pound pence usd eur gbp yen rupee"), (100,)),
    (words("bit byte kb mb gb tb kilobyte megabyte gigabyte terabyte"), (8, 1000, 1024)),
    (words("degree celsius fahrenheit kelvin c f"), ()),
)
"""The units of what is measured, and how many of one may be one of another where that one isn't named."""
SECONDS = {"second": 1, "sec": 1, "minute": 60, "min": 60, "hour": 3600, "hr": 3600}
"""Units that mean the same in every story: a day may have eight hours of work, a week five days, and a map a scale."""
_PREFIXED = re.compile(r"(?:[kmgtµn](?:j|wh?|n|pa|v|a|hz|ev|cal|mol|b|bps)|(?:kilo|mega|giga|tera|milli|micro|nano)[a-z]+)")
"""A unit that is a power of a thousand, or of 1024, of another one."""
_POWERS = frozenset(Fraction(thousand**n) for thousand in (1000, 1024) for n in (1, 2, 3, 4))
_ALIKE = words("quart liter litre l yard yd meter metre m")
"""Units that are about as much as another one."""
_NEAR = Fraction(109, 100)
_LENGTHS: Mapping[str, int] = {
    **dict.fromkeys(("mm", "millimeter", "millimetre"), 10),
    **dict.fromkeys(("cm", "centimeter", "centimetre"), 100),
    **dict.fromkeys(("in", "inch"), 254),
    **dict.fromkeys(("ft", "foot", "feet"), 3_048),
    **dict.fromkeys(("yd", "yard"), 9_144),
    **dict.fromkeys(("m", "meter", "metre"), 10_000),
    **dict.fromkeys(("km", "kilometer", "kilometre"), 10_000_000),
    **dict.fromkeys(("mi", "mile"), 16_093_440),
}
"""Tenths of a millimeter."""


def explained(line: Sequence[Token], left: Expression, right: Expression, value: Fraction, other: Fraction) -> bool:
    """Whether the sides of an equation may differ, as they do, since amounts in them are in different units of one measure."""
    mine = units([*left.tokens, *line[left.end : left.units_end]])
    theirs = units([*right.tokens, *line[right.end : right.end + 1]])
    if mine != theirs and _is_multiple_of_time(left, mine, theirs):  # 1.5 hours * 2 = 180 minutes
        (one,), (two,) = mine, theirs
        return same(value * SECONDS[one] / SECONDS[two], other, right, about=False)
    if not mine and (lengths := [_LENGTHS[unit] for unit in theirs if unit in _LENGTHS]):
        return any(value * one == other * two for one in _LENGTHS.values() for two in lengths)
    ratio = max(value / other, other / value) if value * other > 0 else Fraction()
    behind = units([*right.tokens, *line[right.end : right.units_end]])  # "15 green balls"
    return (
        _adds_up_amounts(line[left.first : left.units_end])
        or (convertible(mine, mine) and ratio.denominator == 1)  # 2 ms * 5 MB/s
        or (not theirs <= mine and mine.isdisjoint(behind) and convertible(mine, theirs) and not _is_near(ratio, mine | theirs))
        or (ratio in _POWERS and any(_PREFIXED.fullmatch(unit) for unit in mine ^ theirs))  # 100 W * 3600 s = 360 kJ
        or any(ratio in factors for unit in mine ^ theirs for measured, factors in _MEASURES if unit in measured)
    )


def _is_near(ratio: Fraction, both: Collection[str]) -> bool:
    """Whether amounts differ by less than different units of one measure would have them: 18 pints * 2 = 37 cups."""
    return 0 < ratio < _NEAR and _ALIKE.isdisjoint(both)


def cancel(line: Sequence[Token], left: Expression, right: Expression) -> bool:
    """Whether the units of a left side come to the right one's, so that none is to be converted: 2 pills/day * 7 days."""
    for end in range(right.end, right.units_end + 1):  # the words behind it may go on with the sentence
        following = line[end : end + 1]
        ends = not following or not (following[0].kind == "/" or following[0].text.lower() in {"per", "a", "an"})
        if ends and cancels(line[left.first : left.units_end], line[right.first : end]):
            return True
    return False


def _is_multiple_of_time(left: Expression, mine: Collection[str], theirs: Collection[str]) -> bool:
    """Whether a time is multiplied or divided, so that its conversion is known: 2 hours * 60."""
    operators = {token.kind for token in left.tokens} - {"number", "word"}
    return len(mine) == len(theirs) == 1 and SECONDS.keys() >= {*mine, *theirs} and operators <= {"*", "/"}


def units(line: Sequence[Token]) -> frozenset[str]:
    """Return the words that may be units, in the singular; "$" for any currency's sign."""
    found = {singular(token.text.lower()) for token in line if token.kind == "word" and token.text.lower() not in NO_UNITS}
    return frozenset(found | ({"$"} if any(token.money for token in line) else set()))


def convertible(some: Collection[str], others: Collection[str]) -> bool:
    """Whether two different units measure the same."""
    pairs = [(one, other) for one in some for other in others if one != other]
    return any(one in measured and other in measured for one, other in pairs for measured, _ in _MEASURES)


def _adds_up_amounts(line: Sequence[Token]) -> bool:
    """Whether amounts in different units are added or subtracted: 2 feet + 6 inches."""
    kinds = [kind for term in terms(line) if (kind := units(term))]
    return any(convertible(one, other) for i, one in enumerate(kinds) for other in kinds[i + 1 :] if one.isdisjoint(other))
