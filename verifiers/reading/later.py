"""What a response concludes in its last sentence, behind the answer that it announced: "… 10 + 3 = 13. So it should be 13."."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from verifiers.reading import final_number
from verifiers.reading.final_number import Reading
from verifiers.reading.last_number import last_number, says
from verifiers.reading.sentences import without_offer
from verifiers.reading.tidying import tidy

_CHARS = 600
"""Characters of the end in which the last sentence is looked for."""
_CLOSES = " \t\n*_.!$}])\\`"
_ENDS = re.compile(r"[.!?]\s+|\n|\u3002")
_IS_LETTER = re.compile(r"\b(?:is|be)\s[*_(]{0,4}[A-Z]$")
_SO = re.compile(
    r"(?:^|[\s(\u2013\u2014-])(?:so|thus|therefore|hence|consequently|which\smeans(?:\sthat)?|meaning(?:\sthat)?)(?:,\s|\s|:\s)",
    re.IGNORECASE,
)
_NOUN = re.compile(
    r"\b(?:answer|result|value|solution|total|sum|number|amount|count|one|option|choice|statement|date|set|interval|expression"
    r"|diagnosis)\b",
    re.IGNORECASE,
)
_BARE = re.compile(
    r"(?:the|my|our)\s(?:(?:final|overall|total|correct(?:ed)?|right|actual|true|real|proper|revised|only|better|best|solution"
    r"|(?:most|more)\s\w{1,14})\s){0,2}"
    r"(?:answer|result|value|solution|total|sum|number|amount|count|one|option|choice|statement|date|set|interval|expression)"
    r"|(?:the|my|our)\s(?:final\s(?:price|cost|bill|score|balance)|most\s\w{1,14}\sdiagnosis)",
    re.IGNORECASE,
)
"""What is the answer itself, and no other quantity: "the result", but not "the number of boxes"."""
_COUNTED = re.compile(r"the\s(?:\w{1,12}\s)?total\s(?:number|amount|sum)\b", re.IGNORECASE)
"""The same at the end of a check that doesn't calculate with the answer: it works it out again."""
_DAY_OR_MONTH = r"(?:(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6})\b"
_DATED = re.compile(rf"\b{_DAY_OR_MONTH}")
_REASONS = re.compile(r",?\s(?:not|since|because|as|rather|instead|which)\b", re.IGNORECASE)
_PLAIN_WORDS = re.compile(
    r"\$[^$\n]{1,80}\$|\\\([^\n]{1,80}?\\\)|\\[a-zA-Z]+"
    r"|\b(?:in\s(?:total|all)|altogether|now|instead|about|approximately|exactly|only|just|still|really|square|cubic|sq)\b",
    re.IGNORECASE,
)
"""What says of what kind a number is, not of what it is one."""
_WORD = re.compile(r"[^\W\d_]{2,}")
_DESCRIBES = re.compile(
    r"\d(?:st|nd|rd|th)\b|\b(?:off|more|less|fewer|extra|times|digits?|[ap]\.?m|o['\u2019]clock|older|younger|longer|shorter|taller"
    r"|higher|lower|each|daily|apiece|ago|later|earlier|away|of|per|an?(?=\s[a-z]))\b",
    re.IGNORECASE,
)
"""Behind a number: it says something of the answer, "50% off", and isn't another one."""
_HEAD = re.compile(rf"{_NOUN.pattern}$", re.IGNORECASE)
_SUBJECT = re.compile(
    r"""(?P<subject>it|that|this|(?:the|my|our)\s(?:[^\W\d]{1,20}\s){0,5}?[^\W\d]{1,20})
    (?:\s(?P<verb>is|was|equals|becomes|comes\sto|(?:must|has\sto|should)(?:\s(?:actually|really|instead|then))?(?:\shave\sbeen|\sbe)|would\sbe)
        |['\u2019]s)
    (?:\s(?:actually|really|in\sfact|instead|then|just|simply|indeed))?:?\s""",
    re.IGNORECASE | re.VERBOSE,
)
_CLAUSES = re.compile(
    r"(?:^|[,;:]\s|\s[\u2013\u2014-]\s)[\s*_]{0,4}(?:(?:however|but|and|then|now|actually|in\sfact|rather),?\s){0,2}",
    re.IGNORECASE,
)
_OBLIGES = re.compile(r"\b(?:should|must|has\sto)\b", re.IGNORECASE)
_CORRECT = re.compile(r"\b(?:correct(?:ed)?|right|actual|revised)\b", re.IGNORECASE)
_TRUE = re.compile(r"\b(?:real|true|proper|final)\b", re.IGNORECASE)
_SUPPOSES = re.compile(
    r"\b(?:if|unless|otherwise|suppos(?:e|ing)|could|might|may|would\s(?!be\b)|would\sbe\s(?:wrong|incorrect)|for\sexample|tempting"
    r"|mistakes?|(?:some|people)\s(?:\w{1,12}\s){0,2}(?:say|think|claim|believe|answer|assume|argue|forget|get|count|add))\b",
    re.IGNORECASE,
)
_OBJECTS = re.compile(
    r"(?:^|[.!?\n])[\s*_]{0,6}(?:(?:hmm+[,.\u2026]*|oh,?|and|well,?)\s)?(?:however|but|yet|although|wait|re-?reading"
    r"|(?:i|we)\s(?:(?:should|must|need\sto|have\sto)\s(?:note|also)|(?:just\s)?(?:realiz|realis|notic|forgot|overlook|misread|miscount)))",
    re.IGNORECASE,
)
_RIGHT = re.compile(r"[\u2705\u2713\u2714\u2611]|\b(?:correct|verified|confirmed|checks\sout)\W*$", re.IGNORECASE)
_AS_GIVEN = re.compile(
    r"\b(?:matches\b[^.\n]{0,80}|as\s(?:given|required|expected)\b(?:\s(?:in|by)\s[^.\n]{0,40})?)\W*$", re.IGNORECASE
)
"""What is concluded was known: it is a check's."""
_CHECKS = re.compile(r"\b(?:check(?:ing)?|verif(?:y|ying|ication))\b", re.IGNORECASE)
_BEFORE_OPERATOR = re.compile(r"\$?\s?[^\W\d]{0,12}\s?(?:[-+\u00d7*/÷\u2212]\s?\W?[\d(]|\\(?:times|cdot|div)\b)")
_BEHIND_OPERATOR = re.compile(r"(?:[\d)]\s?[-+\u00d7*/÷\u2212]\s?\(?|\\(?:times|cdot|div)\s?)$")
_ONLY_A_NUMBER = re.compile(r"\W{0,4}\d[\d.,/]{0,20}\W*")
_EQUATION = re.compile(r"[\d\s+*/\u00d7÷\u2212().,$-]{3,100}=[\d\s.,$-]{1,30}")
_IS_NOT = r"(?:\u2260|!=|\\neq?\b|\bis\snot|\bisn['\u2019]t|,\snot|n['\u2019]t\sequal|\bnot\sequal{})\s?(?:to\s)?\$?\s?"
_IN_PLACE_OF = r"|\binstead\sof|\brather\sthan"
"""Of something else, where nothing is objected: "She has 5 now instead of 3"."""
_SAYS_ANEW = re.compile(
    r"\b(?:it|that|this|answer|result|total|sum|value|one)\s(?:is|should\sbe|must\sbe|equals|would\sbe)\s", re.IGNORECASE
)
_DENIES = re.compile(rf"{_IS_NOT.format(_IN_PLACE_OF)}$")
_ITEM = re.compile(r"\s*[-*\u2022]\s[^\n]{0,60}$")
_BRACKETS = " $()[]{}\\"
_OPENERS = ("(", "[", "{", "\\")
_MAY_EXCLUDE = re.compile(
    r"\u2260|!=|\\neq?\b|n['\u2019]t\b|\b(?:not|instead|rather|extraneous|rejected|invalid|no)\b", re.IGNORECASE
)
_KIND = r"(?:(?!(?:other|more|further|additional|second|such)\b)\w{1,12}\s)?"
_NO_SOLUTION = re.compile(
    rf"(?:there\s(?:is|are)\sno\s{_KIND}solutions?|(?:the|this)\s(?:equation|system|problem)\shas\sno\s{_KIND}solutions?"
    rf"|no\s{_KIND}solutions?\sexists?)\W*",
    re.IGNORECASE,
)
_MEANS_NONE = re.compile(
    r"\b(?:no|none|not|empty|inconsistent|impossible)\b|\\emptyset|\\varnothing|[\u2205\u00f8]|\{\s*\}", re.IGNORECASE
)
_NAMED = re.compile(r"^[a-zA-Z]\w?\s?=\s?")
_DRESS = " \t\n*_.!,;\"'\u201c\u201d`"
_A_NAME = re.compile(r"[A-Z0-9]\S{0,30}(?:\s\S{1,30}){0,5}")
"""A text that may be an answer."""
_ALONE = re.compile(r"(?:(?i:option|choice|answer)\s)?[*_(]{0,4}(?P<letter>[A-Z])[)*_.!]{0,4}\s*$")
_LETTER = re.compile(
    r"(?:(?i:option|choice|answer)\s)?[*_(]{0,4}(?P<letter>[A-Z])(?:[).:*_!,]|\s*$|\s[(\u2013\u2014]|\s(?:because|since|as|and\snot|instead|rather)\b)(?!['\u2019])"
)
_IN_ONE = re.compile(
    r"\$?(?:[^\s$]{0,40}\d[^\s$]{0,40}|\\?[({\[][^\n]{0,80}[)}\]])\$?\.?|[A-Z][a-z]{2,8}\.?\s\d{1,2}(?:,?\s\d{4})?\.?|\d{1,2}\s[A-Z][a-z]{2,8}\s\d{4}\.?"
)
"""Nothing but a number, mathematics in brackets or a date."""
_WRITTEN = re.compile(rf"\W{{0,3}}(?:[\d$\\({{\[\-]|{_DAY_OR_MONTH})")
"""How an answer begins that is no word: a number, mathematics, a date."""
_IT = frozenset({"it", "that", "this"})
_TIMES = frozenset({60, 24, 100})
_SHORT = 30
"""Characters of an answer that is looked for again."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a last sentence concludes."""

    text: str
    """What the result is, up to the sentence's end."""
    between: str
    """What stands between the answer and it."""
    bare: bool = True
    """Nothing says of what it is one: "So 13."."""
    named: bool = False
    """It is said of the answer: "it is", "the result is", or behind an objection "the number of boxes is"."""
    it: bool = False
    """Only "it", "that" or "this" says of what, and may describe the answer: "it is 50% off"."""
    strict: bool = False
    """It says what the answer should be, or which one is right."""
    objects: bool = False
    """Something is objected before it: "However, …"."""
    right: bool = False
    """It is said to be right, as the end of a check is: "so the total is 20 ✓"."""

    def is_answer(self) -> bool:
        """Whether it is said to be the answer, and not only something of it."""
        if self.objects:
            return self.strict or self.named
        amount = _REASONS.split(self.text, maxsplit=1)[0]
        words = _WORD.findall(_PLAIN_WORDS.sub(" ", _DATED.sub("", amount))) if self.it and not self.strict else []
        return (self.strict or self.named) and len(words) <= 1 and _DESCRIBES.search(amount) is None

    def holds(self, answer: str) -> bool:
        """Whether it may be another answer, and no step of a check, which calculates with the answer."""
        if self.objects or (self.strict and not self.right):
            return True
        return not _calculates_with(answer, self.between, self.text if self.right else "")


