"""Whether a program printed what it should: outside of the jail, on text that the jail's process could only print."""

from __future__ import annotations

import math

WIDTH = 60


def _close(expected: str, actual: str) -> bool:
    """Compare two words; where both are numbers and neither is an integer, almost equal is enough."""
    if expected == actual:
        return True
    if _is_integer(expected) or _is_integer(actual):
        return False
    try:
        return math.isclose(float(expected), float(actual), rel_tol=1e-9, abs_tol=1e-9)
    except ValueError:
        return False


def _is_integer(word: str) -> bool:
    return word.removeprefix("-").removeprefix("+").isdigit()


def _lines(text: str) -> list[str]:
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _shown(text: str) -> str:
    return repr(text if len(text) <= WIDTH else text[: WIDTH - 1] + "…")


def difference(expected: str, actual: str) -> str:
    """Return what is wrong with an output, in one line; empty where nothing is.

    White space at the ends of lines and of the text doesn't matter.
    """
    wanted, got = _lines(expected), _lines(actual)
    for number, (line, other) in enumerate(zip(wanted, got, strict=False), start=1):
        words, others = line.split(), other.split()
        alike = line == other or (_gaps(line) == _gaps(other) and len(words) == len(others) and all(map(_close, words, others)))
        if not alike:
            where = f" in line {number}" if len(wanted) > 1 else ""
            return f"expected {_shown(line)}, got {_shown(other)}{where}"
    if len(wanted) != len(got):
        if len(wanted) == 1 and not got:
            return f"expected {_shown(wanted[0])}, got ''"
        return f"expected {len(wanted)} lines, got {len(got)}"
    return ""


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
