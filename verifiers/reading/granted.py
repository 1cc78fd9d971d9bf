"""Second answers that a response grants beside its own: "7, though 9 is also correct"."""

from __future__ import annotations

import re
from collections.abc import Callable

from verifiers.reading.numerals import numerals
from verifiers.reading.tidying import tidy

WINDOW = 300
"""Characters behind an answer in which another one is granted."""
_WORD = r"(?:[^\s,;:()!?.]|[.,](?=\d)){1,40}"
_OTHER = (
    r"(?!(?:this|that|it|which|both|each|they|he|she|we|you|there|what|the|these|those|all)\b)"
    rf"(?P<NAME>{_WORD}(?:\s{_WORD}){{0,2}}?)"
)
_GOOD = (
    r"(?:an?\s|another\s|the\s)?(?:\w+ly\s)?(?:correct|right|true|valid|acceptable|accepted|possible|plausible|fine|okay|permissible"
    r"|allowed|answers?|solutions?|possibility)\b"
)
_GRANTS = re.compile(
    rf"""(?P<gap>[^.!?;:,(\n]{{0,60}}?(?:[.!]\s|[;,(]\s?|\s[\u2014\u2013-]\s)[*_]{{0,2}}
            (?:(?:but|and|or|though|although|however|while|yet|note\sthat),?\s){{0,3}}
            (?:the\sanswer\s|option\s|choice\s)?)\(?{_OTHER.replace("NAME", "also")}\)?
        \s(?:(?:is|are|was|were)\s(?:also|equally|likewise)\s{_GOOD}|(?:could|might|may)\s(?:also\s|equally\s)?be\s{_GOOD}
            |would\s(?:also|equally)\sbe\s{_GOOD}|(?:would\s)?also\s(?:works?|fits?|qualif(?:y|ies)|satisf(?:y|ies)|counts?)\b
            |(?:is\s{_GOOD}|works|fits|qualifies)\s(?:too|as\swell)\b)(?=[*_"'$]{{0,3}}\s*(?:[.,;:!)\n]|$)|\s(?:here|because|since|as|too|answers?|solutions?)\b)
    |[^.!?;:,\n]{{0,40}}?[.;,]\s(?:and\s)?also,?\s\(?(?P<again>[A-Z]|\d[\d.,]{{0,12}})\)?[.!]?\s*$
    |[^.!?;\n]{{0,60}}?,?\sand\sso\s(?:is|would|does)\s\(?{_OTHER.replace("NAME", "so")}\)?(?=[.;,)\s]|$)
    |(?P<first>[^.!?;\n]{{0,40}}?)\s(?P<where>under|in|by|on|with|for)\sthe\s(?:first|former|one|strict|usual)\b[^.;\n]{{0,40}}?
        \b(?:and|but|or)\s{_OTHER.replace("NAME", "second")}\s(?P=where)\sthe\s(?:second|latter|other|loose)\b""",
    re.IGNORECASE | re.VERBOSE,
)


def granted(text: str, begin: int, letters: Callable[[str], object], answer: str = "") -> str:
    """Return what a text grants beside the answer that stands at `begin`, or before it; empty where that is nothing, or the same.

    `letters`: what reads an answer. Of numbers, it is their values that are compared; of mathematics, nothing is said.
    """
    window = text[begin : begin + WINDOW]
    found = _GRANTS.match(window.lstrip(" $*_\"'}"))
    if found is None:
        return ""
    name = next(name for name in ("also", "again", "so", "second") if found[name])
    other = found[name]
    answer = answer or found.string[: found.start(name)]
    values = [[numeral.value for numeral in numerals(tidy(each))[:1]] for each in (answer, other)]
    if all(values):
        return "" if values[0] == values[1] else other
    unread = any(values) or any(sign in window for sign in "\\=^") or letters(other) is None
    return "" if unread else other
