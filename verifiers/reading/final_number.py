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

from verifiers.reading.markup import UNKNOWN
from verifiers.reading.numerals import Numeral, numerals
from verifiers.reading.sentences import dismissed, guessed
from verifiers.reading.units import same_amount, unit_behind

WINDOW = 600
"""Characters that are looked at from where an answer begins: a sentence is no longer."""
LOOK_AHEAD = 80


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
    bound: bool = False
    """It is only a bound: "at least 5"."""
    also: Reading | None = None
    """The same amount as the text says it too: 25% beside 1/4, 2.33 beside 7/3."""


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
    r"(?:\b(?:more|less|fewer|greater|higher|lower|larger|smaller|bigger|other|rather)\s+than|\b(?:over|under|above|below|almost|nearly|exceed(?:s|ing)?|hardly|far\s+from|(?:close|near)r?\s+to)"
    r"|(?:超过|超過|大于|小于|多于|少于|不到)"
    r"|[<>≤≥≠±]|!=)\s*$",
    re.IGNORECASE,
)
_AT_LEAST = re.compile(
    r"(?:\b(?:at\s(?:the\svery\s)?(?:least|most)|(?<!\d )up\sto|(?:no|not)\s(?:more|less|fewer|greater)\sthan"
    r"|mindestens|höchstens|bis\szu|au\s(?:moins|plus)"
    r"|al\smenos|como\s(?:mínimo|máximo)|a\slo\s(?:sumo|más)|pelo\smenos|no\s(?:mínimo|máximo)|almeno|al\smassimo|(?:ten\s)?minste(?:ns)?"
    r"|hoogstens|не\s(?:менее|более)|минимум|максимум)|至少|至多|最多|不超过|不超過|不少于|少なくとも|最大で?|最低でも?|최소|최대|적어도)\s*$",
    re.IGNORECASE,
)
"""A bound that is the answer where the prompt asks for one."""
_BOUND_BEHIND = re.compile(
    r"\s(?:[a-z]+\s)?at\s(?:the\svery\s|a\s)?(?:least|most|minimum|maximum)\b|\s(?:minimum|maximum|max|tops)(?=[\s.,;)]*$)",
    re.IGNORECASE,
)
"""Likewise, behind the number."""
_RISES = re.compile(
    r"\b(?:round|add|sum|total|com|go|went|ris|rose|increas|grow|grew|amount|mak|bring|brought|work|end|climb|get|got)\w*\s(?:it\s|them\s)?up\sto\s*$",
    re.IGNORECASE,
)
"""Before what is no bound: "rounds up to 17%", "they add up to 12"."""
_BOUND_ENDS = (
    *(
        "least",
        "most",
        "to",
        "than",
        "mindestens",
        "höchstens",
        "zu",
        "moins",
        "plus",
        "menos",
        "mínimo",
        "máximo",
        "sumo",
        "más",
        "almeno",
    ),
    *(
        "massimo",
        "minste",
        "minstens",
        "hoogstens",
        "менее",
        "более",
        "минимум",
        "максимум",
        "至少",
        "至多",
        "最多",
        "不超过",
        "不超過",
        "不少于",
    ),
    *("少なくとも", "最大", "最大で", "最低", "最低でも", "最低で", "최소", "최대", "적어도"),
)
"""How each of these ends."""
_INSTEAD = re.compile(r"\b(?:not|never)\b|n['\u2019]t\b", re.IGNORECASE)
"""Before "but 8": "not 7 but 8"."""
_FACTOR = re.compile(
    r"\b(?:half|twice|double|triple|thrice|quarter|third|square|cube|root|times|plus|minus)(?:\s+(?:of|root|the|that|a)){0,3}\s*$",
    re.IGNORECASE,
)
_FUNCTION = re.compile(
    r"\b(?:sum|product|difference|quotient|opposite|inverse|reciprocal|negative|factorial|logarithm|value|square|cube|power|half|one)\s+of"
    r"\s+(?:the\s+)?$",
    re.IGNORECASE,
)
ROOT = re.compile(
    r"(?:[√⌊⌈]|\b(?:log(?:[_₀-₉]?[\d{}₀-₉]{1,4})?|ln|lg|sin|cos|tan|cot|arcsin|arccos|arctan)(?=[\s(])|\b(?:sqrt|exp|floor|ceil|gcd|lcm|max|min|abs|[a-zA-Z])(?=\())\s*\(?\s*$"
)
_OPERAND = re.compile(r"(?:[\w)π°%]\s*[+\u00d7*/÷]|(?:\b[a-zA-Zπ]|\))\s*-)\s*\(?\s*$")
"""Before a number that is only the last part of a calculation: "x/3", "π - 3"."""
_ALTERNATIVE = re.compile(
    r"\b(?:or|and|nor|vs|versus|to(?=\s*$)|but|through|until|except|actually|instead|otherwise|alternatively|maybe"
    r"|perhaps|possibly|wait|i mean|make that|sorry|correction|oops|no|scratch"
    r"|oder|ou|или|veya|ya\sda)\b|[&±]|或|または|あるいは|또는|혹은",
    re.IGNORECASE,
)
_OTHERWISE = re.compile(r"\b(?:otherwise|or else|alternatively|unless|in the (?:first|former|one) case)\b", re.IGNORECASE)
_NAME = r"[a-zA-Z](?:_?\d{1,3}|\w)?"
CONDITION = re.compile(
    rf"[),\s]*(?:\w+,?\s+){{0,4}}?(?:\(\s?|(?:when|whenever|if|where|for|at|with|since|because|as|given|by|using|assuming|provided(?:\sthat)?)\s+)"
    rf"(?:[a-z]{{2,}}\s+){{0,2}}{_NAME}\s?=\s?",
    re.IGNORECASE,
)
"""Between a number and another one for which it holds: "12 when n = 4"."""
_COMES_TO = re.compile(
    rf"{CONDITION.pattern}[\d.,]+(?:\s(?:(?!and\b|or\b)[a-z]+\s){{0,3}}(?:is|are|equals|makes|gives)\s|\s?=\s?)\D{{0,3}}\d",
    re.IGNORECASE,
)
"""Behind a number that isn't all: "3 boxes with n = 4 are 12"."""
_ANOTHER = re.compile(r"[^,;]*[,;]\s*(?:and\s+)?[a-zA-Z](?:_?\d{1,3}|\w)?\s*=\s*")
OR = re.compile(r"\b(?:or|oder|ou|или|veya|ya\sda)\b|或|または|또는", re.IGNORECASE)
_NOT_THE_NEXT = re.compile(
    r"(?:\b(?:and|but)\s+not(?:\s+the)?|\b(?:instead\s+of|rather\s+than)(?:\s+the)?|(?:,|\b(?:und|et|y|e|en|и))\s+(?:nicht|no|pas|non|não|niet|не))\s+\W{0,2}$|不是\s*$",
    re.IGNORECASE,
)
CONCLUSION = re.compile(
    r"\b(?:which (?:is|equals|gives|makes|comes to)|that is|i\.e|so|thus|therefore|hence|giving|making|totall?ing)\b",
    re.IGNORECASE,
)
EXPLANATION = re.compile(
    r"\b(?:to|because|since|as|if|when|where|which|who|while|given|not|in|for|per|of|after|before|from|with|at|on|by|each|every|within"
    r"|during|out|than|over|under|left|remaining)\b",
    re.IGNORECASE,
)
_EQUALS = re.compile(r"[^,;=≈]*(?:[=≈≅]\s*)+[\s(\[]*(?:about|approximately|approx\.?)?\s*")
OPERATOR = re.compile(
    r"[\s)\]]*(?:[a-z°↑./]+\s+){0,4}[a-z°↑]*[)\]]*\s*(?:[-+\u00d7÷*/^√]|(?<=\s)x(?=\s))[\s(\[√]*", re.IGNORECASE
)
_SPOKEN_OPERATOR = re.compile(
    r"\s(?:[a-z]+\s){0,2}(?:plus|minus|times|divided by|multiplied by"
    r"|(?:more|less|fewer|greater) than|to the power of)\s|\sover\s",
    re.IGNORECASE,
)
_IS = re.compile(r"\s(?:[a-z]+\s){0,3}(?:is|are|equals|is equal to|makes|gives)\s", re.IGNORECASE)
_NEXT_CLAUSE = re.compile(r"\s*[.;!?]\s+[^\W\d]|[^,(]*(?:\(|\[|\s—\s)|[^,]*,\s+[a-z]")
UNFINISHED = re.compile(
    rf"\)*\(\s?\d[\d.,]*\)|\s?[rR]\s?\d+\b|\s*(?:[↑√π\u00d7÷±^≤≥{UNKNOWN}]|pi\b|times pi\b|\.{UNKNOWN}|\+|[*/](?!\s?[a-z])"
    r"|(?:or|and|if not) (?:more|less|fewer|so|above|under|below|over|beyond|up|upwards?|higher|greater|larger|lower|smaller)\b"
    r"|upwards?\b|squared\b|cubed\b|factorial\b|(?:hundred|thousand|million)ths?\b"
    r"|(?:, )?plus\b|minus\b|divided by\b|multiplied by\b"
    r"|(?:raised )?to the (?:\w+ )?power\b|(?:root|power) of\b|(?:times|(?:more|less|fewer|greater) than) [b-zB-HJ-Z]\b(?!'))"
    r"|\s*\(?(?:in\s)?base[\s-](?!10\b|ten\b)(?:\d|two|three|five|seven|eight|nine|sixteen)"
    r"|\s*\(?(?:in\s)?(?:binary|hex(?:adecimal)?|octal)\b(?!\s[a-z])"
    r"|\s*(?:değil\b|ではな|ではあり|じゃな|[가이은는]?\s?아니|[가이은는]?\s?아닙)"
)

