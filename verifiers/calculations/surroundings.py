"""What stands right before and right behind an equation, and may make other numbers of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction

from verifiers.calculations.amounts import NO_UNITS, convertible, units
from verifiers.calculations.arithmetic import Expression
from verifiers.calculations.lexer import Kind, Token, disturbed, disturbs, is_per, words
from verifiers.calculations.line import Line, article

_BEFORE = words("twice double half triple thrice than times negative minus plus squared root per dozen sqrt")
"""Words after which a number isn't where a calculation begins."""
_LABELS = words(
    """step day week month year question problem case part chapter grade level number no phase room page pages ages years
    days verses chapters equation line"""
)
"""Words that a number behind them may belong to: day 3."""
_WHICH = words(
    """every each per this that last next same other final first second third fourth fifth sixth seventh eighth ninth tenth"""
)
"""Words before a label that has no number: each day."""
_CHANGES = words("by from another")
"""Words after which the result may be that of more than the calculation: "from 12, another 5 - 2 = 15"."""
_MULTIPLIES = re.compile(
    r"\b(?:multipl|factor|halv|doubl|tripl|enlarg|shr[iu]nk|divid|rais|times|product(?!i)|quotient|split|scal)", re.IGNORECASE
)
_FUNCTIONS = words(
    "sqrt root log ln lg sin cos tan cot sec csc exp floor ceil ceiling round max min gcd lcm hcf gcf abs det mod combinations"
)
"""Words by which brackets behind them are other numbers."""
_MEAN = words("average mean")
_PART_OF = words(
    """half halves third thirds quarter quarters fourth fourths fifth fifths sixth sixths eighth eighths tenth tenths percent
    percentage double twice triple root sqrt square cube product difference quotient multiple fraction part portion rest most all
    each all one two three out ratio median"""
)
"""Words before "of" that make another number of what follows."""
_FRACTIONS = words("half third thirds quarter quarters fourth fourths fifth fifths tenth tenths twice double triple square root")
_ADDS: Mapping[str, Kind] = {"difference": "-", "product": "*", "quotient": "/"}
"""The sign of what is called so."""
_EACH = words("of at for")
"""Words between how many there are and what each of them is."""
_COMPARED = words("more less fewer times")
_ALTERS = words("remainder rem modulo am pm o'clock o\u2019clock")
_ORDINALS = words("st nd rd th")
_NUMERALS = words("one two three four five six seven eight nine ten")
_POWERS = words("power nearest first second third fourth fifth sixth")
_LEFT_OVER = words("remainder rem left over a one")
_SCALES: Mapping[str, int] = {
    **dict.fromkeys(("pair", "pairs", "couple"), 2),
    **dict.fromkeys(("dozen", "dozens"), 12),
    "hundred": 100,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
}
"""Words by which the number before them is more."""
_DIVIDED = words("hour minute day week year foot pound dollar")
"""Units of which the smaller one's name may be left out: 1 hour 15."""
_HOURS = 12
"""Of a clock."""
_QUOTES = frozenset('"\u201d\u2033')
"""Behind a number: the end of a quotation, or inches."""
_PLACES = words("dozen ten tens hundred hundreds thousand thousands")
_ROUNDED = Fraction(1, 20)
"""By what part a scaled number may differ: 1,852,000 = 1.85 million."""


def begins_by_itself(line: Line, left: Expression, right: Expression, value: Fraction, other: Fraction, *, begin: int) -> bool:
    """Whether nothing before an equation seems to belong to it. `begin`: where its part of the line begins."""
    if left.first == begin:
        return True
    token, before = line.tokens[left.first], line.tokens[left.first - 1]
    earlier = line.tokens[left.first - 2] if left.first - 2 >= begin else None
    if before.kind == "(":
        return left.first - 1 in line.pairs and (earlier is None or earlier.kind in {"word", "stop", "("})
    if before.kind == "stop":
        said = before.text == ":" and earlier is not None and earlier.kind == "word"  # Total:5 + 3
        return before.text != "!" and (said or before.end < token.start)
    if before.kind != "word" or (before.end == token.start and not _lacks_a_space(before)):
        return False
    if len(before.text) == 1:
        return before.text == "a" and (token.money or _is_named(line.tokens, right.end))
    return _follows(line, left, earlier, value, other)


