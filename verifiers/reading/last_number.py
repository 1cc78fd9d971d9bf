"""The last number of a text, where an answer stands that nothing announces, and what stands beside it that makes it none."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

from verifiers.reading import closing
from verifiers.reading.final_number import (
    CONCLUSION,
    CONDITION,
    EXPLANATION,
    LOOK_AHEAD,
    NOTHING,
    OF,
    OPERATOR,
    OR,
    PLACE,
    ROOT,
    UNFINISHED,
    Read,
    Reading,
    Refusal,
    has_digits,
    in_sentence,
    is_led,
    join,
    quote,
    reading,
    refuse,
    restated,
)
from verifiers.reading.markup import fold
from verifiers.reading.numerals import Numeral, numerals
from verifiers.reading.sentences import first_sentence
from verifiers.reading.tidying import tidy
from verifiers.reading.units import same_amount

_LOOK_BACK = 160
_FOLD_BACK = 20_000
_ADDED = re.compile(r"\b[a-zA-Zπ]\s?[+\u00d7*÷]\s?$")
_NEXT_ITEM = re.compile(r"[^\n]*\n(?P<blank>\s*\n)?[ \t]*-\s+$")
_ITEM = re.compile(r"[ \t]*-\s")
_BETWEEN = re.compile(r"\bbetween\s+\W{0,2}$", re.IGNORECASE)
_NAME = r"[a-zA-Z](?:_?\d{1,3}|\w)?\s?(?:=|is|equals)\s?"
"""Of a solution, and no unit: x_1 = 7."""
_DIVIDED = re.compile(r"\d\s?(?P<name>[a-zA-Z])\s?=\s?$")
"""Before a number that is no solution yet: 2x = 12."""
_APART = re.compile(
    rf"\s*[,;]?\s*(?:\b(?:and|und|et|y|и)\b|&)\s*(?:{_NAME})?|\s*[,;]\s*{_NAME}|\s*[,:]\s*|\s*-\s*|\s+to\s+"
    r"|.*(?:\b(?:or|oder|ou|или|veya|ya\sda)\b|或|または|또는).*",
    re.IGNORECASE | re.DOTALL,
)
_EXTREME = re.compile(
    r"\b(?:max(?:imum|imal)?|min(?:imum|imal)?|largest|smallest|greatest|least|highest|lowest|biggest|fewest|most)\b[^.,;:=\d]{0,60}"
    r"\s(?:is|are|was|equals|of)\s\W{0,3}$",
    re.IGNORECASE,
)
"""Before what is the answer, wherever it is attained."""
_ATTAINED = re.compile(
    rf"[^\d.,;:=]{{0,40}}?,?\s(?:(?:and|which|it|is|are)\s){{0,3}}(?:(?:attained|achieved|reached|obtained|occur\w*|happen\w*)\s)?(?:only\s)?"
    rf"(?:when|where|if|for|at|with)\s(?!(?:the\s)?\w+\s(?:starts?|begins?)\b)(?:(?!\b(?:and|but|so|then|or|being|the\s\w+est)\b)[^.,;:!?\n]|\.\d|(?:,|\sand)\s(?={_NAME}))*",
    re.IGNORECASE,
)
"""Behind it, up to the last number: "12, attained when x = 2 and y = 3"."""
_QUALIFIED = re.compile(
    r"(?:\s(?:is|are|was|were)\s(?:left|remaining|needed|required|sold|made)\b|\s(?!(?:and|but|so|then|or|not|than|is|are|was|were|be|has|have|had|get|gets|leave|leaves|leaving|giv\w+|mak\w+|need\w*|cost\w*"
    r"|equal\w*|which|who|that)\b)(?:[a-z][a-z'\u2019-]*|\d[\d.,]*)){0,8}?\s(?:in|for|per|after|within|during|over|from|of|on|at|with|to)"
    r"(?:\s(?:(?!and\b|but\b|or\b)[a-z]+)){0,3}\s",
    re.IGNORECASE,
)
"""Between a result and what only says of what it is: "72 clips in the 2 months"."""
_SPOKEN_OF = re.compile(r"\b(?:the|these|those|all|his|her|their|its|of|with)\s\W*$", re.IGNORECASE)
"""Before a result from which the sentence goes on: "He sells the 12 boxes for 60 dollars"."""
_SENTENCE_ENDS = re.compile(r"[.!?]\s|\n")
_SAME = re.compile(
    r"[^,;=≈\n]{0,20}(?:(?:[=≈≅]\s*)+|,?\s(?:or|oder|ou|или)\s)(?:about|approximately|approx\.?)?\s*", re.IGNORECASE
)
"""Between a number and the same in other words."""
_SMALLER_UNIT = re.compile(
    r"\s*(?:hours?|hrs?|h|minutes?|min|days?|weeks?|months?|years?|feet|foot|ft|yards?|miles?|meters?|dollars?|pounds?|lbs?|kg|gallons?)"
    r",?\s+(?:and\s+)?",
    re.IGNORECASE,
)
_PLACES = re.compile(PLACE, re.IGNORECASE)
_ASKS = re.compile(r"(?:[^.!?\n]|\.(?=\d))*\?")
_IN_BRACKETS = re.compile(r"\d[^()\n]{0,40}\([^()\n]{0,80}$")
_COUNTS = re.compile(
    r"\b(?:step|part|question|problem|exercise|note|example|figure|table|equation|section)\s+\(?$",
    re.IGNORECASE,
)
_CONFIDENCE, _SURE = (
    re.compile(r"^\W*(?:\w+\s)?confidence(?:\s(?:level|score))?\W*[:=]\W*$", re.IGNORECASE),
    re.compile(r"\s(?:sure|certain|confident|positive|confidence)\b", re.IGNORECASE),
)
"""Before and behind a number that says how sure the writer is."""
_NOTE = re.compile(
    r"^[\W_]*(?:(?:\w+\s)?confidence(?:\s(?:level|score))?[\W_]*[:=]|(?:please\s)?note(?:[\W_]*:|\sthat\b))", re.IGNORECASE
)
"""How a line begins that says something of the answer above it."""
_CITED = re.compile(r"[.!?\w)]\[(?:\d{1,2}[,\s]{1,2})?$")
"""Before the number of a footnote: "12 apples.[1]"."""
_SINCE = re.compile(r"(?:(?:but|and|now|so)\s)?(?:since|because|as|given|when|if)\b", re.IGNORECASE)
"""How a sentence begins that concludes from one number another: "Since x > 3, x = 4"."""
_CONCLUDES = re.compile(r"[,;]?\s(?:(?:and|so|then)\s){0,2}(?P<name>[a-zA-Z](?:_?\d{1,3}|\w)?)\s?(?:=|is|equals)\s?")
_THERE_ARE = re.compile(
    r"\W*(?:(?:so|thus|therefore|hence|in\stotal|altogether),?\s)?there\s(?:is|are|were|will\sbe)\s(?=\w)"
    r"(?!\w+\s(?:cases|steps|things|parts|reasons|options|possibilities|approaches|methods)\b)",
    re.IGNORECASE,
)
_GRADE, _LEVELLED = re.compile(r"\bgrade\s+$", re.IGNORECASE), re.compile(r"\s(?:problem|question|exercise)\b", re.IGNORECASE)
_NOT_THIS = re.compile(r"\d[^.!?\n]*(?:\bnot|n['\u2019]t(?: be)?|\binstead of|\brather than)\s+$", re.IGNORECASE)


def last_number(text: str) -> Read:
    """Return the last number of a text: where an answer stands that nothing announces."""
    if not text.isascii():
        text = fold(text[-_FOLD_BACK:])
    end = len(text)
    for _ in range(20):
        at = max(text.rfind(digit, 0, end) for digit in "0123456789")
        if at < 0:
            return _in_words(text) if end == len(text) else None
        begin = max(0, at - _LOOK_BACK)
        window = tidy(text[begin : at + LOOK_AHEAD])
        found = [numeral for numeral in numerals(window) if has_digits(numeral)]
        while found and _skipped(window, found[-1]):
            found.pop()
        if found:
            if begin and found[-1].start == 0:
                return Refusal("the last number is too long to be one")
            read = _last(window, found, text[max(0, begin - closing.CHARS) : begin])
            return replace(read, at_end=nothing_follows(window, read.end)) if isinstance(read, Reading) else read
        end = begin
    return None


def _in_words(text: str) -> Read:
    """Return ten for a text that only says "There are ten ways."."""
    there = _THERE_ARE.match(text)
    sentence = first_sentence(tidy(text[there.end() :])) if there else None
    if sentence is None or sentence.asks or sentence.rest.strip() or not is_led(sentence.text):
        return None
    return in_sentence(sentence.text)


def nothing_follows(text: str, end: int) -> bool:
    """Whether nothing is behind `end` but what may belong to a number: "7." may become "7.25"."""
    return not text[end:].strip(" \t\n.,)")


def says(one: Reading, other: Reading) -> bool:
    """Whether the second number says the first, perhaps rounded to its digits."""
    places = len(other.text.rpartition(".")[2]) if "." in other.text else None
    step = Fraction(0) if places is None else Fraction(1, 10**places)
    return same_amount((one.value, one.unit), (other.value, other.unit), step)


def _skipped(window: str, numeral: Numeral) -> bool:
    before = window[: numeral.start]
    line = before[before.rfind("\n") + 1 :]
    enumerates = not line.strip() and re.match(r"[.)][ \t]+\S", window[numeral.end :])
    # "72 apples (see step 3)": what stands in brackets behind a number only explains it.
    bracketed = _IN_BRACKETS.search(before) and re.match(r"[^()\n]*\)", window[numeral.end :])
    levelled = _GRADE.search(line) and _LEVELLED.match(window, numeral.end)
    places = _PLACES.match(window, numeral.end)
    if _NOTE.match(line) and any(map(str.isdecimal, before[: len(before) - len(line)])):
        return True
    if _CITED.search(line) and re.match(r"\][\s.]*(?:\n|$)", window[numeral.end :]):
        return True
    if "%" in numeral.text and (_CONFIDENCE.search(line) or _SURE.match(window, numeral.end)):
        return True
    return bool(enumerates or bracketed or levelled or places or _NOT_THIS.search(before) or _COUNTS.search(line))


def _last(window: str, found: list[Numeral], before: str) -> Reading | Refusal:
    last = _result_before(window, found) or found[-1]
    if last is found[-1]:
        if refusal := _refuse_last(window, found):
            return refusal
        told = None if _said_twice(window, found) else closing.which(window, found, before)
        if isinstance(told, Refusal):
            return told
        if told and (refusal := _refuse_last(window, found[: found.index(told) + 1])):
            return refusal
        last = told or last
    if last.value is None:
        return Refusal(f"{quote(last.text)} is no plain number")
    read = reading(window, last, last.value)
    both = _said_twice(window, found) if last is found[-1] else None
    return replace(read, also=both[0]) if both else read


def _said_twice(window: str, found: list[Numeral]) -> tuple[Reading, Reading] | None:
    """Return the last number and the one before where they say the same: "3/4 or 75%"."""
    if len(found) < 2 or not _SAME.fullmatch(window, found[-2].end, found[-1].start):  # noqa: PLR2004
        return None
    return restated(window, found[-2], found[-1])


def _refuse_last(window: str, found: list[Numeral]) -> Refusal | None:
    """Refuse the last number of a text for what stands beside it."""
    last = found[-1]
    if _ASKS.match(window, last.end):
        return Refusal(f"a question: {quote(last.text)}")
    if UNFINISHED.match(window, last.end) or ROOT.search(window[: last.start]) or _ADDED.search(window[: last.start]):
        return Refusal(f"a calculation, not a number: {quote(window[last.start : last.end + 20])}")
    before = window[: last.start]
    if refusal := refuse(before[max(map(before.rfind, ".!?\n")) + 1 :], last, window[last.end :]):
        return refusal
    return _refuse_pair(window, found[-2], last) if len(found) > 1 else None


def _refuse_pair(window: str, before: Numeral, last: Numeral) -> Refusal | None:
    """Refuse the last number of a text where it belongs to the one before."""
    gap, both = window[before.end : last.start], quote(window[before.start : last.end])
    if item := _NEXT_ITEM.fullmatch(gap):  # a dash, and no minus
        line = window[window.rfind("\n", 0, before.start) + 1 :]
        if item["blank"] or _ITEM.match(line):
            return None
    if _leads(window, before, gap):
        return None
    together = _APART.fullmatch(gap) or _SMALLER_UNIT.fullmatch(gap) or (gap.isspace() and not last.signed)
    same = OR.search(gap) and restated(window, before, last)
    between = _BETWEEN.search(window[: before.start]) and re.fullmatch(r"[^.\n]{0,30}\band\b[^.\n]{0,10}", gap)
    if (together or between or _conditional(window, before, gap)) and "\n" not in gap and not same:
        return Refusal(f"several numbers: {both}")
    if OPERATOR.fullmatch(gap) or (gap.isspace() and last.signed) or (before.part and OF.match(gap)):
        return Refusal(f"a calculation, not a number: {both}")
    return None


def _conditional(window: str, before: Numeral, gap: str) -> bool:
    """Whether the last number is only that for which the one before holds: "12 if n = 4", but not "x + 3 = 7 when x = 4"."""
    if CONDITION.fullmatch(gap) is None:
        return False
    name = gap.rstrip(" =").rpartition(" ")[2].strip("(")
    return re.search(rf"(?<![a-zA-Z]){re.escape(name)}(?![a-zA-Z])", window[: before.start]) is None


def _leads(window: str, before: Numeral, gap: str) -> bool:
    """Whether the last number is concluded from the one before: "2x = 12 and x = 6", "Since x > 3, x = 4"."""
    named = _CONCLUDES.fullmatch(gap)
    if named is None:
        return False
    begin = max(window.rfind(mark, 0, before.start) for mark in (". ", "! ", "? ", "\n")) + 1
    if gap[0] == "," and _SINCE.match(window[begin:].lstrip()):
        return True
    divided = _DIVIDED.search(window, max(0, before.start - 8), before.start)
    return divided is not None and divided["name"] == named["name"]


def _result_before(window: str, found: list[Numeral]) -> Numeral | None:
    """Return 5 for "120/24 = 5 hours to read 120 pages": what follows a result in its sentence may only qualify it."""
    begin = max((match.end() for match in _SENTENCE_ENDS.finditer(window, 0, found[-1].start)), default=0)
    within = [numeral for numeral in found[:-1] if numeral.start >= begin]
    if within and (told := _extreme(window, begin, within, found[-1]) or _said_again(window, begin, within, found)):
        return told
    at = window.rfind("=", 0, found[-1].start)
    behind = [numeral for numeral in found if numeral.start > at]
    if at < 0 or len(behind) < 2 or not NOTHING.fullmatch(window[at + 1 : behind[0].start]):  # noqa: PLR2004
        return None
    result, following = behind[:2]
    gap = window[result.end : following.start]
    qualified = join(gap, result, following, finished=True) == "stops" and EXPLANATION.search(gap) and not CONCLUSION.search(gap)
    if not qualified or result.value is None or re.search(r"[,;:\n]|[.!?]\s", window[result.end : found[-1].start]):
        return None
    return None if UNFINISHED.match(window, result.end) else result


def _extreme(window: str, begin: int, within: list[Numeral], last: Numeral) -> Numeral | None:
    """Return 12 for "The maximum is 12 when n = 4"; `within` its sentence, the last number stands behind."""
    extremes = [numeral for numeral in within if numeral.value is not None and _EXTREME.search(window[begin : numeral.start])]
    return next((each for each in extremes if _ATTAINED.fullmatch(window, each.end, last.start)), None)


def _said_again(window: str, begin: int, within: list[Numeral], found: list[Numeral]) -> Numeral | None:
    """Return 72 for "48 + 24 = 72. She sold 72 clips in 2 months": the sentence behind a result says it again."""
    before = next((numeral for numeral in reversed(found) if numeral.start < begin), None)
    if before is None or not window[: before.start].rstrip(" (").endswith("="):
        return None
    again = [numeral for numeral in within if numeral.value is not None and numeral.value == before.value]
    if (
        len(again) != 1
        or closing.is_concluded(window, begin, found[-2], found[-1])
        or _SPOKEN_OF.search(window[begin : again[0].start])
        or not _QUALIFIED.fullmatch(window, again[0].end, found[-1].start)
    ):
        return None
    return again[0]
