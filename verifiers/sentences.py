"""Where a sentence ends, and where a writer takes it back."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ABBREVIATIONS = frozenset(
    ["approx", "ca", "mr", "mrs", "ms", "dr", "st", "vs", "e.g", "i.e", "no", "rs", "prof", "u.s", "sr", "jr", "mt"]
)
_END = re.compile(r"[.!?]+(?=[\"')\]”\u2019]{0,3}(?:\s|$))|\n")
_TAKEN_BACK = re.compile(
    r"""(?:^|[.!?,;\n—(…\u3002]|\.\.\.)[\s*_"']{0,4}+(?:(?:oh|but|hmm|uh|no)[,.]?\s)?(?P<word>
        wait\b|hold\son\b|oops\b|correction\b|scratch\sthat|sorry\b|no,|actually\b|on\ssecond\sthought|let\sme\s(?:re|correct|fix)
        |(?:that|this|it)(?:\sis|['\u2019]s|\swas)\s(?:wrong|incorrect|not\s(?:right|correct)|a\smistake)
        |(?:that|this|which)\s(?:does\snot|doesn['\u2019]t|did\snot|didn['\u2019]t)\s(?:match|fit|work|hold|agree|satisfy|make\ssense|add\sup)
        |(?:that|this|it)\s(?:can\snot|cannot|can['\u2019]t)\sbe\s(?:right|correct)|(?:that|this|which)\scontradicts\b
        |i\smade\san?\s(?:mistake|error)|my\s(?:mistake|bad|error)\b
        |(?:das|dies)\sist\s(?:falsch|nicht\srichtig)|korrektur\b|moment(?:\smal)?[,.]|espera\b|c['\u2019]est\sfaux|attendez\b
        |подождите\b|不对|不對|等等|等一下|错了|違います|(?:however|but),?\s(?:the\s)?(?:correct|actual|real|true|right)\b
        |(?P<hedge>alternatively\b|(?<![,;]\s)or\b|(?:it|the\sanswer)\s(?:could|might|may)\s(?:also\s)?be\b))""",
    re.IGNORECASE | re.VERBOSE,
)
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
    if match is None:
        return None
    word = " ".join(match["word"].split())
    return Retraction(word, match.end(), word.lower() not in _PAUSES, match["hedge"] is not None)
