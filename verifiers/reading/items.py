"""Things that a text ends with side by side, each with a number of its own: then no single one of these is the answer."""

from __future__ import annotations

import re

_LONGEST = 400
"""Characters of a line that may be such a thing."""
_ABOVE = 2000
"""Characters above it in which the other one is looked for."""
_NUMBER = r"[$€£]?-?\d[\d.,/]{0,20}[%°]?"
_WORDS = r"[^\W\d_]['\u2019\w-]{0,20}"
_LEAD = r"[ \t]*(?:[-*+•>]\s+|\(?[a-h\d]\)\s+|\d{1,2}[.)]\s+)?[*_]{0,3}"
_TRAIL = r"[*_.,;]{0,4}[ \t]*"
_LABELLED = re.compile(
    rf"{_LEAD}(?P<label>{_WORDS}(?:\s{_WORDS}){{0,4}})[*_]{{0,3}}(?::|\s[\u2013\u2014-]\s)[*_]{{0,3}}\s{{0,3}}[*_$]{{0,3}}"
    rf"(?P<number>{_NUMBER})(?:\s?{_WORDS}){{0,2}}{_TRAIL}"
)
"""Tom: 5 apples"""
_ROW = re.compile(
    rf"[ \t]*\|(?P<label>[^|\d\n]{{1,40}})\|\s*[*_$]{{0,3}}(?P<number>{_NUMBER})(?:\s?{_WORDS}){{0,2}}[*_]{{0,3}}\s*\|[ \t]*"
)
"""| Tom | 5 |"""
_SOLUTION = re.compile(rf"{_LEAD}\$?(?P<label>[a-zA-Z](?:_?\d)?)\s?=\s?(?P<number>{_NUMBER})\$?{_TRAIL}")
"""x = 5"""
_COUNTED = re.compile(rf"{_LEAD}(?P<number>{_NUMBER})[*_]{{0,3}}(?P<label>(?:\s{_WORDS}){{0,2}}){_TRAIL}")
"""5 apples"""
_CASE = re.compile(
    r"[\s*_>-]{0,6}(?P<label>(?:case|scenario|possibility|situation)\s\(?\w{1,4}\)?)\b\W{0,4}(?!.*\b(?:all|both|every)\b)[^\n]{0,160}?"
    rf"(?P<number>{_NUMBER})(?:\s?{_WORDS}){{0,2}}\W{{0,4}}",
    re.IGNORECASE,
)
"""Case 1 gives 5."""
_FORMS = (_LABELLED, _ROW, _SOLUTION, _COUNTED, _CASE)
_RESULT = re.compile(
    r"\b(?:total|sum|grand|answer|result|final|overall|altogether|together|combined|solution|conclusion|difference|average|mean|product"
    r"|remain\w*|left|net|so|thus|therefore|hence|step\w*|gesamt|summe|ergebnis|antwort|somme|résultat|réponse|suma|resultado|respuesta"
    r"|risultato|risposta|итого|ответ)\b",
    re.IGNORECASE,
)
"""In the label of what the others come to."""
_ALIKE = re.compile(
    rf"\b(?P<one>{_WORDS})\s(?P<number>{_NUMBER})(?:\s{_WORDS}){{0,2}},?\s(?:and|while|but)\s(?:then\s)?(?:the\s)?{_WORDS}\s(?P=one)\s"
    rf"(?P<last>{_NUMBER})"
)
"""Tom gets 5 apples and Ann gets 6"""
_ELSE = re.compile(r"\d[^.!?\n]{0,80}[,;]?\s(?:and\s|or\s)?[-$]{0,2}\d[\d.,/]{0,20}(?:\s\w{1,12})?,?\s(?:otherwise|else)\b")
"""12 if x is even, 15 otherwise"""
_MEMBER = re.compile(r'"[^"\n]{1,40}"\s*:\s*(?P<number>-?\d[\d.eE+-]*)\s*[,}]')


def side_by_side(text: str, last: int) -> str:
    """Return what a text has side by side where its last digit stands, at `last`, or nothing.

    A label that says that it is of the result tells which one is meant; so does the same number twice.
    """
    begin = text.rfind("\n", 0, last) + 1
    line = text[begin : last + _LONGEST].partition("\n")[0]
    if len(line) > _LONGEST:
        return ""
    if (alike := _alike(line)) is not None:
        return alike
    if text.rstrip().endswith("}") and text.lstrip().startswith("{") and len({m["number"] for m in _MEMBER.finditer(text)}) > 1:
        return " ".join(text.split())
    for form in _FORMS:
        own = form.fullmatch(line)
        if own is None:
            continue
        above = text[max(0, begin - _ABOVE) : begin].rstrip().rpartition("\n")[2]
        other = form.fullmatch(above)
        if other and other["number"] != own["number"] and _named_apart(other["label"], own["label"], form):
            return f"{above.strip()} {line.strip()}"
    return ""


def _named_apart(one: str, other: str, form: re.Pattern[str]) -> bool:
    one, other = one.strip().lower(), other.strip().lower()
    return (form is _COUNTED or one != other) and not _RESULT.search(other)


def _alike(line: str) -> str | None:
    found = next((match for match in _ALIKE.finditer(line) if match["number"] != match["last"]), None) or _ELSE.search(line)
    behind = line[found.end() :] if found else ""
    return found[0] if found and not any(map(str.isdecimal, behind)) else None
