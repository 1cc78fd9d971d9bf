"""Sets of numbers or texts: order and repeats don't matter."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate

from verifiers.reading.answers import Answer, whole_number
from verifiers.reading.markup import fold

MAX_ELEMENTS = 500
"""Of a set."""
MAX_DEPTH = 20
"""Of brackets within brackets."""
MAX_CHARS = 8000
"""Of a set as written."""
_BRACKETS = (("\\{", "\\}"), ("{", "}"), ("[", "]"), ("(", ")"))
_NAMED = re.compile(r"^[A-Za-z](?:_?\{?\d{1,2}\}?)?\s*(?:=|∈|\\in\b)\s*")
_NAMED_SET = re.compile(rf"^(?:(?:so|thus|hence|therefore|then),?\s+)?{_NAMED.pattern[1:]}(?=\\?[{{(\[])", re.IGNORECASE)
_BOTH = re.compile(r"^both\s+(?=.*\sand\s)", re.IGNORECASE)
_EMPTY = re.compile(
    r"\\emptyset|\\varnothing|∅|(?:there\s(?:is|are)\s)?no\s(?:real\s)?solutions?|(?:the\s)?empty\sset", re.IGNORECASE
)
_EMPTY_SIGNS = frozenset(("\\emptyset", "\\varnothing", "∅"))
_LISTED = re.compile(r"\s*[,;\n]\s*(?:(?:and|or|&)\s+)?")
_WORDED = re.compile(r"\s+(?:and|or|&)\s+")
_BULLET = re.compile(r"(?m)^[ \t]*(?:[-*•]|\d{1,3}[.)])[ \t]+")
_LATEX = re.compile(r"\\(?:left|right|,|;|:|!|quad|qquad|displaystyle)(?![a-zA-Z])|\$|\\[()\[\]]")
_ENDLESS = re.compile(r"\.{2,}|\u2026|\\[lc]?dots\b|\betc\b")
_FACTORIAL = re.compile(r"[0-9)]\s?!")
_PLUS_MINUS = re.compile(r"(\s*(?:[A-Za-z]\s?=\s?)?)(?:±|\\pm(?![a-zA-Z]))\s*(?=[\d.\\])")
_UNIT = re.compile(r"[^\W\d_]+")
_LEFT, _RIGHT = "([{", ")]}"
_WORD = re.compile(r"\\text(?:rm|bf|it)?\s*\{\s*(and|or)\s*\}")
_TEXT = re.compile(r"^\\(?:text(?:rm|bf|it)?|mathrm|mathbf)\s*\{([^{}]*)\}$")
"""What is written as one text, and is several: \\text{red, green}."""
_BOLD = re.compile(r"\*\*(?!\d)|(?<!\d)\*\*")
_CHOICE = re.compile(r"^\(?([A-Za-z])\)$")
_GROUPS = re.compile(r"(?<![\d,.])\d{1,3}(?:,\d{3})+(?!\d|,\d)")


_SOLVED = re.compile(
    r"""[*_\s]*(?:(?:so|thus|therefore|hence|then)[,:]?\s+)?the\s+(?:[a-z]+\s+){0,2}?(?:solution(?:s|\sset)?|set|roots|zeroe?s|elements|members|values)
    (?:\s+(?:of|to|for)\s+(?:the|this)\s+(?:equation|set|system|inequality|problem))?\s+(?:is|are):?[*_]*\s+""",
    re.IGNORECASE | re.VERBOSE,
)


_LINES = re.compile(r"(?:[^\n.!?:;]|\.\d){1,60}+(?:\n\s*+(?:[^\n.!?:;]|\.\d){1,60}+){1,500}")


def concluded(response: str) -> str | None:
    """Return what "The solutions are" stands before, in a response's last line, or a response that is a list of short lines.

    None where it is neither.
    """
    if len(response) <= MAX_CHARS and _LINES.fullmatch(response.strip()):
        return response.strip()
    line = response.rstrip().rpartition("\n")[2][:MAX_CHARS].strip()
    line = line[2:-2] if line.startswith("**") and line.endswith("**") else line
    return line[found.end() :] if (found := _SOLVED.match(line)) else None


class Unclear(ValueError):
    """Two people would read it differently."""


@dataclass(frozen=True, slots=True)
class Element:
    """One element."""

    text: str
    """As it is compared as a text."""
    value: Fraction | None
    """Of a number."""
    units: frozenset[str] = frozenset()
    """The words beside a number, in the singular."""
    parts: tuple[Element, ...] = ()
    """Of a pair, or of a set within the set."""
    bracket: str = ""
    """Of its parts, "{" where their order doesn't count."""
    name: str = ""
    """Where a set gives values to several names: whose it is."""


def read(text: str, normal: Callable[[str], str]) -> list[Element]:
    """Read a set, written in braces or as a list. Raise Unclear."""
    if len(text) > MAX_CHARS:
        raise Unclear("it is too long for a set")
    text = _WORD.sub(r" \1 ", fold(text)).replace("{,}", "\uff0c")
    if _ENDLESS.search(text):
        raise Unclear("it goes on")
    text = _NAMED_SET.sub("", _LATEX.sub(" ", text).strip().rstrip(".").strip())
    text, braced = _unwrapped(_TEXT.sub(r"\1", _BOLD.sub("", text)))
    text = _BOTH.sub("", _BULLET.sub("", _TEXT.sub(r"\1", text)).strip())
    if max(accumulate((each in _LEFT) - (each in _RIGHT) for each in text or " ")) > MAX_DEPTH:
        raise Unclear("it is nested too deeply")
    if not text or (_EMPTY.fullmatch(text) and not (braced and text in _EMPTY_SIGNS)):  # {∅} has an element
        return []
    parts = [each for part in _parts(text, braced=braced) for each in _signs(part)]
    if len(parts) > MAX_ELEMENTS:
        raise Unclear(f"it has more than {MAX_ELEMENTS} elements")
    if any(not part.strip() for part in parts):
        raise Unclear("an element is missing beside a comma")
    elements = [_element(part.replace("\uff0c", ","), normal) for part in parts]
    several = len({element.name for element in elements} - {""}) > 1  # x = 1, y = 2; but x = 1 or x = 2
    return elements if several else [replace(element, name="") for element in elements]