def concluded(body: str, begin: int) -> Conclusion | None:
    """Return what the last sentence of a text concludes, behind the one that has what stands at `begin`."""
    if not body[begin : begin + _CHARS].strip(_CLOSES):
        return None  # most answers end their response
    text = without_offer(body)
    behind = text[max(begin, len(text) - _CHARS) :].rstrip()
    last = _last_sentence(behind)
    sentence = behind[last:]
    if not last or sentence.endswith("?") or _SUPPOSES.search(sentence):
        return None
    at = max((so.end() for so in _SO.finditer(sentence)), default=0)
    said = _SUBJECT.match(sentence, at) if at else _stated(sentence)
    before = behind[: last + (at or (said.start() if said else 0))]
    objects = _OBJECTS.search(behind) is not None
    if _AS_GIVEN.search(sentence) and not objects:
        return None
    so = Conclusion(sentence[at:], before, objects=objects, right=_RIGHT.search(sentence) is not None)
    if said is None:
        counted = sentence.rpartition(": ")[2]
        if objects and _EQUATION.fullmatch(counted) and (counted == sentence or not _CHECKS.search(sentence)):
            return replace(so, text=counted.rpartition("=")[2])
        return so if at else None
    text, strict, it = sentence[said.end() :], _strict(said), said["subject"].lower() in _IT
    named = it or (_NOUN.search(_head(said)) if objects else _BARE.fullmatch(said["subject"])) is not None
    named |= _CHECKS.search(before) is not None and _COUNTED.match(said["subject"]) is not None
    return replace(so, text=text, bare=False, named=named, it=it, strict=strict)


