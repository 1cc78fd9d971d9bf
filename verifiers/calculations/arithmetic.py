"""Arithmetic as people write it between words: found token by token, and computed exactly, as fractions.

Read: + - * / ^, brackets, percentages ("20% of 50"), fractions and mixed numbers, square roots, factorials, "5 choose 2",
"17 mod 5", "17 // 5", units behind a number ("3 boxes * 4"), "plus", "times" and the like. Whatever else stands in an
expression makes it unreadable; nobody guesses. A root that is no fraction is taken to ROOT_DIGITS digits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Literal

from verifiers.calculations.lexer import Kind, Token, disturbed, is_per

MAX_TOKENS = 80
"""Of an expression."""
MAX_ALL_DIGITS = 200
"""Of an expression: with that, no value takes long to compute."""
MAX_POWER = 32
"""Exponents beyond are left alone."""
ROOT_DIGITS = 50
MAX_FACTORIAL = 25
MAX_CHOSEN = 100
MAX_UNITS = 12
"""Words behind a number that may be its unit: "3 boxes of red apples + 2"."""

Mode = Literal["share", "unit", "relative"]
"""What 20% is: 0.2, 20 (of the same unit), or, behind a plus or minus, that share of what stands before."""
_OPERATORS = frozenset(["+", "-", "*", "/", "//", "^", "choose", "mod"])
_BY_ITSELF = frozenset(["root", "!", "choose"])
"""What computes something within an operand, so that there is a calculation without an operator between two."""
_GLUED = frozenset(["word", "other", "number", ")"])
"""What a root belongs to that stands right behind it: x√9."""


class Unreadable(Exception):
    """An expression that can't be read for certain."""


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression that stands in a line."""

    tokens: tuple[Token, ...]
    """Its own."""
    first: int
    """Index of its first token in the line."""
    end: int
    """Index behind its last one."""
    units_end: int
    """Index behind the words that follow it."""
    operators: int
    """How many it has, at the top; roots, factorials and calculations in brackets count as one."""

    def value(self, mode: Mode = "share", swapped: Mapping[Fraction, Fraction] | None = None) -> Fraction:
        """Return its value, with some numbers `swapped` for others. Raise Unreadable."""
        return evaluate(self.tokens, mode, swapped)

    @property
    def kinds(self) -> list[Kind]:
        """Of its tokens."""
        return [token.kind for token in self.tokens]

    @property
    def single(self) -> Token | None:
        """Its number, where it is nothing else."""
        numbers = [token for token in self.tokens if token.kind == "number"]
        return numbers[0] if len(numbers) == 1 and not self.operators else None

    @property
    def scientific(self) -> tuple[Token, int] | None:
        """Its mantissa and its exponent, where it is a number in scientific notation: 2.10 * 10^-16."""
        kinds = self.kinds
        powers = [["number", "*", "number", "^", *rest] for rest in (["number"], ["-", "number"], ["(", "-", "number", ")"])]
        if kinds not in powers or self.tokens[2].text != "10":
            return None
        *_, exponent = (token for token in self.tokens if token.kind == "number")
        sign = -1 if "-" in kinds else 1
        return (self.tokens[0], sign * int(exponent.value)) if exponent.value <= MAX_POWER else None

    @property
    def lead(self) -> tuple[Token, ...]:
        """Its first operand, where that is a number."""
        kinds = self.kinds[:2]
        if kinds[0] != "number":
            return ()
        return self.tokens[:2] if kinds[-1] == "%" else self.tokens[:1]


def expressions(line: Sequence[Token], begin: int, end: int, pairs: Mapping[int, int]) -> list[Expression]:
    """Return the maximal expressions between two indices, in order. `pairs` are the line's brackets."""
    found: list[Expression] = []
    i = begin
    while i < end:
        one = _expression(line, i, end, pairs)
        if one is not None:
            found.append(one)
        i = one.units_end if one is not None else i + 1
    return found


def unclear_roots(line: Sequence[Token]) -> bool:
    """Whether it isn't clear what a root is of, or that it is a square one: √9 + 16, 3√27."""
    for i, token in enumerate(line):
        if token.kind == "root":
            third = i > 0 and line[i - 1].kind == "number" and line[i - 1].end == token.start
            bare = i + 1 < len(line) and line[i + 1].kind == "number"
            if third or (bare and i + 2 < len(line) and line[i + 2].kind in _OPERATORS):
                return True
    return False


def brackets(line: Sequence[Token]) -> dict[int, int]:
    """Return the index of each bracket's partner."""
    pairs: dict[int, int] = {}
    opened: list[int] = []
    for i, token in enumerate(line):
        if token.kind == "(":
            opened.append(i)
        elif token.kind == ")" and opened:
            begin = opened.pop()
            pairs[begin] = i
            pairs[i] = begin
    return pairs


