"""A window of a text as its numbers are read: without markup, and with a mark where a number goes on."""

from __future__ import annotations

import re

from verifiers.reading.markup import CURRENCY, plain

_SPOKEN_MINUS = re.compile(
    r"\bnegative\s+(?=[\d.])|(?:(?<=[=:(])|^)(\s*)minus\s+(?=[\d.])"
    r"|(?:(?:(?<=[=(≈])|^)\s*|(?<=:)[^\S\n]*)-\s+(?=[\d.])",
    re.IGNORECASE,
)
_MINUS_BRACKET = re.compile(r"(?<![\w)])-\s?\(\s?([0-9][0-9.,/]*)\s?\)(?!\s?[\d(^])")
FACTORIAL = re.compile(
    r"(?<=[0-9)])!+(?=[.,;]|\s*(?:[$=}]|\\[)\]]|(?:[+/^\u00d7÷·-]|\\(?:times|cdot|div)\b)\s*[\d(\[])|\*[\d(\[]|\s+\*\s+[\d(\[])"
)
"""Also "3!.": who only exclaims writes no full stop behind it. Not "**72!**", nor "72! - great"."""
_ENDLESS = re.compile(r"(?<=[0-9])(\.[0-9]+)(?:\.{3,}|\u2026)(?=(\s+[A-Z]|\s*$)?)")


_BROKEN = re.compile(r"(?<![\w)%°↑])\(\s?(-?)([0-9][0-9.,]*)\s?\)/\(\s?(-?)([0-9][0-9.,]*)\s?\)(?![\w(↑])")
r"""A fraction with a sign: \frac{-5}{2}."""
_GROUPS = re.compile(r"(?<![\d.,/])(?<![\d.,/] )\d{1,3}(?: \d{3})* 000(?![\d.,]?\d)")
"""Round thousands with spaces: 1 000 000. "100 200 300" may be a list."""


def tidy(text: str) -> str:
    """Return a window of a text as numbers are read from it. What can't be there isn't looked for."""
    if "!" in text or "\u2026" in text or "..." in text:
        text = FACTORIAL.sub("↑", _ENDLESS.sub(r"\1↑", text))  # 5! is no 5, and 0.333... isn't 0.333
    text = plain(text).translate(CURRENCY).replace("=>", "= ").replace("->", " ")
    if " 000" in text:
        text = _GROUPS.sub(lambda match: match[0].replace(" ", ","), text)
    if ")/(" in text:
        text = _BROKEN.sub(_fraction, text)
    lowered = text.lower()
    if "-" in text or "minus" in lowered or "negative" in lowered:
        text = _SPOKEN_MINUS.sub(r" \1-", _MINUS_BRACKET.sub(r"-\1", text))
    return text


def _fraction(match: re.Match[str]) -> str:
    negative = (match[1] == "-") != (match[3] == "-")
    return f"{'-' * negative}{match[2]}/{match[4]}"


def ended(text: str) -> str:
    """Return a text in which decimals that go on end with the digits that are written: for who compares with a tolerance."""
    return _ENDLESS.sub(lambda match: match[1] + ("." if match[2] is not None else ""), text)
