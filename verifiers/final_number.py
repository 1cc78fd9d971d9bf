"""Which number of a text is its answer. Where two readers could differ, none is.

The first number of the answer's sentence is the answer, unless what stands between it and the next one says otherwise:

    10 - 2 = 8          a chain: its last link that isn't a calculation
    12 apples in 3 …    "in", "for", "because", "so", a bracket …: what follows only explains
    5 or 6, 5 to 6      an alternative, a range, a list, a second quantity: refused
    3 * 4               a calculation that wasn't carried out: refused

A sentence that begins with other words and has several numbers ("With 5 more she has 7 + 5 = 12 of them") is read from its
last "=".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from verifiers.markup import UNKNOWN, fold
from verifiers.numerals import Numeral, numerals
from verifiers.sentences import dismissed, guessed
from verifiers.tidying import tidy
from verifiers.units import unit_behind

WINDOW = 600
"""Characters that are looked at from where an answer begins: a sentence is no longer."""
_LOOK_BACK = 160
_LOOK_AHEAD = 80
_FOLD_BACK = 20_000


@dataclass(frozen=True, slots=True)
class Reading:
    """A number that was read."""

    text: str
    """As written, without markup."""
    value: Fraction
    """Its value."""
    end: int
    """Where it ends in the sentence that was given."""
    unit: str = ""
    """A unit that is known, in one spelling; empty where none stands behind it."""
    at_end: bool = False
    """No word follows it in the text: if the text was cut off, then perhaps within this number."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """There are numbers, and none of them is the answer."""

    why: str
    """For a person."""
    negated: bool = False
    """The text says which number isn't the answer."""
    value: Fraction | None = None
    """That number."""
    end: int = 0
    """Where the refused number ends."""


Read = Reading | Refusal | None