def _unwrapped(text: str) -> tuple[str, bool]:
    for left, right in _BRACKETS:
        whole = text.startswith(left) and text.endswith(right) and len(text) >= len(left) + len(right)
        if whole and _closing(text, len(left) - 1) == len(text) - 1:
            return text[len(left) : -len(right)].strip(), True
    return text, False


def _closing(text: str, begin: int) -> int:
    """Return where the bracket that stands there is closed; the length of the text where it isn't."""
    depth = 0
    for at in range(begin, len(text)):
        depth += (text[at] in _LEFT) - (text[at] in _RIGHT)
        if depth == 0:
            return at
    return len(text)


def _split(text: str, at: re.Pattern[str]) -> list[str]:
    """Cut a text where a pattern matches outside of brackets."""
    parts: list[str] = []
    begin = depth = seen = 0
    for match in at.finditer(text):
        depth += sum((character in _LEFT) - (character in _RIGHT) for character in text[seen : match.start()])
        seen = match.start()
        if depth == 0:
            parts.append(text[begin : match.start()])
            begin = match.end()
    return [*parts, text[begin:]]


def _parts(text: str, *, braced: bool) -> list[str]:
    """Cut a set into its elements. A comma without a space between groups of three digits may be a part of a number."""
    if _GROUPS.search(text):
        spaced = re.search(r",\s|;|\n", text) or ("," in text and _WORDED.search(text))
        if spaced:
            text = _GROUPS.sub(lambda match: match[0].replace(",", "\uff0c"), text)
        elif not braced:
            raise Unclear(f"“{text[:40]}” may be one number or several")
    parts = _split(text, _LISTED)
    return [*parts[:-1], *_split(parts[-1], _WORDED)]


def _signs(part: str) -> list[str]:
    """Return both of the numbers that ± stands for."""
    signed = _PLUS_MINUS.match(part)
    return [part] if signed is None else [f"{signed[1]}{sign}{part[signed.end() :]}" for sign in ("", "-")]


def _element(part: str, normal: Callable[[str], str]) -> Element:
    named = _NAMED.match(part.strip())
    part = _CHOICE.sub(r"\1", _NAMED.sub("", part.strip()))
    name = named[0][0] if named else ""
    inside, braced = _unwrapped(part)
    bracket = part[:2].lstrip("\\")[:1]
    if braced and (len(parts := _split(inside, _LISTED)) > 1 or bracket == "{"):
        elements = tuple(_element(each, normal) for each in parts if each.strip())
        return Element(normal(part), None, parts=elements, bracket=bracket, name=name)
    number = None if _FACTORIAL.search(part) else whole_number(part)
    if not isinstance(number, Answer):
        return Element(normal(part), None, name=name)
    units = frozenset(word.lower().removesuffix("s") or word for word in _UNIT.findall(part))
    return Element(normal(part), number.value, units=units, name=name)


def equal(reference: Sequence[Element], answer: Sequence[Element], tolerance: Fraction) -> bool:
    """Whether each element of either is in the other. Of units, only those that tell the reference's elements apart count."""
    units = [element.units for element in _leaves(reference)]
    telling = frozenset[str]().union(*units) - frozenset[str].intersection(*units) if units else frozenset[str]()
    return _alike(_only(reference, telling), _only(answer, telling), tolerance)


def _leaves(elements: Iterable[Element]) -> Iterator[Element]:
    for element in elements:
        yield from _leaves(element.parts)
        if element.value is not None:
            yield element


def _only(elements: Iterable[Element], units: frozenset[str]) -> tuple[Element, ...]:
    return tuple(replace(each, units=each.units & units, parts=_only(each.parts, units)) for each in elements)


def _alike(one: Sequence[Element], other: Sequence[Element], tolerance: Fraction) -> bool:
    return _within(one, other, tolerance) and _within(other, one, tolerance)


def _within(one: Sequence[Element], other: Sequence[Element], tolerance: Fraction) -> bool:
    return all(any(_same(a, b, tolerance) for b in other) for a in one)


def _same(one: Element, other: Element, tolerance: Fraction) -> bool:
    if one.bracket != other.bracket or (one.name and other.name and one.name != other.name):
        return False
    if one.bracket:
        if one.bracket == "{":
            return _alike(one.parts, other.parts, tolerance)
        alike = len(one.parts) == len(other.parts)
        return alike and all(_same(a, b, tolerance) for a, b in zip(one.parts, other.parts, strict=True))
    if one.value is not None and other.value is not None:
        # "2 apples, 1 pear" isn't "1 apple, 2 pears", though "1 piece of fruit, 2 pears" may be.
        unlike = one.units and other.units and one.units.isdisjoint(other.units)
        return not unlike and abs(one.value - other.value) <= tolerance
    return one.value is other.value and one.text == other.text