def _expression(line: Sequence[Token], first: int, stop: int, pairs: Mapping[int, int]) -> Expression | None:
    i, operators = first, 0
    end = first
    if line[first].kind == "root" and first and line[first - 1].end == line[first].start and line[first - 1].kind in _GLUED:
        return None
    while True:
        operand = _operand(line, i, stop, pairs)
        if operand is None:  # of what is there, the last operator has nothing behind it
            break
        end = units = operand
        while units < stop and units - end < MAX_UNITS and (length := _unit(line, units, stop)):
            units += length
        if end < stop and (line[end].kind == "root" or (line[end].kind == "(" and line[end].start == line[end - 1].end)):
            i = end  # 3(4 + 1), 2√3
        elif units < stop and line[units].kind in _OPERATORS and _operand(line, units + 1, stop, pairs) is not None:
            i = units + 1
        else:
            return Expression(tuple(line[first:end]), first, end, units, operators + _by_itself(line[first:end]))
        operators += 1
    if end == first:
        return None
    return Expression(tuple(line[first:end]), first, end, end, max(operators - 1, 0) + _by_itself(line[first:end]))


def _by_itself(line: Sequence[Token]) -> bool:
    kinds = [token.kind for token in line]
    bracketed = any(kind in {"number", ")"} and behind in _OPERATORS for kind, behind in pairwise(kinds))
    return bracketed or not _BY_ITSELF.isdisjoint(kinds)


def _unit(line: Sequence[Token], i: int, stop: int) -> int:
    """Return of how many tokens the unit consists that begins there: "cm", "/ h" or "cm ^ 2"; 0: none does."""
    per = i + 1 < stop and is_per(line[i], line[i + 1])
    begin = i + (line[i].kind == "/" or per)
    if begin >= stop or line[begin].kind != "word":
        return 0
    power = line[begin + 1 : min(begin + 3, stop)]
    raised = [token.kind for token in power] == ["^", "number"] and power[1].text in {"2", "3"}
    return begin - i + (3 if raised else 1)


def _operand(line: Sequence[Token], i: int, stop: int, pairs: Mapping[int, int]) -> int | None:
    """Return the index behind the operand that begins at `i`."""
    if i < stop and line[i].kind in {"+", "-"} and _is_sign(line, i):
        i += 1
    if i < stop and line[i].kind == "root":
        i += 1
    if i >= stop:
        return None
    if line[i].kind == "(":
        end = pairs.get(i, stop) + 1
    elif line[i].kind == "number":
        end = i + 1
        if _mixed(line[i : i + 4]):
            end = i + 4
    else:
        return None
    if end < stop and line[end].kind in {"%", "!"}:
        end += 1
    return end if end <= stop else None


def _is_sign(line: Sequence[Token], i: int) -> bool:
    """Whether a plus or minus belongs to the number behind it alone."""
    before = line[i - 1] if i else None
    if before is None or before.kind in {*_OPERATORS, "(", "=", "~", "stop"}:
        return True
    return before.kind == "word" and before.end < line[i].start and i + 1 < len(line) and line[i].end == line[i + 1].start


def _mixed(line: Sequence[Token]) -> bool:
    """Whether four tokens are a mixed number, such as 1 1/2."""
    if [token.kind for token in line] != ["number", "number", "/", "number"]:
        return False
    whole, above, slash, below = line
    glued = above.end == slash.start and slash.end == below.start
    return glued and not whole.places and above.value < below.value and whole.text.isdecimal() and below.text.isdecimal()


def evaluate(line: Sequence[Token], mode: Mode = "share", swapped: Mapping[Fraction, Fraction] | None = None) -> Fraction:
    """Return the value of an expression's tokens. Raise Unreadable where it has none for certain."""
    digits = sum(len(token.text) for token in line if token.kind == "number")
    if len(line) > MAX_TOKENS or digits > MAX_ALL_DIGITS or disturbed(line):
        raise Unreadable
    reader = _Reader(line, mode, swapped or {})
    try:
        value, _ = reader.sum()
    except ZeroDivisionError:
        raise Unreadable from None
    if reader.at < len(line):
        raise Unreadable
    return value