def _lacks_a_space(word: Token) -> bool:
    """Whether a word that a number follows at once is none of a name's or a function's: because20 - 3 = 17."""
    return len(word.text) > 1 and word.text.lower() in NO_UNITS


def _follows(  # noqa: PLR0911 - a table, in effect
    line: Line, left: Expression, earlier: Token | None, value: Fraction, other: Fraction
) -> bool:
    """Whether the word before a calculation, and the token `earlier` than that, leave it as it is."""
    token, word = line.tokens[left.first], line.tokens[left.first - 1].text.lower()
    number_before = earlier is not None and earlier.kind in {"number", "odd", "%"}
    said = earlier.text.lower() if earlier is not None and earlier.kind == "word" else ""
    if token.kind == "(" and (word in _FUNCTIONS or _in_brackets(line, left)):  # the cost for everyone (2 + 3) = $50
        return False
    if word in _MEAN or (word == "of" and said in _MEAN):
        return (value / other if other else 0) not in range(2, 100)
    if word in _EACH and _so_many_of(line, left, value, other):
        return False
    if word == "of":
        whole = {each.text.lower() for each in line.tokens[max(left.first - 5, 0) : max(left.first - 2, 0)]}
        if "of" in whole and not whole.isdisjoint(_FRACTIONS):  # half of the sum of 3 + 4
            return False
        return bool(said) and (_ADDS.get(said) in left.kinds or said.rpartition("-")[2] not in _PART_OF)  # two-thirds
    if word in _LABELS:
        return said in _WHICH or token.money or line.tokens[left.first + 1].kind == "word"
    if word in _CHANGES:
        return not number_before and not _changed(line, left, word, value, other)
    if word not in NO_UNITS and not token.money and number_before:
        return False  # 2 hours 30 + 1
    return word not in _BEFORE


def _in_brackets(line: Line, left: Expression) -> bool:
    return line.pairs.get(left.first) == left.end - 1


def _so_many_of(line: Line, left: Expression, value: Fraction, other: Fraction) -> bool:
    """Whether the first number counts as often as a number before says: 5 boxes of 12 - 8 = 52, 2 hours at $15 + $5 = $35."""
    first, many = line.tokens[left.first], line.tokens[left.first - 3 : left.first - 2] if left.first > 2 else ()  # noqa: PLR2004
    return bool(many) and many[0].kind == "number" and other - value == (many[0].value - 1) * first.value


def _is_named(line: Sequence[Token], i: int) -> bool:
    """Whether a noun may stand there: "a 240 * 0.2 = $48 discount"."""
    return i < len(line) and line[i].kind == "word" and line[i].text.lower() not in NO_UNITS


def _changed(line: Line, left: Expression, word: str, value: Fraction, other: Fraction) -> bool:
    """Whether a result may be that of a number named before, changed by the calculation, or this is no more than a range."""
    if word == "from" and left.kinds == ["number", "-", "number"]:
        least, _, most = left.tokens
        if least.value <= _HOURS or least.value <= most.value:
            return True  # from 9 - 5 = 8 hours, from 10 - 20
    multiplied = word == "by" and _MULTIPLIES.search(line.text[: left.tokens[0].start])
    numbers = {token.value for token in line.tokens[: left.first] if token.kind == "number"} - {0, 1}
    if word == "by" and not multiplied:
        return any(other in {number + value, abs(number - value)} for number in numbers)
    return any(
        other in {number + value, abs(number - value), number * value, number / value if value else None, value / number}
        for number in numbers
    )