def _last_sentence(text: str) -> int:
    """Return where the last sentence of a text begins; "it is B. Berlin" has no end in it."""
    ends = [end for end in _ENDS.finditer(text, 0, len(text) - 1) if not _IS_LETTER.search(text[: end.start()][-12:])]
    return ends[-1].end() if ends else 0


def _strict(said: re.Match[str]) -> bool:
    head = _head(said)
    return bool(_OBLIGES.search(said[0]) or (_HEAD.search(head) and (_CORRECT.search(head) or _TRUE.search(head))))


def _head(said: re.Match[str]) -> str:
    return str(said["subject"].partition(" of ")[0])


def _stated(sentence: str) -> re.Match[str] | None:
    """Return how a sentence says what should be, or is right, without concluding it: "it should be", "the correct result is"."""
    found = [said for clause in _CLAUSES.finditer(sentence) if (said := _SUBJECT.match(sentence, clause.end()))]
    return next((said for said in reversed(found) if _strict(said)), None)


def _calculates_with(answer: str, between: str, conclusion: str) -> bool:
    """Whether a text calculates with an answer, or each of its parts: "Check: 7 + 5 = 12" or "- Ann: 7" with 7."""
    bare = _NAMED.sub("", answer.strip("$ ")).strip("$ ")
    parts = [part.strip(_BRACKETS) for part in bare.split(",")] if bare[:1] in _OPENERS else [bare.strip(_BRACKETS)]
    if not all(parts) or len(bare) > _SHORT:
        return False
    check = _CHECKS.search(between)
    checked = between[check.end() :] + conclusion if check else conclusion
    return all(_occurs(part, checked) for part in parts) or all(_is_operand(part, between) for part in parts)