_NEGATED = re.compile(
    r"(?:\b(?:not|never|neither|nor|cannot|without|nicht|keine?|pas|jamais|no|nunca|não|non|niet|geen|не)|n['\u2019]t)\b(?:\s+\w+){0,2}\s*$"
    r"|(?:不是|不为|不等于|并非|並非|不是说)\s*$",
    re.IGNORECASE,
)
_EXCLUDED = re.compile(r"\b(?:but|except|excluding|besides)\s*$", re.IGNORECASE)
_BOUND = re.compile(
    r"(?:\b(?:more|less|fewer|greater|higher|lower|larger|smaller|bigger|other|rather)\s+than|\b(?:over|under|above|below|almost|nearly|exceed(?:s|ing)?)"
    r"|(?:超过|超過|大于|小于|多于|少于|不到|至少|至多)"
    r"|[<>≤≥≠±]|!=)\s*$",
    re.IGNORECASE,
)
_FACTOR = re.compile(
    r"\b(?:half|twice|double|triple|thrice|quarter|third|square|cube|root|times|plus|minus)(?:\s+(?:of|root|the|that|a)){0,3}\s*$",
    re.IGNORECASE,
)
_FUNCTION = re.compile(
    r"\b(?:sum|product|difference|quotient|opposite|inverse|reciprocal|negative|factorial|logarithm|value|square|cube|power|half|one)\s+of"
    r"\s+(?:the\s+)?$",
    re.IGNORECASE,
)
_ROOT = re.compile(
    r"(?:√|\b(?:log|ln|lg|sin|cos|tan|cot|arcsin|arccos|arctan)(?=[\s(])|\b(?:sqrt|exp|floor|ceil|gcd|lcm|max|min|abs|[a-zA-Z])(?=\())\s*\(?\s*$"
)
_OPERAND = re.compile(r"(?:[\w)π°%]\s*[+\u00d7*/÷]|(?:\b[a-zA-Zπ]|\))\s*-)\s*\(?\s*$")
"""Before a number that is only the last part of a calculation: "x/3", "π - 3"."""
_ADDED = re.compile(r"\b[a-zA-Zπ]\s?[+\u00d7*÷]\s?$")
_ALTERNATIVE = re.compile(
    r"\b(?:or|and|nor|vs|versus|to(?=\s*$)|but|through|until|except|actually|instead|otherwise|alternatively|maybe"
    r"|perhaps|possibly|wait|i mean|make that|sorry|correction|oops|no|scratch|oder|ou|или)\b|[&±]|或|または|あるいは|또는|혹은",
    re.IGNORECASE,
)
_OTHERWISE = re.compile(r"\b(?:otherwise|or else|alternatively)\b", re.IGNORECASE)
_ANOTHER = re.compile(r"[^,;]*[,;]\s*(?:and\s+)?[a-zA-Z]\w?\s*=\s*")
_OR = re.compile(r"\b(?:or|oder|ou|или)\b|或|または|또는", re.IGNORECASE)
_NOT_THE_NEXT = re.compile(
    r"(?:\b(?:and|but)\s+not(?:\s+the)?|\b(?:instead\s+of|rather\s+than)|,\s+(?:nicht|no|pas|non|não|niet|не))\s+\W{0,2}$|不是\s*$",
    re.IGNORECASE,
)
_CONCLUSION = re.compile(
    r"\b(?:which (?:is|equals|gives|makes|comes to)|that is|i\.e|so|thus|therefore|hence|giving|making|totall?ing)\b",
    re.IGNORECASE,
)
_EXPLANATION = re.compile(
    r"\b(?:to|because|since|as|if|when|where|which|who|while|given|not|in|for|per|of|after|before|from|with|at|on|by|each|every|within"
    r"|during|out|than|over|under|left|remaining)\b",
    re.IGNORECASE,
)
_EQUALS = re.compile(r"[^,;=≈]*(?:[=≈≅]\s*)+[\s(\[]*(?:about|approximately|approx\.?)?\s*")
_OPERATOR = re.compile(
    r"[\s)\]]*(?:[a-z°↑./]+\s+){0,4}[a-z°↑]*[)\]]*\s*(?:[-+\u00d7÷*/^√]|(?<=\s)x(?=\s))[\s(\[√]*", re.IGNORECASE
)
_SPOKEN_OPERATOR = re.compile(
    r"\s(?:[a-z]+\s){0,2}(?:plus|minus|times|divided by|multiplied by|over"
    r"|(?:more|less|fewer|greater) than|to the power of)\s",
    re.IGNORECASE,
)
_IS = re.compile(r"\s(?:[a-z]+\s){0,3}(?:is|are|equals|is equal to|makes|gives)\s", re.IGNORECASE)
_NEXT_CLAUSE = re.compile(r"\s*[.;!?]\s+[^\W\d]|[^,(]*(?:\(|\[|\s—\s)|[^,]*,\s+[a-z]")
_UNFINISHED = re.compile(
    rf"\)*\(\s?\d[\d.,]*\)|\s*(?:[↑√π\u00d7÷±^{UNKNOWN}]|\.{UNKNOWN}|\+|[*/](?!\s?[a-z])"
    r"|(?:or|and) (?:more|less|fewer|so|above|under)\b|squared\b|cubed\b|plus\b|minus\b|divided by\b|multiplied by\b"
    r"|(?:raised )?to the (?:\w+ )?power\b|(?:root|power) of\b|(?:times|(?:more|less|fewer|greater) than) [b-zB-HJ-Z]\b(?!'))"
    r"|\s*\(?(?:in\s)?base[\s-](?!10\b|ten\b)(?:\d|two|three|five|seven|eight|nine|sixteen)"
    r"|\s*(?:ではな|ではあり|じゃな|[가이은는]?\s?아니|[가이은는]?\s?아닙)"
)
_NEXT_ITEM = re.compile(r"[^\n]*\n(?P<blank>\s*\n)?[ \t]*-\s+$")
_ITEM = re.compile(r"[ \t]*-\s")
_BETWEEN = re.compile(r"\bbetween\s+\W{0,2}$", re.IGNORECASE)

