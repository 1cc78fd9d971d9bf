"""Whether a program printed what it should: outside of the jail, on text that the jail's process could only print."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

WIDTH = 60
LEAD = 20
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What counts as the same output. White space at the ends of lines and of the text never matters."""

    tolerance: float | None = None
    """How far numbers may be off, absolutely or as a part of the expected one; integers are exact. None: 1e-9, and neither may
    be written as an integer."""
    order: Literal["same", "any"] = "same"
    """`any`: the lines may come in any order."""
    ignore_case: bool = False
    """Whether YES and yes are the same."""

    def difference(self, expected: str, actual: str) -> str:
        """Return what is wrong with an output, in one line; empty where nothing is."""
        if self.ignore_case:
            expected, actual = expected.casefold(), actual.casefold()
        wanted, got = _lines(expected), _lines(actual)
        if self.order == "any":
            return self._difference_of_sets(wanted, got)
        for number, (line, other) in enumerate(zip(wanted, got, strict=False), start=1):
            if not self._alike(line, other):
                where = f" in line {number}" if len(wanted) > 1 else ""
                return f"expected {_shown(line, other)}, got {_shown(other, line)}{where}"
        if len(wanted) != len(got):
            if len(wanted) == 1 and not got:
                return f"expected {_shown(wanted[0])}, got ''"
            return f"expected {len(wanted)} lines, got {len(got)}"
        return ""

    def _difference_of_sets(self, wanted: list[str], got: list[str]) -> str:
        """Lines that differ in the last digits of a number are matched in the order of their words, the numbers by their size."""
        if len(wanted) != len(got):
            return f"expected {len(wanted)} lines, got {len(got)}"
        missing, surplus = Counter(wanted), Counter(got)
        lacking = sorted((missing - surplus).elements(), key=_rank)
        for line, other in zip(lacking, sorted((surplus - missing).elements(), key=_rank), strict=True):
            if not self._alike(line, other):
                return f"expected {_shown(line, other)} in any line, got {_shown(other, line)}"
        return ""

    def _alike(self, line: str, other: str) -> bool:
        if line == other:
            return True
        words, others = line.split(), other.split()
        return len(words) == len(others) and _gaps(line) == _gaps(other) and all(map(self._close, words, others))

    def _close(self, expected: str, actual: str) -> bool:
        if expected == actual:
            return True
        if self.tolerance is None:
            return not (_is_integer(expected) or _is_integer(actual)) and _almost(expected, actual)
        if _is_integer(expected) and _is_integer(actual):
            return False
        if not NUMBER.fullmatch(expected) or not NUMBER.fullmatch(actual):
            return False
        right, found = float(expected), float(actual)
        return math.isfinite(right) and abs(found - right) <= self.tolerance * max(1.0, abs(right))


BY_DEFAULT = Comparison()


def _almost(expected: str, actual: str) -> bool:
    if not NUMBER.fullmatch(expected) or not NUMBER.fullmatch(actual):  # Python also reads 1_0.5
        return False
    right = float(expected)  # 1e400 and 1e500 are infinite, and not the same
    return math.isfinite(right) and math.isclose(right, float(actual), rel_tol=1e-9, abs_tol=1e-9)


def _is_integer(word: str) -> bool:
    return word.removeprefix("-").removeprefix("+").isdigit()


def _rank(line: str) -> list[tuple[bool, float, str]]:
    return [(False, float(word), "") if NUMBER.fullmatch(word) else (True, 0.0, word) for word in line.split()]


def _lines(text: str) -> list[str]:
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _shown(text: str, other: str = "") -> str:
    """Return a line as a person reads it: of a long one, the place where it differs from the other."""
    if len(text) <= WIDTH:
        return repr(text)
    at = next((number for number, (one, two) in enumerate(zip_longest(text, other)) if one != two), 0)
    begin = max(0, at - LEAD) if at >= WIDTH - 1 else 0
    cut = text[begin : begin + WIDTH - 1]
    return repr(f"{'…' if begin else ''}{cut}{'…' if begin + WIDTH - 1 < len(text) else ''}")


def _gaps(line: str) -> list[str]:
    """Return the white space before each word."""
    gaps, gap, inside = [], "", False
    for character in line:
        if character.isspace():
            gap, inside = gap + character if not inside else character, False
        elif not inside:
            gaps.append(gap)
            gap, inside = "", True
    return gaps