NOTHING = re.compile(r"[\s=(]*(?:about|approximately)?\s*")
_EQUATIONS = re.compile(
    r"\b[a-zA-Z](?:_?\d{1,3}|\w)?\s?=\s?[-\d.,/]{1,40}\s?(?:,|;|and|or|,\s?and)\s{1,2}[a-zA-Z](?:_?\d{1,3}|\w)?\s?=\s?[-\d]"
)
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
PLACE = r"[\s-](?:decimals?\b|significant\b|sig\.?\b|d\.?\s?p\b|s\.?\s?f\b)"
_TO_PLACES = re.compile(
    rf"[^\d.;!?]{{0,20}}[\s(,](?:rounded|correct|accurate|precise|to|at|with|in)\s(?:(?:off|up|down|to|within)\s){{0,2}}\d{{1,2}}{PLACE}",
    re.IGNORECASE,
)
"""What says how a number is rounded: "12.35 (rounded to 2 decimal places)"."""
_DECIMALS = re.compile(r"[^.]*\.(\d+)[ %]*")
OF = re.compile(r"\s+of\s")
_IN_CASES = re.compile(
    r"\s*(?:\([^()\n]{1,40}\)|(?:when|if|for|where)\s[^,;\n]{1,40})(?:[,;]\s(?:(?:and|or|but)\s)?|\s(?:and|or|but)\s)-?\d[\d.,]*\s*(?:\(|(?:when|if|for|where|otherwise|else)\b)"
)
"""Behind a number that holds in one case: "7 (for x > 0), 8 (for x < 0)"."""
_LABEL = re.compile(
    r"\b(?:figure|fig\.?|equation|eq\.?|table|section|theorem|lemma|(?:in|of|to|see) (?:question|problem|part|step|line))\s*\(?$",
    re.IGNORECASE,
)