_APART = re.compile(r"\s*[,:]\s*|\s*-\s*|\s+to\s+|.*(?:\b(?:or|oder|ou|или)\b|或|または|또는).*", re.IGNORECASE | re.DOTALL)
_SMALLER_UNIT = re.compile(
    r"\s*(?:hours?|hrs?|h|minutes?|min|days?|weeks?|months?|years?|feet|foot|ft|yards?|miles?|meters?|dollars?|pounds?|lbs?|kg|gallons?)"
    r",?\s+(?:and\s+)?",
    re.IGNORECASE,
)
_NOTHING = re.compile(r"[\s=(]*(?:about|approximately)?\s*")
_EQUATIONS = re.compile(r"\b[a-zA-Z]\s?=\s?[-\d.,/]{1,40}\s?(?:,|;|and|or|,\s?and)\s{1,2}[a-zA-Z]\s?=\s?[-\d]")
_QUALIFIED = re.compile(
    r",|\b(?:in|of|with|if|since|after|for|from|by|during|at|when|because|as|per|each|every|given|while|all|both|these|those|than)\b",
    re.IGNORECASE,
)
_LED = re.compile(
    r"""[\s:=≈"'“\u2018(\[>.#|+-]*+(?:(?:about|approximately|approx\.?|exactly|only|roughly|around
    |is|it's|it\ is|total|a\ total\ of|the
    |just|simply|therefore|thus|then|so|usd|us|rs\.?|[a-z]\s?[=≈])[\s:=≈(]++)*+""",
    re.IGNORECASE | re.VERBOSE,
)
_PLACE = r"[\s-](?:decimals?\b|significant\b|sig\.?\b|d\.?\s?p\b|s\.?\s?f\b)"
_PLACES = re.compile(_PLACE, re.IGNORECASE)
_TO_PLACES = re.compile(
    rf"[^\d.;!?]{{0,20}}[\s(,](?:rounded|correct|accurate|precise|to|at|with|in)\s(?:(?:off|up|down|to|within)\s){{0,2}}\d{{1,2}}{_PLACE}",
    re.IGNORECASE,
)
"""What says how a number is rounded: "12.35 (rounded to 2 decimal places)"."""
_OF = re.compile(r"\s+of\s")
_ASKS = re.compile(r"(?:[^.!?\n]|\.(?=\d))*\?")
_IN_CASES = re.compile(
    r"\s*(?:\([^()\n]{1,40}\)|(?:when|if|for|where)\s[^,;\n]{1,40})[,;]\s(?:(?:and|or|but)\s)?-?\d[\d.,]*\s*(?:\(|(?:when|if|for|where|otherwise|else)\b)"
)
"""Behind a number that holds in one case: "7 (for x > 0), 8 (for x < 0)"."""
_IN_BRACKETS = re.compile(r"\d[^()\n]{0,40}\([^()\n]{0,80}$")
_COUNTS = re.compile(
    r"\b(?:step|part|question|problem|exercise|note|example|figure|table|equation|section)\s+\(?$",
    re.IGNORECASE,
)
_GRADE, _LEVELLED = re.compile(r"\bgrade\s+$", re.IGNORECASE), re.compile(r"\s(?:problem|question|exercise)\b", re.IGNORECASE)
_LABEL = re.compile(
    r"\b(?:figure|fig\.?|equation|eq\.?|table|section|theorem|lemma|(?:in|of|to|see) (?:question|problem|part))\s*\(?$",
    re.IGNORECASE,
)
_NOT_THIS = re.compile(r"\d[^.!?\n]*(?:\bnot|n['\u2019]t(?: be)?|\binstead of|\brather than)\s+$", re.IGNORECASE)

Join = Literal["equals", "operator", "stops", "clashes"]


def in_sentence(sentence: str) -> Read:
    """Return the number that a tidy sentence gives as the answer, a refusal, or None where it has no number."""
    found = numerals(sentence)
    if not found:
        return None
    if not _led(sentence, found):
        if result := _last_result(sentence, found):
            return result
        found = [numeral for numeral in found if _has_digits(numeral)] or found
    first = found[0]
    lead, behind = sentence[: first.start], sentence[first.end :]
    cases = _OTHERWISE.search(sentence) or _IN_CASES.match(sentence, first.end)
    if len(found) > 1 and (cases or _QUALIFIED.search(lead)):
        return Refusal(f"several numbers: {_quote(sentence)}", end=first.end)
    return _refuse(lead, first, behind) or _follow(sentence, found, finished=not (_ROOT.search(lead) or _OPERAND.search(lead)))


def _refuse(lead: str, first: Numeral, behind: str) -> Refusal | None:  # noqa: PLR0911 - a table, in effect
    """Refuse a number for what stands before it, or right behind."""
    written = _quote(lead + first.text)
    if UNKNOWN in lead:
        return Refusal(f"{written} can't be read", end=first.end)
    if _EXCLUDED.search(lead):
        return Refusal(f"only what it isn't: {written}", end=first.end)
    if _NEGATED.search(lead) or dismissed(lead, behind):
        return Refusal(f"only what it isn't: {written}", negated=True, value=first.value, end=first.end)
    if _BOUND.search(lead):
        return Refusal(f"a bound, not a number: {written}", end=first.end)
    if _LABEL.search(lead):
        return Refusal(f"a number of something else: {written}", end=first.end)
    if guessed(lead):
        return Refusal(f"only a guess: {written}", end=first.end)
    if _FACTOR.search(lead) or _FUNCTION.search(lead):
        return Refusal(f"a calculation, not a number: {written}", end=first.end)
    return None


