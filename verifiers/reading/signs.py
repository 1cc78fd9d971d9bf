r"""What announces an answer by a sign: "####", `\boxed{}`, `<answer>`.

Every pattern is anchored at a fixed word or bounded in length, so that a hostile megabyte costs as much as a plain one.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import Literal

MAX_MARKERS = 32
"""Of each form, from the end: no honest response has more."""
MAX_BOX = 2000
"""Characters that a box may hold."""

Form = Literal["is", "heading", "hashes", "box", "tag"]


@dataclass(frozen=True, slots=True)
class Marker:
    """A place where an answer is announced."""

    start: int
    """Where the announcement begins."""
    end: int
    """Where what it announces begins."""
    close: int | None
    """Where what it announces ends; None: the text decides."""
    form: Form
    """What kind of announcement."""
    label: str
    """As written, for the verdict's reason."""
    doubt: bool = False
    """It isn't the writer's own claim: "if the answer is", "you might think that the answer is"."""
    negated: bool = False
    """It says what the answer isn't."""
    supposed: bool = False
    """Its sentence begins with a supposition: "If n is even, the answer is"."""


_HASHES = re.compile(r"(?<!#)####(?!#)[ \t]{0,8}")
_BOX = re.compile(r"\\(?:boxed|fbox)[ \t]{0,4}\{")
_NOT_THIS_BOX = re.compile(
    r"(?:\b(?:not|instead\sof|rather\sthan)\s|\b(?:common|typical|frequent)\s(?:mistake|error|pitfall)[^.!?\n]{0,80})[$\\(\[\s]{0,6}$"
    r"|(?:[=:≈]|^|(?<!\w)\$)\s{0,2}[-\u2212]\s{0,2}$|\\neq?\s{0,2}$",
    re.IGNORECASE,
)
"""Before a box: it isn't the answer, or only what a minus is before."""
_GOES_ON = re.compile(r"\}\s?(?:\^(?!\{?\\circ)|\\(?:pi|sqrt|cdot|times|frac)(?![a-zA-Z]))(?![^$\n]{0,60}=)")
"""Behind a box that holds only a part of the answer: 5 of 5√2. In an equation it is what fills a gap."""
_IS_WRONGLY = re.compile(
    r"\}[$\\\])*\s]{0,6}\s(?:is|was|would\sbe)\s(?:what|the\s\w+(?:\sthat)?)\s(?:one|you|we|people|students|someone|many)\s[^.!?\n]{0,30}?"
    r"\b(?:ignor|neglect|forg[eo]t|omit|leav|miss|overlook|disregard|not\b)",
    re.IGNORECASE,
)
"""Behind a box that holds what a mistake leads to: "is what one gets by ignoring the tax"."""
MAX_BETWEEN = 60
"""Characters between two boxes that belong together."""
_SPACED = re.compile(r"\\(?:text|mathrm|mbox)\s?\{([^{}]*)\}|\\(?:q?quad\b|[,;:!])()")
_BETWEEN_BOXES = re.compile(
    r"[\s$\\()\[\],.;&*]{0,20}(?:[b-h2-9]\)[\s$*]{0,4}|(?:second|third|fourth)(?:ly)?\b[\s,:$*]{0,6}|(?:and|or|if|when|otherwise|else|und|oder|et|ou|y|o|e|и|или)\b[^.\n]{0,30}|[a-zA-Z](?:_?\{?\w\}?)?\s?=\s?|[和或]|または|또는)?\s*",
    re.IGNORECASE,
)
_TAG = re.compile(r"<answer>", re.IGNORECASE)
_TAG_END = re.compile(r"</answer>", re.IGNORECASE)


def hashes(text: str) -> list[Marker]:
    """Return the last of its "####", by which GSM8K announces an answer."""
    if "####" not in text:
        return []
    return [Marker(m.start(), m.end(), None, "hashes", "####") for m in deque(_HASHES.finditer(text), MAX_MARKERS)]


def boxes(text: str) -> list[Marker]:
    """Return the last of its boxes that close and aren't empty."""
    found = []
    for match in deque(_BOX.finditer(text), MAX_MARKERS):
        close = _closing(text, match.end())
        if close is not None and text[match.end() : close].strip():
            before = text[max(0, match.start() - 120) : match.start()]
            behind = _GOES_ON.match(text, close) or _IS_WRONGLY.match(text, close)
            doubt = _NOT_THIS_BOX.search(before) is not None or behind is not None
            found.append(Marker(match.start(), match.end(), close, "box", "\\boxed{}", doubt=doubt))
    return found


def several(between: str) -> bool:
    r"""Whether what stands between two boxes makes them two answers: "\boxed{3} \text{ or } x = \boxed{4}"."""
    return len(between) <= MAX_BETWEEN and _BETWEEN_BOXES.fullmatch(_SPACED.sub(r" \1 ", between)) is not None


def _closing(text: str, begin: int) -> int | None:
    depth = 1
    for match in re.finditer(r"\\.|[{}]", text[begin : begin + MAX_BOX], re.DOTALL):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return begin + match.start()
    return None


def tags(text: str) -> list[Marker]:
    """Return the last of its <answer> tags that close."""
    found = []
    for match in deque(_TAG.finditer(text), MAX_MARKERS):
        close = _TAG_END.search(text, match.end(), match.end() + MAX_BOX)
        if close:
            found.append(Marker(match.start(), match.end(), close.start(), "tag", "<answer>"))
    return found
