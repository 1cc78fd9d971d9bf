"""Why an equation that looks false may be meant otherwise, and fails nobody."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from verifiers.calculations.arithmetic import Expression, Unreadable, brackets, evaluate, same, unclear_roots
from verifiers.calculations.lexer import Token, disturbed, disturbs, words
from verifiers.reading.sentences import taken_back

AFTERWARDS = 300
"""Characters behind an equation in which it may be taken back."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_CLAUSE = re.compile(r"[,;]\s|\bthen\b")
_HEDGE = re.compile(
    r"""\b(?:if|suppos\w+|assum\w+|imagin\w+|pretend\w*|could|might|instead|not|never|wrong\w*|incorrect\w*|mist\w+
    |(?:one|you|some(?:one|body)?|any(?:one|body)|many|most|others?|people|students?|persons?|readers?|beginners?)\s(?:\w+\s){0,2}would
    |would\s(?:\w+\s)?(?:think|say|guess|expect|seem|appear|look|suggest|lead|tempt\w*)
    |errors?|false|unless|guess\w*|try|trying|tried|whether|claim\w*|thought|thinks?|hypothe\w+|\w+n['\u2019]t)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_OTHER_ARITHMETIC = re.compile(r"\b(?:binary|hexadecimal|octal|modul\w+|mod|base[ -](?:\d+|two|eight|sixteen))\b", re.IGNORECASE)
_BEFORE = words(
    """twice double half triple thrice than times negative minus plus by squared root average mean per from another dozen
    sqrt step day week month year question problem case part chapter grade level number no phase room page pages ages years
    days verses chapters equation line"""
)
"""Words after which a number isn't where a calculation begins."""
_FUNCTIONS = words(
    "sqrt root log ln lg sin cos tan cot sec csc exp floor ceil ceiling round max min gcd lcm hcf gcf abs det mod combinations"
)
"""Words by which brackets behind them are other numbers."""
_LABELS_NOTHING = words("so then thus hence therefore and is are now that gives get have")
_PARTS = words("and so then thus which because since as hence therefore")
"""Between two calculations that are two."""
_CLOCK = words("am pm o'clock o\u2019clock")
_DOTTED = re.compile(r"\d{1,3}(?:\.\d{3})+")
"""1.200, which is 1200 to many."""
_PART_OF = words(
    """half halves third thirds quarter quarters fourth fourths fifth fifths sixth sixths eighth eighths tenth tenths percent
    percentage double twice triple root sqrt square cube product difference quotient average mean multiple fraction part
    portion rest most all each one two three out ratio median"""
)
"""Words before "of" that make another number of what follows."""
_COMPARED = words("more less fewer times")
_NO_UNITS = words(
    """total altogether left in for per each and a an the of on at to so he she they we it this that which there remaining
    all together more by is are was were has have had because since then while when but or as with from overall"""
)
_CONVERSIONS = frozenset(map(Fraction, (3, 4, 7, 8, 10, 12, 16, 24, 30, 36, 52, 60, 100, 144, 365, 1000, 1440, 1760, 3600, 5280)))
_TENTH = Fraction(1, 10)


@dataclass(slots=True)
class Line:
    """A line, and what is known when it is read."""

    text: str
    tokens: Sequence[Token]
    behind: str
    """What follows it in the text."""
    dash: bool
    """It began with a dash, which may be a bullet or a minus."""
    rounded: dict[Fraction, Fraction]
    """Exact values of what was rounded so far, by what is shown."""
    pairs: Mapping[int, int] = field(init=False)

    def __post_init__(self) -> None:
        self.pairs = brackets(self.tokens)


def article(line: Sequence[Token], i: int) -> bool:
    """Whether a token is the "a" of "$5 a day"."""
    return i + 1 < len(line) and line[i].text == "a" and line[i + 1].kind == "word"


def goes_on(line: Line, first: Expression, second: Expression) -> bool:
    """Whether two calculations are one in words: "20 + 10 boxes to the 29 + 24 that are there"."""
    between = line.tokens[first.end : second.first]
    return first.operators > 0 and not any(token.kind == "stop" or token.text.lower() in _PARTS for token in between)


def excused(
    line: Line, left: Expression, right: Expression, value: Fraction, other: Fraction, *, about: bool, strict: bool, begin: int
) -> bool:
    """Whether a claim that looks false may be meant otherwise than it was read."""
    if not _begins_clean(line, left.first, begin) or not _ends_clean(line.tokens, left, right):
        return True
    if unclear_roots(left.tokens) or unclear_roots(right.tokens):
        return True
    if about and other and abs(value - other) <= _TENTH * abs(value):
        return True
    # 3/4 = 15 students; 1999-2003 = 5 years, 10-20 = 2 points
    if (_is_share(left) and abs(other) >= 1) or (_is_range(left) and other > 0):
        return True
    number = right.single
    if not strict and number is not None and value.denominator != 1 and not number.places and abs(value - other) < 1:
        return True
    return (
        _other_reading(line, left, right, about=about)
        or _other_units(line, left, right, value, other)
        or _hedged(line, left, right)
    )


def excused_conversion(line: Line, left: Expression, right: Expression, value: Fraction, other: Fraction, *, begin: int) -> bool:
    """Whether an amount that looks like a wrong one of another unit may be meant otherwise."""
    rounded = value.denominator != 1 and other.denominator == 1 and abs(value - other) < 1
    by_itself = left.first == begin or line.tokens[left.first - 1].kind == "stop"  # and not "from 9 to 10 hours = 60 minutes"
    return rounded or not by_itself or not _ends_clean(line.tokens, left, right) or _hedged(line, left, right)


def _is_share(left: Expression) -> bool:
    """Whether an expression is a proper fraction and nothing else: of what, isn't said."""
    kinds = [token.kind for token in left.tokens]
    return kinds == ["number", "/", "number"] and left.tokens[0].value < left.tokens[2].value


def _is_range(left: Expression) -> bool:
    """Whether an expression is a number and a greater one, with a dash and no space between."""
    if [token.kind for token in left.tokens] != ["number", "-", "number"]:
        return False
    least, dash, most = left.tokens
    return least.value < most.value and least.end == dash.start and dash.end == most.start


def _begins_clean(line: Line, first: int, begin: int) -> bool:  # noqa: PLR0911 - a table, in effect
    """Whether nothing before an expression seems to belong to it."""
    if first == begin:
        return True
    token, before = line.tokens[first], line.tokens[first - 1]
    earlier = line.tokens[first - 2] if first - 2 >= begin else None
    if before.kind == "(":
        return first - 1 in line.pairs and (earlier is None or earlier.kind in {"word", "stop", "("})
    if before.kind == "stop":
        return before.end < token.start and before.text != "!"
    if before.kind != "word" or before.end == token.start or len(before.text) == 1:
        return False
    word = before.text.lower()
    if token.kind == "(" and word in _FUNCTIONS:
        return False
    if word == "of":
        return earlier is not None and earlier.kind == "word" and earlier.text.lower() not in _PART_OF
    if word not in _NO_UNITS and not token.money and earlier is not None and earlier.kind in {"number", "odd", "%"}:
        return False  # 2 hours 30 + 1
    return word not in _BEFORE


def _ends_clean(line: Sequence[Token], left: Expression, right: Expression) -> bool:  # noqa: PLR0911 - likewise
    if disturbed(line[left.end : left.units_end]):
        return False
    if right.end >= len(line):
        return True
    after = line[right.end]
    if after.kind == "stop":
        return after.text != "!" and not (right.end + 1 < len(line) and line[right.end + 1].start == after.end)
    if after.kind == "word":
        if after.text.lower() == "and":
            behind = line[right.end + 1 : right.end + 3]
            return not (behind and (behind[0].text in {"a", "one"} or behind[-1].kind == "/"))
        if after.text.lower() in _COMPARED:  # "is 15 more than", but "30 - 15 = $15 more"
            return not line[right.first - 1].text.isalpha()
        alters = disturbs(after) or after.text.lower() in {"remainder", "rem", "with", "modulo", *_CLOCK}
        return article(line, right.end) or not alters
    if after.kind == "-":  # a dash between two thoughts
        return right.end + 1 < len(line) and line[right.end + 1].kind == "word" and after.end < line[right.end + 1].start
    if after.kind == "/":
        return right.end + 1 < len(line) and line[right.end + 1].kind == "word"
    return after.kind in {"=", "~", ")", "("}


def _other_reading(line: Line, left: Expression, right: Expression, *, about: bool) -> bool:
    """Whether the claim is true when it is read otherwise."""
    percent = any(token.kind == "%" for token in left.tokens)
    if percent and any(token.kind in {"+", "-"} for token in left.tokens):
        return True
    other = right.value()
    if any(same(value, other, right, about=about) for value in _other_values(line, left)):
        return True
    dotted = [_dotted(each.tokens) for each in (left, right)]
    return dotted != [left.tokens, right.tokens] and evaluate(dotted[0]) == evaluate(dotted[1])


def _other_values(line: Line, left: Expression) -> list[Fraction]:
    """Return what the left side may be worth otherwise."""
    values = [left.value(swapped=line.rounded)] if line.rounded else []
    if line.dash and left.first == 0:
        values.append(evaluate((Token("-", "-", 0, 0), *left.tokens)) if left.tokens[0].kind == "number" else -left.value())
    if len(left.tokens) == 3 and left.tokens[1].kind == "-":  # noqa: PLR2004 - 2020-2023, a range
        values.append(-left.value())
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


def _other_units(line: Line, left: Expression, right: Expression, value: Fraction, other: Fraction) -> bool:
    """Whether the two sides may be in other units, or the left one adds up unlike things."""
    mine = _units([*left.tokens, *line.tokens[left.end : left.units_end]])
    theirs = _units([*right.tokens, *line.tokens[right.end : right.end + 1]])
    if _unlike(left, line):
        return True
    behind = _units([*right.tokens, *line.tokens[right.end : right.units_end]])  # "15 green balls"
    if mine and theirs and not theirs <= mine and mine.isdisjoint(behind):
        return True
    ratio = value / other if other else Fraction()
    return mine != theirs and (ratio in _CONVERSIONS or (ratio != 0 and 1 / ratio in _CONVERSIONS))


def _unlike(left: Expression, line: Line) -> bool:
    """Whether things of different kinds are added or subtracted."""
    terms: list[list[Token]] = [[]]
    for token in (*left.tokens, *line.tokens[left.end : left.units_end]):
        if token.kind in {"+", "-"}:
            terms.append([])
        else:
            terms[-1].append(token)
    kinds = [units for term in terms if (units := _units(term))]
    return any(kind.isdisjoint(kinds[0]) for kind in kinds[1:])


def _units(line: Sequence[Token]) -> set[str]:
    words = {token.text.lower() for token in line if token.kind == "word"} - _NO_UNITS
    units = {word[:-1] if word.endswith("s") and len(word) > 2 else word for word in words}  # noqa: PLR2004 - not "is"
    return units | ({"$"} if any(token.money for token in line) else set())


def _hedged(line: Line, left: Expression, right: Expression) -> bool:
    """Whether the sentence doesn't state the claim, or what follows takes it back."""
    start, end = left.tokens[0].start, right.tokens[-1].end
    begin = max((match.end() for match in _SENTENCE.finditer(line.text, 0, start)), default=0)
    close = _SENTENCE.search(line.text, end)
    sentence = line.text[begin : close.start() if close else len(line.text)]
    if sentence.rstrip().endswith("?") or _OTHER_ARITHMETIC.search(sentence):
        return True
    head = _CLAUSE.split(line.text[begin:start])[-1]
    tail = _CLAUSE.split(line.text[end : begin + len(sentence)])[0]
    if _HEDGE.search(head) or _HEDGE.search(tail):
        return True
    behind = f"{line.text[end : end + AFTERWARDS]}\n{line.behind}"
    taken = taken_back(behind, 0)
    return taken is not None and not taken.hedges