Join = Literal["equals", "operator", "stops", "clashes"]


def in_sentence(sentence: str) -> Read:
    """Return the number that a tidy sentence gives as the answer, a refusal, or None where it has no number."""
    found = numerals(sentence)
    if not found:
        return None
    if not _led(sentence, found):
        if result := _last_result(sentence, found):
            return result
        found = [numeral for numeral in found if has_digits(numeral)] or found
    first = found[0]
    lead, behind = sentence[: first.start], sentence[first.end :]
    if len(found) > 1 and (_by_cases(sentence, first) or _QUALIFIED.search(lead)):
        return Refusal(f"several numbers: {quote(sentence)}", end=first.end)
    return refuse(lead, first, behind) or _follow(sentence, found, finished=not (ROOT.search(lead) or _OPERAND.search(lead)))


def _by_cases(sentence: str, first: Numeral) -> re.Match[str] | None:
    return _OTHERWISE.search(sentence) or _IN_CASES.match(sentence, first.end) or _COMES_TO.match(sentence, first.end)


def refuse(lead: str, first: Numeral, behind: str) -> Refusal | None:  # noqa: PLR0911 - a table, in effect
    """Refuse a number for what stands before it, or right behind."""
    if not lead.strip(" $") and not dismissed("", behind):  # most answers: nothing to look through
        return None
    written = quote(lead + first.text)
    if UNKNOWN in lead:
        return Refusal(f"{written} can't be read", end=first.end)
    if _EXCLUDED.search(lead) and not (_INSTEAD.search(lead) and any(map(str.isdecimal, lead))):
        return Refusal(f"only what it isn't: {written}", end=first.end)
    bound = is_bound(lead)
    if (_NEGATED.search(lead) and not bound) or dismissed(lead, behind):
        return Refusal(f"only what it isn't: {written}", negated=True, value=first.value, end=first.end)
    if _BOUND.search(lead) and not bound:
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
    return has_digits(found[0]) or not any(map(has_digits, found))


def _last_result(text: str, found: list[Numeral]) -> Reading | Refusal | None:
    """Return what stands behind the last "=" of a text that has several numbers."""
    at = text.rfind("=", 0, found[-1].start)
    behind = [numeral for numeral in found if numeral.start > at]
    if at < 0 or len(found) < 2 or not NOTHING.fullmatch(text[at + 1 : behind[0].start]):  # noqa: PLR2004
        return None
    if several := _EQUATIONS.search(text):
        return Refusal(f"several numbers: {quote(several[0])}", end=found[-1].end)
    return _follow(text, behind, finished=True)