class _Reader:
    """Reads tokens by precedence. A value comes with whether it is a bare percentage."""

    def __init__(self, line: Sequence[Token], mode: Mode, swapped: Mapping[Fraction, Fraction]) -> None:
        self.at = 0
        self._line = line
        self._mode = mode
        self._swapped = swapped

    def sum(self) -> tuple[Fraction, bool]:
        value, percent = self._product()
        while (sign := self._kind()) in {"+", "-"}:
            self.at += 1
            term, share = self._product()
            if share and not percent and self._mode == "relative":
                term *= value
            value, percent = (value + term if sign == "+" else value - term), percent and share
        return value, percent

    def _product(self) -> tuple[Fraction, bool]:
        value, percent = self._signed()
        divided = False
        while True:
            kind = self._kind()
            if kind in {"*", "/", "//", "mod"}:
                if kind == "/" and self._divides_by_more():
                    raise Unreadable
                self.at += 1
                factor, _ = self._signed()
            elif kind == "root" or (kind == "(" and self._line[self.at].start == self._line[self.at - 1].end):
                if divided:  # 6 / 2(1 + 2): two people differ
                    raise Unreadable
                factor, _ = self._power()
            else:
                return value, percent
            divided = divided or kind == "/"
            if kind == "mod":
                value = Fraction(_whole(value) % _whole(factor))
            elif kind == "//":
                value = Fraction(value // factor)
            else:
                value = value / factor if kind == "/" else value * factor
            percent = False

    def _divides_by_more(self) -> bool:
        """Whether "6 / 1/30" may be meant as 6 / (1/30), by its spaces, or "3 / 6 * 10^14" as 3 / (6 * 10^14)."""
        slash, *behind = self._line[self.at : self.at + 5]
        kinds = [token.kind for token in behind]
        if kinds == ["number", "*", "number", "^"]:
            return behind[2].text == "10"
        if kinds[:3] != ["number", "/", "number"] or not self.at:
            return False
        glued = behind[0].end == behind[1].start and behind[1].end == behind[2].start
        return glued and (self._line[self.at - 1].end < slash.start or slash.end < behind[0].start)

    def _signed(self) -> tuple[Fraction, bool]:
        sign = self._kind()
        if sign not in {"+", "-"}:
            return self._power()
        self.at += 1
        begin = self.at
        value, percent = self._power()
        if any(token.kind == "^" for token in self._line[begin : self.at]):
            raise Unreadable  # -2^2: two people differ
        return (-value if sign == "-" else value), percent

    def _power(self) -> tuple[Fraction, bool]:
        base, percent = self._atom()
        if self._kind() == "choose":
            self.at += 1
            chosen, _ = self._atom()
            return Fraction(math.comb(_whole(base, MAX_CHOSEN), _whole(chosen, MAX_CHOSEN))), False
        if self._kind() != "^":
            return base, percent
        self.at += 1
        exponent, _ = self._signed()
        if exponent.denominator != 1 or abs(exponent) > MAX_POWER or max(base.numerator, base.denominator).bit_length() > 64:  # noqa: PLR2004
            raise Unreadable
        return base ** int(exponent), False

    def _atom(self) -> tuple[Fraction, bool]:
        kind = self._kind()
        if kind == "root":
            return self._root(), False
        if kind == "number":
            token = self._line[self.at]
            if _mixed(self._line[self.at : self.at + 4]):
                value = token.value + self._line[self.at + 1].value / self._line[self.at + 3].value
                self.at += 4
            else:
                value = self._swapped.get(token.value, token.value)
                self.at += 1
        elif kind == "(":
            self.at += 1
            value, _ = self.sum()
            if self._kind() != ")":
                raise Unreadable
            self.at += 1
        else:
            raise Unreadable
        if self._kind() == "!":
            self.at += 1
            value = Fraction(math.factorial(_whole(value, MAX_FACTORIAL)))
        percent = self._kind() == "%"
        if percent:
            self.at += 1
            value = value if self._mode == "unit" else value / 100
            if self._kind() in {"number", "("}:  # 17 % 5
                raise Unreadable
        self._skip_units()
        return value, percent

    def _root(self) -> Fraction:
        self.at += 1
        if self._kind() == "(" and self._line[self.at].text == "[":  # the cube root of LaTeX
            raise Unreadable
        value, percent = self._atom()
        if percent or value < 0:
            raise Unreadable
        return _square_root(value)

    def _skip_units(self) -> None:
        for _ in range(MAX_UNITS):
            if self.at < len(self._line):
                self.at += _unit(self._line, self.at, len(self._line))

    def _kind(self) -> Kind | None:
        return self._line[self.at].kind if self.at < len(self._line) else None


def _whole(value: Fraction, most: int | None = None) -> int:
    """Return a number that counts something. Raise Unreadable for any other."""
    if value.denominator != 1 or value < 0 or (most is not None and value > most):
        raise Unreadable
    return value.numerator


def _square_root(value: Fraction) -> Fraction:
    above, below = math.isqrt(value.numerator), math.isqrt(value.denominator)
    if (above**2, below**2) == (value.numerator, value.denominator):
        return Fraction(above, below)
    return Fraction(math.isqrt(value.numerator * 10 ** (2 * ROOT_DIGITS) // value.denominator), 10**ROOT_DIGITS)