def _occurs(value: str, text: str) -> bool:
    found = re.finditer(rf"(?<![\w.]){re.escape(value)}(?![A-Za-z0-9]|[.,]\d)", text)
    return any(not _DENIES.search(text[max(0, each.start() - 30) : each.start()]) for each in found)


def _is_operand(value: str, text: str) -> bool:
    for found in re.finditer(rf"(?<![\w.]){re.escape(value)}(?![\w]|[.,]\d)", text):
        if _BEFORE_OPERATOR.match(text, found.end()) or _BEHIND_OPERATOR.search(text[max(0, found.start() - 8) : found.start()]):
            return True
        if _ITEM.match(text, text.rfind("\n", 0, found.start()) + 1, found.start()):
            return True
    return False


def other_number(body: str, begin: int, read: Reading) -> Reading | None:
    """Return another number than the one that was read at `begin`, where the last sentence concludes it."""
    found = concluded(body, begin)
    if found is None:
        return None
    other = _number(found, read.text)
    if (
        not isinstance(other, Reading)
        or other.value == read.value
        or _in_another_unit(read, other)
        or says(read, other)
        or says(other, read)
    ):
        return None
    return other if (found.bare and not found.objects) or found.holds(read.text) else None


def _in_another_unit(one: Reading, other: Reading) -> bool:
    """Whether two numbers may be one amount, of which only one has a unit: 90 and 1.5 hours."""
    if not one.value or not other.value:
        return False
    times = {one.value / other.value, other.value / one.value}
    return bool(one.unit) is not bool(other.unit) and not times.isdisjoint(_TIMES)