def has_digits(numeral: Numeral) -> bool:
    """Whether a number is written in digits."""
    return any(c.isdecimal() for c in numeral.text)


def is_bound(lead: str) -> bool:
    """Whether what stands before a number makes it a bound: "at least"."""
    if not lead.rstrip()[-12:].lower().endswith(_BOUND_ENDS):  # a tenth of the time that the expression takes to find nothing
        return False
    begin = max(0, len(lead) - LOOK_AHEAD)
    return _AT_LEAST.search(lead, begin) is not None and not _RISES.search(lead, begin)


def reading(text: str, numeral: Numeral, value: Fraction) -> Reading:
    """Return a number of a text with what stands beside it."""
    unit = unit_behind(text, numeral.end, numeral.text)
    bound = is_bound(text[: numeral.start]) or _BOUND_BEHIND.match(text, numeral.end) is not None
    return Reading(numeral.text.strip(), value, numeral.end, unit, bound=bound)


def restated(text: str, one: Numeral, other: Numeral, *, equated: bool = False) -> tuple[Reading, Reading] | None:
    """Return two numbers that say the same: 1/4 or 0.25, 25% or 1/4, 90 minutes or 1.5 hours; rounded: 7/3 or 2.33."""
    if one.value is None or other.value is None:
        return None
    first, second = reading(text, one, one.value), reading(text, other, other.value)
    decimals = _DECIMALS.fullmatch(other.text) if equated or "/" in one.text else None
    step = Fraction(1, 10 ** len(decimals[1])) if decimals else Fraction(0)
    return (first, second) if same_amount((first.value, first.unit), (second.value, second.unit), step) else None


def _follow(sentence: str, found: list[Numeral], *, finished: bool) -> Read:
    current, best, also = found[0], None, None
    last = current
    for following in found[1:]:
        gap = sentence[last.end : following.start]
        if _TO_PLACES.match(sentence, last.end, following.end + LOOK_AHEAD):
            continue
        finished = finished and not UNFINISHED.match(sentence, last.end)
        how = join(gap, current, following, finished=finished)
        if how == "clashes":
            if OR.search(gap) and (both := restated(sentence, current, following)):  # "1/2 or 0.5"
                also, last = both[1], following
                continue
            return Refusal(f"several numbers: {quote(sentence[found[0].start : following.end])}", end=following.end)
        if how == "stops":
            break
        if how == "equals":
            both = restated(sentence, current, following, equated=True) if finished else None
            also = both[0] if both else None
            best, finished = (current if finished else best), True
        else:
            finished = False
        current = last = following
    if finished and not UNFINISHED.match(sentence, current.end):
        best = current
    if best is None:
        return Refusal(f"a calculation, not a number: {quote(sentence[found[0].start :])}", end=current.end)
    if best.value is None:
        return Refusal(f"{quote(best.text)} is no plain number", end=best.end)
    read = reading(sentence, best, best.value)
    return replace(read, also=also) if also and best is current else read


def join(gap: str, current: Numeral, following: Numeral, *, finished: bool) -> Join:
    """Say what the text between two numbers makes of them."""
    words = {name: match.start() for name, p in _KEYWORDS.items() if (match := p.search(gap))}
    first = min(words, key=words.__getitem__) if words else ""
    made: Join
    if following.signed and gap.isspace():
        made = "operator"
    elif finished and (_NOT_THE_NEXT.search(gap) or CONDITION.fullmatch(gap)):
        made = "stops"
    elif first == "conclusion" and not finished:
        made = "equals"
    elif first == "alternative" or _ANOTHER.fullmatch(gap):
        made = "clashes"
    elif _EQUALS.fullmatch(gap):
        made = "equals"
    elif OPERATOR.fullmatch(gap) or _SPOKEN_OPERATOR.fullmatch(gap) or (current.part and OF.match(gap)):
        made = "operator"
    elif not first and not finished and _IS.fullmatch(gap):
        made = "equals"
    else:
        made = "stops" if first or _NEXT_CLAUSE.match(gap) else "clashes"
    return made


_KEYWORDS = {"alternative": _ALTERNATIVE, "conclusion": CONCLUSION, "explanation": EXPLANATION}


def quote(text: str) -> str:
    """Return a text in one short line, in quotes."""
    text = " ".join(text.split())
    return "“" + (text if len(text) <= 60 else text[:59] + "…") + "”"  # noqa: PLR2004 - a line for a person