def is_led(sentence: str) -> bool:
    """Whether a tidy sentence begins with a number, or with words that announce one."""
    found = numerals(sentence)
    return bool(found) and _led(sentence, found)


def _led(sentence: str, found: list[Numeral]) -> bool:
    if _LED.fullmatch(sentence[: found[0].start]) is None:
        return False
    # "One floor is closed, so 100 - 10 = 90": with digits about, a word is seldom the answer.
    return _has_digits(found[0]) or not any(map(_has_digits, found))


def _last_result(text: str, found: list[Numeral]) -> Reading | Refusal | None:
    """Return what stands behind the last "=" of a text that has several numbers."""
    at = text.rfind("=", 0, found[-1].start)
    behind = [numeral for numeral in found if numeral.start > at]
    if at < 0 or len(found) < 2 or not _NOTHING.fullmatch(text[at + 1 : behind[0].start]):  # noqa: PLR2004
        return None
    if several := _EQUATIONS.search(text):
        return Refusal(f"several numbers: {_quote(several[0])}", end=found[-1].end)
    return _follow(text, behind, finished=True)


def _has_digits(numeral: Numeral) -> bool:
    return any(c.isdecimal() for c in numeral.text)


def _follow(sentence: str, found: list[Numeral], *, finished: bool) -> Read:
    current, best = found[0], None
    for following in found[1:]:
        gap = sentence[current.end : following.start]
        if _TO_PLACES.match(sentence, current.end, following.end + _LOOK_AHEAD):
            continue
        finished = finished and not _UNFINISHED.match(sentence, current.end)
        join = _join(gap, current, following, finished=finished)
        if join == "clashes":
            if _OR.search(gap) and current.value is not None and current.value == following.value:  # "1/2 or 0.5"
                current = following
                continue
            return Refusal(f"several numbers: {_quote(sentence[found[0].start : following.end])}", end=following.end)
        if join == "stops":
            break
        if join == "equals":
            best, finished = (current if finished else best), True
        else:
            finished = False
        current = following
    if finished and not _UNFINISHED.match(sentence, current.end):
        best = current
    if best is None:
        return Refusal(f"a calculation, not a number: {_quote(sentence[found[0].start :])}", end=current.end)
    if best.value is None:
        return Refusal(f"{_quote(best.text)} is no plain number", end=best.end)
    return Reading(best.text.strip(), best.value, best.end, unit_behind(sentence, best.end, best.text))


def _join(gap: str, current: Numeral, following: Numeral, *, finished: bool) -> Join:
    """Say what the text between two numbers makes of them."""
    words = {name: match.start() for name, p in _KEYWORDS.items() if (match := p.search(gap))}
    first = min(words, key=words.__getitem__) if words else ""
    join: Join
    if following.signed and gap.isspace():
        join = "operator"
    elif finished and _NOT_THE_NEXT.search(gap):
        join = "stops"
    elif first == "conclusion" and not finished:
        join = "equals"
    elif first == "alternative" or _ANOTHER.fullmatch(gap):
        join = "clashes"
    elif _EQUALS.fullmatch(gap):
        join = "equals"
    elif _OPERATOR.fullmatch(gap) or _SPOKEN_OPERATOR.fullmatch(gap) or (current.part and _OF.match(gap)):
        join = "operator"
    elif not first and not finished and _IS.fullmatch(gap):
        join = "equals"
    else:
        join = "stops" if first or _NEXT_CLAUSE.match(gap) else "clashes"
    return join


_KEYWORDS = {"alternative": _ALTERNATIVE, "conclusion": _CONCLUSION, "explanation": _EXPLANATION}


def last_number(text: str) -> Read:
    """Return the last number of a text: where an answer stands that nothing announces."""
    if not text.isascii():
        text = fold(text[-_FOLD_BACK:])
    end = len(text)
    for _ in range(20):
        at = max(text.rfind(digit, 0, end) for digit in "0123456789")
        if at < 0:
            return None
        begin = max(0, at - _LOOK_BACK)
        window = tidy(text[begin : at + _LOOK_AHEAD])
        found = [numeral for numeral in numerals(window) if _has_digits(numeral)]
        while found and _skipped(window, found[-1]):
            found.pop()
        if found:
            if begin and found[-1].start == 0:
                return Refusal("the last number is too long to be one")
            read = _last(window, found)
            return replace(read, at_end=nothing_follows(window, read.end)) if isinstance(read, Reading) else read
        end = begin
    return None


