"""What a response concludes in its last sentence, behind the answer that it announced: "… 10 + 3 = 13. So it should be 13."."""

from __future__ import annotations

import re
from dataclasses import dataclass

from verifiers.reading import final_number
from verifiers.reading.final_number import Reading
from verifiers.reading.last_number import last_number, says
from verifiers.reading.sentences import without_offer
from verifiers.reading.tidying import tidy

_CHARS = 600
"""Characters of the end in which the last sentence is looked for."""
_CLOSES = " \t\n*_.!$}])\\`"
_ENDS = re.compile(r"[.!?]\s+|\n|\u3002")
_SO = re.compile(
    r"(?:^|[\s(\u2013\u2014-])(?:so|thus|therefore|hence|consequently|which\smeans(?:\sthat)?|meaning(?:\sthat)?)(?:,\s|\s|:\s)",
    re.IGNORECASE,
)
_NOUN = re.compile(
    r"\b(?:answer|result|value|solution|total|sum|number|amount|count|one|option|choice|statement|date|set|interval|expression"
    r"|diagnosis)\b",
    re.IGNORECASE,
)
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
    r"|mistakes?|some|people)\b",
    re.IGNORECASE,
)
_OBJECTS = re.compile(
    r"(?:^|[.!?\n])[\s*_]{0,6}(?:(?:hmm+[,.\u2026]*|oh,?|and|well,?)\s)?(?:however|but|yet|although|wait|re-?reading"
    r"|i\s(?:should\snote|(?:just\s)?(?:realiz|realis|notic|forgot|overlook|misread|miscount)))",
    re.IGNORECASE,
)
_RIGHT = re.compile(
    r"[\u2705\u2713\u2714\u2611]|\b(?:correct|matches|verified|confirmed|checks\sout|as\s(?:given|required|expected))\W*$",
    re.IGNORECASE,
)
_BEFORE_OPERATOR = re.compile(r"\$?\s?[^\W\d]{0,12}\s?(?:[-+\u00d7*/÷\u2212]\s?\W?[\d(]|\\(?:times|cdot|div)\b)")
_BEHIND_OPERATOR = re.compile(r"(?:[\d)]\s?[-+\u00d7*/÷\u2212]\s?\(?|\\(?:times|cdot|div)\s?)$")
_ONLY_A_NUMBER = re.compile(r"\W{0,4}\d[\d.,/]{0,20}\W*")
_EQUATION = re.compile(r"[\d\s+*/\u00d7÷\u2212().,$-]{3,100}=[\d\s.,$-]{1,30}")
_IS_NOT = (
    r"(?:\u2260|!=|\\neq?\b|\bis\snot|\bisn['\u2019]t|,\snot|n['\u2019]t\sequal|\bnot\sequal|\binstead\sof|\brather\sthan)"
    r"\s?(?:to\s)?\$?\s?"
)
_MAY_EXCLUDE = re.compile(
    r"\u2260|!=|\\neq?\b|n['\u2019]t\b|\b(?:not|instead|rather|extraneous|rejected|invalid|no)\b", re.IGNORECASE
)
_NO_SOLUTION = re.compile(
    r"(?:there\s(?:is|are)\sno\s(?:\w{1,12}\s)?solutions?|(?:the|this)\s(?:equation|system|problem)\shas\sno\s(?:\w{1,12}\s)?solutions?"
    r"|no\s(?:\w{1,12}\s)?solutions?\sexists?)\W*",
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
    r"(?:(?i:option|choice|answer)\s)?[*_(]{0,4}(?P<letter>[A-Z])(?:[).:*_!,]|\s*$|\s(?:because|since|as|and\snot|instead|rather)\b)(?!['\u2019])"
)
_IN_ONE = re.compile(
    r"\$?(?:[^\s$]{0,40}\d[^\s$]{0,40}|\\?[({\[][^\n]{0,80}[)}\]])\$?\.?|[A-Z][a-z]{2,8}\.?\s\d{1,2}(?:,?\s\d{4})?\.?|\d{1,2}\s[A-Z][a-z]{2,8}\s\d{4}\.?"
)
"""Nothing but a number, mathematics in brackets or a date."""
_WRITTEN = re.compile(r"\W{0,3}(?:[\d$\\({\[\-]|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\b)")
"""How an answer begins that is no word: a number, mathematics, a date."""
_SHORT = 30
"""Characters of an answer that is looked for again."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a last sentence concludes."""

    text: str
    """What the result is, up to the sentence's end."""
    bare: bool
    """Nothing says of what it is one: "So 13."."""
    named: bool
    """It is said of the answer, and of no part of a solution: "it is", "the result is"."""
    strict: bool
    """It says what the answer should be, or which one is right."""
    objects: bool
    """Something is objected before it: "However, …"."""
    between: str
    """What stands between the answer and it."""

    def holds(self, answer: str) -> bool:
        """Whether it may be another answer, and no step of a check, which calculates with the answer."""
        return self.strict or self.objects or not _calculates_with(answer, self.between)


