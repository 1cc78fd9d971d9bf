"""Where a sentence ends, and where a writer takes it back."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ABBREVIATIONS = frozenset(
    ["approx", "ca", "mr", "mrs", "ms", "dr", "st", "vs", "e.g", "i.e", "no", "rs", "prof", "u.s", "sr", "jr", "mt"]
)
_END = re.compile(r"[.!?]+(?=[\"')\]*_”\u2019]{0,3}(?:\s|$))|\n")
_TAKEN_BACK = re.compile(
    r"""(?:^|[.!?,;\n—(…\u3002]|\.\.\.)[\s*_"']{0,4}+(?:(?:oh|but|hmm|uh|no)[,.]?\s)?(?P<word>
        wait\b|hold\son\b|oops\b|correction\b|scratch\sthat|sorry\b|no,|actually\b|on\ssecond\sthought|let\sme\s(?:re|correct|fix)
        |(?:that|this|it)(?:\sis|['\u2019]s|\swas)\s(?:wrong|incorrect|not\s(?:right|correct)|a\smistake)
        |i\smade\san?\s(?:mistake|error)|korrektur\b|moment(?:\smal)?[,.]|espera\b|attendez\b|подождите\b|等等|等一下
        |(?:however|but),?\s(?:the\s)?(?:correct|actual|real|true|right)\b
        |(?P<hedge>alternatively\b|(?<![,;]\s)or\b|(?:it|the\sanswer)\s(?:could|might|may)\s(?:also\s)?be\b))""",
    re.IGNORECASE | re.VERBOSE,
)
_REFUSED = re.compile(
    r"""[\W_]{0,20}+(?:(?:oh|but|hmm|uh|no)[,.]?\s)?(?P<word>
        (?:that|this|which)\s(?:does\snot|doesn['\u2019]t|did\snot|didn['\u2019]t)\s(?:match|fit|work|hold|agree|satisfy|make\ssense|add\sup)
        |(?:that|this|it)\s(?:can\snot|cannot|can['\u2019]t)\sbe\s(?:right|correct)|(?:that|this)\scontradicts\b
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
        return Sentence(text[: match.start()], "?" in match[0], text[match.end() :])
    return Sentence(text, asks=False, rest="")


def taken_back(text: str, begin: int) -> Retraction | None:
    """Return the first retraction at or after `begin`."""
    match = _TAKEN_BACK.search(text, begin)
    refused = _refused(text[begin : begin + _NEAR])
    if refused and (match is None or begin + refused.start("word") < match.start("word")):
        return Retraction(" ".join(refused["word"].split()), begin + refused.end(), final=True, hedges=False)
    if match is None:
        return None
    word = " ".join(match["word"].split())
    return Retraction(word, match.end(), word.lower() not in _PAUSES, match["hedge"] is not None)


def _refused(text: str) -> re.Match[str] | None:
    """Return the words right behind the sentence that begins a text, or behind its first few words, that refuse it."""
    sentence = first_sentence(text)
    if refused := _REFUSED.match(text, len(text) - len(sentence.rest)):
        return refused
    comma = _CLAUSE.search(text, 0, len(text) - len(sentence.rest))
    if comma is None or len(text[: comma.start()].split()) > _FEW_WORDS:
        return None
    return _REFUSED.match(text, comma.end())