def _number(found: Conclusion, answer: str) -> final_number.Read:
    if found.bare:
        text = _value(found.text, answer)
        return last_number(text) if found.objects or _ONLY_A_NUMBER.fullmatch(text) else None
    text = tidy(found.text)
    return final_number.in_sentence(text) if found.is_answer() and final_number.is_led(text) else None


def other_text(body: str, begin: int, answer: str) -> str:
    """Return another text than an answer, where the last sentence says that it should be that one; else an empty one."""
    found = concluded(body, begin)
    other = found.text.strip(_DRESS) if found and found.strict and not found.bare else ""
    if not _A_NAME.fullmatch(other) or not found:
        return ""
    one, two = answer.strip(_DRESS).casefold(), other.casefold()
    return "" if two in one or one in two else other


def other_letter(body: str, begin: int, letter: str, choices: str) -> str:
    """Return another letter than the one that is chosen, where the last sentence concludes it; else an empty one."""
    found = concluded(body, begin)
    if found is None or not (found.bare or found.named or found.strict):
        return ""
    read = (_ALONE if found.bare else _LETTER).match(found.text)
    return read["letter"] if read and read["letter"] in choices and read["letter"] != letter else ""


def other_passage(body: str, begin: int, answer: str) -> str:
    """Return what the last sentence concludes, where it may be another answer than that of mathematics, a set or a date."""
    found = concluded(body, begin)
    if (
        found is None
        or not (found.is_answer() or (found.bare and _IN_ONE.fullmatch(_value(found.text, answer))))
        or not found.holds(answer)
    ):
        return ""
    shared = "%" in found.text and "%" not in answer  # 50% says 1/2 as well
    return _value(found.text, answer).strip() if _WRITTEN.match(found.text) and not shared else ""


def _value(text: str, answer: str) -> str:
    """Return 13 of "x = 13", where the answer is x, too, or a number that has no name."""
    name = _NAMED.match(text.lstrip("$ "))
    own = _NAMED.match(answer.strip("$ "))
    if name is None or (name[0][0] != own[0][0] if own else name[0][0] != "x" or not _ONLY_A_NUMBER.fullmatch(answer)):
        return text
    return text.lstrip("$ ")[name.end() :]


def excluded(body: str, begin: int, answer: str) -> str:
    """Return the words by which a text says behind an answer that it is none: "x = 7 is extraneous", "13 ≠ 12"."""
    bare = _NAMED.sub("", answer.strip("$ "))
    behind = body[begin : begin + _CHARS]
    if not bare or len(bare) > _SHORT:
        return ""
    if not _MAY_EXCLUDE.search(behind) and not _MAY_EXCLUDE.search(body, max(begin, len(body) - _CHARS)):
        return ""  # most answers: no pattern to make
    it = rf"(?<![\w.-]){re.escape(bare)}(?![\w]|[.,]\d)\$?"
    invalid = r"(?:extraneous|rejected|invalid|not\s(?:a\s)?valid|not\sa\s(?:root|solution))\b"
    fails = rf"(?<!\d\s[-+]\s){it}\s(?:does\snot|doesn['\u2019]t)\s(?:satisfy|fulfil|work|hold)\b"
    extraneous = re.search(rf"(?<!\d\s[-+]\s){it}\s(?:is|was|must\sbe)\s(?:an?\s)?{invalid}|{fails}", behind)
    end = body[max(begin, len(body) - _CHARS) :].rstrip()
    corrects = _OBJECTS.search(end) or _SAYS_ANEW.search(end, _last_sentence(end))
    unequal = re.search(rf"{_IS_NOT.format(_IN_PLACE_OF if corrects else '')}{it}\W*$", end)
    if said := extraneous or unequal:
        return " ".join(said[0].split())
    none = concluded(body, begin)
    if none is not None and none.bare and _NO_SOLUTION.fullmatch(none.text) and not _MEANS_NONE.search(answer):
        return " ".join(none.text.split())
    return ""