def concluded(body: str, begin: int) -> Conclusion | None:
    """Return what the last sentence of a text concludes, behind the one that has what stands at `begin`."""
    if not body[begin : begin + _CHARS].strip(_CLOSES):
        return None  # most answers end their response
    text = without_offer(body)
    behind = text[max(begin, len(text) - _CHARS) :].rstrip()
    last = max((end.end() for end in _ENDS.finditer(behind, 0, len(behind) - 1)), default=0)
    sentence = behind[last:]
    if not last or sentence.endswith("?") or _RIGHT.search(sentence) or _SUPPOSES.search(sentence):
        return None
    at = max((so.end() for so in _SO.finditer(sentence)), default=0)
    said = _SUBJECT.match(sentence, at) if at else _stated(sentence)
    before = behind[: last + (at or (said.start() if said else 0))]
    objects = _OBJECTS.search(behind) is not None
    if said is None and objects and _EQUATION.fullmatch(sentence):
        return Conclusion(sentence.rpartition("=")[2], bare=True, named=False, strict=False, objects=True, between=before)
    if said is None:
        return Conclusion(sentence[at:], bare=True, named=False, strict=False, objects=objects, between=before) if at else None
    named = said["subject"].lower() in {"it", "that", "this"} or _NOUN.search(said["subject"].partition(" of ")[0]) is not None
    strict = _strict(said)
    return Conclusion(sentence[said.end() :], bare=False, named=named, strict=strict, objects=objects, between=before)


def _strict(said: re.Match[str]) -> bool:
    noun = _NOUN.search(said["subject"].partition(" of ")[0])
    return bool(_OBLIGES.search(said[0]) or _CORRECT.search(said["subject"]) or (noun and _TRUE.search(said["subject"])))


def _stated(sentence: str) -> re.Match[str] | None:
    """Return how a sentence says what should be, or is right, without concluding it: "it should be", "the correct result is"."""
    found = [said for clause in _CLAUSES.finditer(sentence) if (said := _SUBJECT.match(sentence, clause.end()))]
    return next((said for said in reversed(found) if _strict(said)), None)


def _calculates_with(answer: str, text: str) -> bool:
    """Whether a text calculates with an answer: "Check: 7 + 5 = 12" with 7."""
    bare = answer.strip("$ ")
    for found in re.finditer(rf"(?<![\w.]){re.escape(bare)}(?![\w]|[.,]\d)", text) if bare and len(bare) <= _SHORT else ():
        if _BEFORE_OPERATOR.match(text, found.end()) or _BEHIND_OPERATOR.search(text[max(0, found.start() - 8) : found.start()]):
            return True
    return False


def other_number(body: str, begin: int, read: Reading) -> Reading | None:
    """Return another number than the one that was read at `begin`, where the last sentence concludes it."""
    found = concluded(body, begin)
    if found is None:
        return None
    other = _number(found)
    if not isinstance(other, Reading) or other.value == read.value or says(read, other) or says(other, read):
        return None
    return other if (found.bare and not found.objects) or found.holds(read.text) else None


def _number(found: Conclusion) -> final_number.Read:
    if found.bare:
        return last_number(found.text) if found.objects or _ONLY_A_NUMBER.fullmatch(found.text) else None
    text = tidy(found.text)
    return final_number.in_sentence(text) if (found.named or found.strict) and final_number.is_led(text) else None


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
        or not (found.named or found.strict or (found.bare and _IN_ONE.fullmatch(found.text)))
        or not found.holds(answer)
    ):
        return ""
    shared = "%" in found.text and "%" not in answer  # 50% says 1/2 as well
    return found.text.strip() if _WRITTEN.match(found.text) and not shared else ""


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
    extraneous = re.search(rf"(?<!\d\s[-+]\s){it}\s(?:is|was|must\sbe)\s(?:an?\s)?{invalid}", behind)
    unequal = re.search(rf"{_IS_NOT}{it}\W*$", body[max(begin, len(body) - _CHARS) :].rstrip())
    if said := extraneous or unequal:
        return " ".join(said[0].split())
    none = concluded(body, begin)
    if none is not None and none.bare and _NO_SOLUTION.fullmatch(none.text) and not _MEANS_NONE.search(answer):
        return " ".join(none.text.split())
    return ""
