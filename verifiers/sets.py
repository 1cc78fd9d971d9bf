"""Sets of numbers or texts: order and repeats don't matter."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from verifiers.answers import Answer, whole_number
from verifiers.markup import fold

MAX_ELEMENTS = 500
"""Of a set."""
MAX_CHARS = 8000
"""Of a set as written."""
_BRACKETS = (("\\{", "\\}"), ("{", "}"), ("[", "]"), ("(", ")"))
_NAMED = re.compile(r"^[A-Za-z]\s*(?:=|∈|\\in\b)\s*")
_LISTED = re.compile(r"\s*[,;\n]\s*(?:(?:and|or|&)\s+)?")
_WORDED = re.compile(r"\s+(?:and|or|&)\s+")
_BULLET = re.compile(r"(?m)^[ \t]*(?:[-*•]|\d{1,3}[.)])[ \t]+")
_LATEX = re.compile(r"\\(?:left|right|,|;|:|!|quad|qquad|displaystyle)(?![a-zA-Z])|\$|\\[()\[\]]")
_WORD = re.compile(r"\\text(?:rm|bf|it)?\s*\{\s*(and|or)\s*\}")
_GROUPS = re.compile(r"(?<![\d,.])\d{1,3}(?:,\d{3})+(?!\d|,\d)")


class Unclear(ValueError):
    """Two people would read it differently."""


@dataclass(frozen=True, slots=True)
class Element:
    """One element."""

    text: str
    """As it is compared as a text."""
    value: Fraction | None
    """Of a number."""


def read(text: str, normal: Callable[[str], str]) -> list[Element]:
    """Read a set, written in braces or as a list. Raise Unclear."""
    if len(text) > MAX_CHARS:
        raise Unclear("it is too long for a set")
    text = _WORD.sub(r" \1 ", fold(text)).replace("{,}", "\uff0c")
    text = _NAMED.sub("", _LATEX.sub(" ", text).strip().rstrip(".").strip())
    text, braced = _unwrapped(text)
    text = _BULLET.sub("", text).strip()
    if not text or text in {"\\emptyset", "\\varnothing", "∅"}:
        return []
    parts = _parts(text, braced=braced)
    if len(parts) > MAX_ELEMENTS:
        raise Unclear(f"it has more than {MAX_ELEMENTS} elements")
    if any(not part.strip() for part in parts):
        raise Unclear("an element is missing beside a comma")
    return [_element(part.replace("\uff0c", ","), normal) for part in parts]


def _unwrapped(text: str) -> tuple[str, bool]:
    for left, right in _BRACKETS:
        if text.startswith(left) and text.endswith(right) and len(text) >= len(left) + len(right):
            return text[len(left) : -len(right)].strip(), True
    return text, False


def _parts(text: str, *, braced: bool) -> list[str]:
    """Cut a set into its elements. A comma without a space between groups of three digits may be a part of a number."""
    if _GROUPS.search(text):
        spaced = re.search(r",\s|;|\n", text)
        if spaced:
            text = _GROUPS.sub(lambda match: match[0].replace(",", "\uff0c"), text)
        elif not braced:
            raise Unclear(f"“{text[:40]}” may be one number or several")
    parts = _LISTED.split(text) if re.search(r"[,;\n]", text) else [text]
    last = _WORDED.split(parts[-1])
    return [*parts[:-1], *last]


def _element(part: str, normal: Callable[[str], str]) -> Element:
    part = _NAMED.sub("", part.strip())
    number = whole_number(part)
    return Element(normal(part), number.value if isinstance(number, Answer) else None)


def equal(one: Sequence[Element], other: Sequence[Element], tolerance: Fraction) -> bool:
    """Whether each element of either is in the other."""
    return _within(one, other, tolerance) and _within(other, one, tolerance)


def _within(one: Sequence[Element], other: Sequence[Element], tolerance: Fraction) -> bool:
    return all(any(_same(a, b, tolerance) for b in other) for a in one)


def _same(one: Element, other: Element, tolerance: Fraction) -> bool:
    if one.value is not None and other.value is not None:
        return abs(one.value - other.value) <= tolerance
    return one.value is other.value and one.text == other.text