def ends_by_itself(  # noqa: PLR0911 - likewise
    line: Sequence[Token], left: Expression, right: Expression, value: Fraction, other: Fraction
) -> bool:
    """Whether nothing between the sides of an equation, or behind it, seems to change them."""
    unit = line[left.end : left.units_end]
    added = left.kinds[-2:-1] == ["+"] and "!" not in left.kinds
    if added and [token.text for token in unit] == ["more"]:  # 5 chips + 3 more = 8
        unit = []
    if disturbed(unit) and not _scaled_alike(unit, line[right.end : right.end + 1]):
        return False
    if right.end >= len(line):
        return True
    after, behind = line[right.end], line[right.end + 1 : right.end + 4]
    if after.kind == "word":
        return not _in_two_units(after, behind) and _goes_with(line, right, value, other)
    if after.kind == "stop":
        return after.text != "!" and not (behind and behind[0].start == after.end)
    if after.kind == "-":  # a dash between two thoughts
        return bool(behind) and behind[0].kind == "word" and after.end < behind[0].start
    if after.kind == "/":
        return bool(behind) and behind[0].kind == "word"
    if after.kind == "number":  # 12 200-page books
        glued = [token.kind for token in behind[:2]] == ["-", "word"] and after.end == behind[0].start
        return glued and behind[0].end == behind[1].start
    if after.text in _QUOTES:
        return not behind or behind[0].kind in {"word", "stop"}
    return after.kind in {"=", "~", ")", "("}


def _scaled_alike(unit: Sequence[Token], after: Sequence[Token]) -> bool:
    """Whether both sides are in pairs, or dozens: 40 * 3 pairs of boxes = 120 pairs."""
    scales = {token.text.lower().removesuffix("s") for token in unit if token.text.lower() in _SCALES}
    rest = [token for token in unit if token.text.lower() not in _SCALES]
    return scales == {token.text.lower().removesuffix("s") for token in after} and not disturbed(rest)


def _in_two_units(after: Token, behind: Sequence[Token]) -> bool:
    """Whether a smaller unit follows an amount's: 2 hours 30 minutes, 6 feet, 3 inches, 1 ten and 5 ones."""
    rest = behind[1:] if behind and behind[0].text.lower() in {",", "and"} else behind
    if not rest or rest[0].kind != "number":
        return False
    named = len(rest) > 1 and rest[1].kind == "word"
    return after.text.lower() in _PLACES or convertible(units([after]), units(rest[1:2]) if named else _DIVIDED)


def _goes_with(line: Sequence[Token], right: Expression, value: Fraction, other: Fraction) -> bool:  # noqa: PLR0911 - likewise
    """Whether the word behind a result leaves it as it is."""
    after, behind = line[right.end], line[right.end + 1 : right.end + 4]
    word, following = after.text.lower(), [token.text.lower() for token in behind]
    if word == "and":
        return not (following and (following[0] in {"a", "one"} or (len(behind) > 1 and behind[1].kind == "/")))
    if word in _COMPARED:  # "is 15 more than", but "30 - 15 = $15 more"
        return not line[right.first - 1].text.isalpha()
    if word in _ORDINALS:
        return after.start == line[right.end - 1].end
    if word in _SCALES:
        scale = _SCALES[word]
        return not any(abs(value * one - other * two) <= _ROUNDED * abs(value * one) for one, two in ((1, scale), (scale, 1)))
    if word == "to":  # "3 to 5", but "$5 to make a bracelet"
        altered = behind and (behind[0].kind != "word" or following[0] in _NUMERALS or not _POWERS.isdisjoint(following))
        return bool(behind) and not altered
    if word == "with":
        return bool(behind) and not any(token.kind == "number" or token.text.lower() in _LEFT_OVER for token in behind)
    if word == "per":
        shift = [token.kind for token in behind] == ["number", "-", "word"] and behind[0].end == behind[
            1
        ].start  # per 8-hour shift
        return bool(behind) and (is_per(after, behind[0]) or shift)
    return article(line, right.end) or not (disturbs(after) or word in _ALTERS)
