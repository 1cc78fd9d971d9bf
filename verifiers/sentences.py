"""Where a sentence ends, and where a writer takes it back."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ABBREVIATIONS = frozenset(
    ["approx", "ca", "mr", "mrs", "ms", "dr", "st", "vs", "e.g", "i.e", "no", "rs", "prof", "u.s", "sr", "jr", "mt"]
)
_MONTHS = frozenset(["jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec"])
_END = re.compile(r"[.!?]+(?=[\"')\]*_”\u2019]{0,3}(?:\s|$))|[\u3002\uff01\uff1f]+|\n")
_LEAD = r"(?:(?:oh|but|hmm|uh|no|wait|actually|however|unfortunately|sorry|so|and)(?:,|\.{1,3})?\s){0,2}"
_TAKEN_BACK = re.compile(
    rf"""(?:^|[.!?,;\n—(…\u3002]|\.\.\.)[\s*_"']{{0,4}}+{_LEAD}(?P<word>
        wait\b|hold\son\b|oops\b|correction\b|scratch\sthat|sorry\b|no,|actually\b|on\ssecond\sthought|let\sme\s(?:re|correct|fix|try\sagain)
        |(?:that|this|it)(?:\sis|['\u2019]s|\swas)\s(?:wrong|incorrect|not\s(?:right|correct)|a\smistake)
        |i\s(?:have\s)?made\san?\s(?:\w{{1,12}}\s)?(?:mistake|error)|korrektur\b|moment(?:\smal)?[,.]|espera\b|attendez\b|подождите\b|等等|等一下
        |strike\sthat\b|never\s?mind\b|just\skidding\b|i\stake\s(?:that|it)\sback|i\s(?:was|am)\s(?:wrong|mistaken)\b
        |i\s(?:have\s)?mis(?:read|counted|calculated|computed|understood)\b|i\s(?:need|have)\sto\sre(?:do|consider|compute|calculate)\b
        |(?:please\s)?(?:ignore|disregard)\s(?:that|this|the\sabove|my\s(?:previous|last|earlier))\b
        |(?:however|but),?\s(?:the\s)?(?:correct|actual|real|true|right)\b
        |(?P<hedge>alternatively\b|(?<![,;]\s)or\b|(?:it|the\sanswer)\s(?:could|might|may)\s(?:also\s)?be\b
            |another\s(?:possible|valid|correct|acceptable)\s(?:answer|solution|value)\b))""",
    re.IGNORECASE | re.VERBOSE,
)
_ANSWER = r"(?:that|this|the|my)\s(?:\w{1,12}\s)?answer"
_RIGHT = r"(?:right|correct|it\b|valid|the\s(?:\w{1,12}\s)?answer)"
_WRONG = rf"(?:wrong|incorrect|false|mistaken|invalid|not\s{_RIGHT}|an?\s(?:mistake|error))"
_INSTEAD = r"(?=[^\w\s]{0,4}(?-i:[A-Z0-9]|\\))"
_REFUSED = re.compile(
    rf"""[\W_]{{0,20}}+{_LEAD}(?P<word>
        (?:that|this|which)\s(?:does\snot|doesn['\u2019]t|did\snot|didn['\u2019]t)\s(?:match|fit|work|hold|agree|satisfy|make\ssense|add\sup)
        |(?:that|this|it)\s(?:can\snot|cannot|can['\u2019]t)\sbe\s{_RIGHT}|(?:that|this)\scontradicts\b
        |(?:that|this|it)\s(?:seems|looks|feels)\s(?:off|wrong|incorrect|too\s\w{{2,6}})\b|not\squite\b|nope\b|almost!|pardon\b
        |(?:my\s)?apologies\b|i\sapologi[sz]e\b|(?:erratum|typo|revised|corrected)[*_]{{0,2}}:
        |(?:this|that)\s(?:solution|value|root|result)\sis\s(?:extraneous|rejected|invalid|wrong|incorrect|not\svalid)\b
        |(?:that|this)\sshould\s(?:have\sbeen|be)\s{_INSTEAD}
        |(?:that|this|it|which|{_ANSWER})(?:\sis|['\u2019]s|\swas)\s{_WRONG}|(?:that|this|it|{_ANSWER})\s(?:is|was)n['\u2019]t\s{_RIGHT}
        |(?:wrong|incorrect)\s*[).!]|\u274c|(?:edit|update)[*_]{{0,2}}:|on\sreflection,?\s{_INSTEAD}|(?:make\sthat|i\smeant?|rather,|instead,)(?=\s)
        |(?:up)?on\s(?:re-?\w{{3,15}}|(?:closer|further|second|deeper)\s\w{{3,15}}),?\s
            (?=[^.\n]{{0,60}}(?:better|should|must|instead|not|n['\u2019]t|it\sis|it['\u2019]s)\b)
        |(?:in\sfact,?\s)?(?:it|the\sanswer)\s(?:should\s(?:have\sbeen|be)|is\sin\sfact|is\sactually)\s{_INSTEAD}
        |in\sfact,?\sit(?:\sis|['\u2019]s)\s{_INSTEAD}
        |my\s(?:mistake|bad|error)(?=\s*(?:[:.,!]|$))|(?:das|dies)\sist\s(?:falsch|nicht\srichtig)|c['\u2019]est\sfaux
        |不对|不對|错了|違います)""",
    re.IGNORECASE | re.VERBOSE,
)
"""What takes back only the statement right before it: further on, it is another option that doesn't fit."""
_CLAUSE = re.compile(r"[,;(—…]\s?")
_FEW_WORDS = 3
"""An answer and its unit: a longer clause may speak of something else."""
_NEAR = 2000
"""Characters that a statement may have."""
_SOON = 200
"""Characters behind "Wait" in which a retraction still is of what stands before it."""
_PAUSES = frozenset(
    ("wait", "hold on", "actually", "sorry", "no,", "moment,", "moment.", "espera", "attendez", "подождите", "等等", "等一下")
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """The first sentence of a text."""

    text: str
    """Without its full stop."""
    asks: bool
    """It ends with a question mark."""
    rest: str
    """What follows it."""


@dataclass(frozen=True, slots=True)
class Retraction:
    """Words such as "Wait" or "that's wrong"."""

    word: str
    """As written."""
    end: int
    """Where what counts instead begins."""
    final: bool
    """Without anything instead, nothing counts: "that's wrong", but not "Wait, let me check"."""
    hedges: bool
    """It takes nothing back but adds another answer: "Or 6"."""


def first_sentence(text: str, *, abbreviations: bool = True) -> Sentence:
    """Return the first sentence of a text. A line's end ends it; a full stop doesn't in "approx. 5", with `abbreviations`."""
    text = text.lstrip()
    for match in _END.finditer(text):
        word = text[: match.start()].rpartition(" ")[2].lower().lstrip("(\"'")
        if match[0] == "." and abbreviations and word in _ABBREVIATIONS:
            continue
        if word in _MONTHS and text[match.end() : match.end() + 2].strip().isdigit():
            continue
        return Sentence(text[: match.start()], "?" in match[0] or "\uff1f" in match[0], text[match.end() :])
    return Sentence(text, asks=False, rest="")


def taken_back(text: str, begin: int) -> Retraction | None:
    """Return the first retraction at or after `begin`."""
    match = _TAKEN_BACK.search(text, begin)
    refused = _refused(text[begin : begin + _NEAR])
    if refused and (match is None or begin + refused.start("word") < match.start("word") or _pauses(match)):
        return Retraction(" ".join(refused["word"].split()), begin + refused.end(), final=True, hedges=False)
    if match is None:
        return None
    if _pauses(match) and (more := _TAKEN_BACK.search(text, match.end(), match.end() + _SOON)):
        match = match if _pauses(more) or more["hedge"] else more  # "Wait, … That's wrong."
    return Retraction(" ".join(match["word"].split()), match.end(), not _pauses(match), match["hedge"] is not None)


def _pauses(match: re.Match[str]) -> bool:
    return " ".join(match["word"].lower().split()) in _PAUSES


def _refused(text: str) -> re.Match[str] | None:
    """Return the words right behind the sentence that begins a text, or behind its first few words, that refuse it."""
    sentence = first_sentence(text)
    if refused := _REFUSED.match(text, len(text) - len(sentence.rest)):
        return refused
    comma = _CLAUSE.search(text, 0, len(text) - len(sentence.rest))
    if comma is None or len(text[: comma.start()].split()) > _FEW_WORDS:
        return None
    return _REFUSED.match(text, comma.end())
