"""Intervals and unions of them: which ends they have, and whether those belong to them."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

from verifiers.mathematics import equality
from verifiers.mathematics.expressions import rational
from verifiers.mathematics.mathtext import Unreadable
from verifiers.mathematics.statements import Statement, as_intervals, read

_PAIR = 2
Side = tuple[int, Fraction, int]
"""An end as a place on the line: -1, 0 or 1 for minus infinity, a number or infinity; the number; what lies just beyond it."""


_LEAD = re.compile(
    r"(?:(?:so|thus|hence|therefore|then|finally)\b[\s,:]*)?(?:we\s(?:get|have|find|obtain)\b[\s,:]*(?:that\s)?)?"
    r"(?:(?:the\s)?(?:solutions?(?:\sset)?|domain|range|interval)(?:\s(?:is|are)\b[\s,:]*|:\s*))?",
    re.IGNORECASE,
)
_DESCRIBED = re.compile(
    r"[\s$]*(?:\\left\s*)?\\?\{\s*(?P<name>[a-z])\s*(?:(?:∈|\\in\b)\s*(?:\u211d|\\mathbb\s*\{?R\}?|R)\s*)?(?:\||:|\u2223|\\mid\b)"
    r"(?P<condition>[^{}|:]{1,200}?)(?:\\right\s*)?\\?\}[\s$]*\.?"
)
"""{x | 1 < x < 2}, of which the condition says all."""


_NAMED = re.compile(r"(?P<fence>[\s$]*)[A-Z]\s?=\s?(?=[\[\](\\])")
_ALL = re.compile(
    r"(?:all|the\sset\sof\s(?:all\s)?|every|any)\s?(?:the\s)?reals?(?:\snumbers?)?"
    r"(?P<except>\s(?:except|other\sthan)(?:\sfor)?\s(?P<value>.{1,60}))?",
    re.IGNORECASE,
)
_TEXT = re.compile(r"^\\text\s?\{([^{}]*)\}$")
_THAT_IS = re.compile(r"\s?,?\s(?:i\.e\.,?|that\sis,|or\sequivalently,?|equivalently,)\s")
_ONLY_VALUE = re.compile(r"[\s$]*(?:[a-z]\s?=)?\s?(?P<value>-?[\w.{}\\/]{1,40})[\s$]*")


def interval(text: str) -> tuple[Statement, ...]:
    """Read an interval, a union, an inequality, a set of single points or one that is described. Raise Unreadable."""
    text = text[lead.end() :] if (lead := _LEAD.match(text)) else text
    text = _NAMED.sub(r"\g<fence>", text, count=1) if _NAMED.match(text) else text
    if len(twice := _THAT_IS.split(text)) == _PAIR:
        one, other = map(interval, twice)
        if not equal(one, other, Fraction(0)):
            raise Unreadable("two intervals, and not the same")
        return one
    if every := _ALL.fullmatch(_TEXT.sub(r"\1", text.strip("*_. $"))):
        left_out = _ONLY_VALUE.fullmatch(every["value"]) if every["value"] else None
        if every["except"] and not left_out:
            raise Unreadable("what is left out of the real numbers isn't one of them")
        return as_intervals(read(f"x \\neq {left_out['value']}" if left_out else "\\mathbb{R}"))
    if described := _DESCRIBED.fullmatch(text.strip()):
        found = read(described["condition"])
        if _is_unequal(found, described["name"]):
            return as_intervals(found)
        if found.kind not in {"interval", "union"} or found.name != described["name"]:
            raise Unreadable("a set that is described by something else than its bounds")
        return as_intervals(found)
    return as_intervals(read(text))


def _is_unequal(found: Statement, name: str) -> bool:
    """Whether a condition is x ≠ 2."""
    node = found.items[0].node if found.kind == "relation" and found.name == "≠" else None
    return node is not None and node.op == "symbol" and node.name == name


def equal(one: tuple[Statement, ...], other: tuple[Statement, ...], tolerance: Fraction) -> bool | None:
    """Whether two unions have the same points. Raise VerifierError."""
    first, second = _merged(one), _merged(other)
    if first is None or second is None or tolerance:
        union = Statement(kind="union")
        return equality.equal(replace(union, items=one), replace(union, items=other), tolerance)
    return first == second


def _merged(parts: tuple[Statement, ...]) -> list[tuple[Side, Side]] | None:
    """Return the same points as intervals that don't touch, in order; None where an end is no fraction."""
    sides: list[tuple[Side, Side]] = []
    for part in parts:
        low, high = _side(part.items[0], 0 if part.ends[0] == "[" else 1), _side(part.items[1], 1 if part.ends[1] == "]" else 0)
        if low is None or high is None:
            return None
        if low < high:
            sides.append((low, high))
        elif low[:2] != high[:2]:
            raise Unreadable("an interval ends before it begins")
    merged: list[tuple[Side, Side]] = []
    for low, high in sorted(sides):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return merged


def _side(end: Statement, beyond: int) -> Side | None:
    """Return a cut of the line: before a number (0) or behind it (1)."""
    if end.node is None:
        return None
    if end.node.op == "constant" and end.node.name == "oo":
        return (1, Fraction(0), 0)
    value = rational(end.node)
    if value is not None:
        return (0, value, beyond)
    return (-1, Fraction(0), 0) if end.node.args and end.node.args[-1].name == "oo" and len(end.node.args) == 2 else None  # noqa: PLR2004