def nothing_follows(text: str, end: int) -> bool:
    """Whether nothing is behind `end` but what may belong to a number: "7." may become "7.25"."""
    return not text[end:].strip(" \t\n.,)")


def _skipped(window: str, numeral: Numeral) -> bool:
    before = window[: numeral.start]
    line = before[before.rfind("\n") + 1 :]
    enumerates = not line.strip() and re.match(r"[.)][ \t]+\S", window[numeral.end :])
    # "72 apples (see step 3)": what stands in brackets behind a number only explains it.
    bracketed = _IN_BRACKETS.search(before) and re.match(r"[^()\n]*\)", window[numeral.end :])
    levelled = _GRADE.search(line) and _LEVELLED.match(window, numeral.end)
    places = _PLACES.match(window, numeral.end)
    return bool(enumerates or bracketed or levelled or places or _NOT_THIS.search(before) or _COUNTS.search(line))


def _last(window: str, found: list[Numeral]) -> Reading | Refusal:
    last = _result_before(window, found) or found[-1]
    if last is found[-1] and (refusal := _refuse_last(window, found)):
        return refusal
    if last.value is None:
        return Refusal(f"{_quote(last.text)} is no plain number")
    return Reading(last.text.strip(), last.value, last.end, unit_behind(window, last.end, last.text))


def _refuse_last(window: str, found: list[Numeral]) -> Refusal | None:
    """Refuse the last number of a text for what stands beside it."""
    last = found[-1]
    if _ASKS.match(window, last.end):
        return Refusal(f"a question: {_quote(last.text)}")
    if _UNFINISHED.match(window, last.end) or _ROOT.search(window[: last.start]) or _ADDED.search(window[: last.start]):
        return Refusal(f"a calculation, not a number: {_quote(window[last.start : last.end + 20])}")
    before = window[: last.start]
    if refusal := _refuse(before[max(map(before.rfind, ".!?\n")) + 1 :], last, window[last.end :]):
        return refusal
    return _refuse_pair(window, found[-2], last) if len(found) > 1 else None


def _refuse_pair(window: str, before: Numeral, last: Numeral) -> Refusal | None:
    """Refuse the last number of a text where it belongs to the one before."""
    gap, both = window[before.end : last.start], _quote(window[before.start : last.end])
    if item := _NEXT_ITEM.fullmatch(gap):  # a dash, and no minus
        line = window[window.rfind("\n", 0, before.start) + 1 :]
        if item["blank"] or _ITEM.match(line):
            return None
    together = _APART.fullmatch(gap) or _SMALLER_UNIT.fullmatch(gap) or (gap.isspace() and not last.signed)
    same = last.value == before.value and _OR.search(gap)
    between = _BETWEEN.search(window[: before.start]) and re.fullmatch(r"[^.\n]{0,30}\band\b[^.\n]{0,10}", gap)
    if (together or between) and "\n" not in gap and not same:
        return Refusal(f"several numbers: {both}")
    if _OPERATOR.fullmatch(gap) or (gap.isspace() and last.signed) or (before.part and _OF.match(gap)):
        return Refusal(f"a calculation, not a number: {both}")
    return None


def _result_before(window: str, found: list[Numeral]) -> Numeral | None:
    """Return 5 for "120/24 = 5 hours to read 120 pages": what follows a result in its sentence may only qualify it."""
    at = window.rfind("=", 0, found[-1].start)
    behind = [numeral for numeral in found if numeral.start > at]
    if at < 0 or len(behind) < 2 or not _NOTHING.fullmatch(window[at + 1 : behind[0].start]):  # noqa: PLR2004
        return None
    result, following = behind[:2]
    gap = window[result.end : following.start]
    qualified = (
        _join(gap, result, following, finished=True) == "stops" and _EXPLANATION.search(gap) and not _CONCLUSION.search(gap)
    )
    if not qualified or result.value is None or re.search(r"[,;:\n]|[.!?]\s", window[result.end : found[-1].start]):
        return None
    return None if _UNFINISHED.match(window, result.end) else result


def _quote(text: str) -> str:
    text = " ".join(text.split())
    return "“" + (text if len(text) <= 60 else text[:59] + "…") + "”"  # noqa: PLR2004 - a line for a person
