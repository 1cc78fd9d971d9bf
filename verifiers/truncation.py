"""Finds responses that end before their end."""

from __future__ import annotations

import re
import unicodedata

from storage.records import CUT_OFF, Prompt, Sample
from verifiers.protocol import Finding, verifier
from verifiers.reading.pieces import pieces
from verifiers.reading.thinking import spoken

TAIL = 2_000
"""Characters of the end in which the last sentence is looked for."""
FEW_WORDS = 4
"""A last line of fewer words is a label, a name or an answer, rather than a sentence."""
INDENTED = 4
"""Columns from which on a line outside of a list is code."""
_LISTED = re.compile(r"(?m)^[ \t]{0,12}(?:[-*+]|\d{1,3}[.)])[ \t]")
_IN_BRACKETS = re.compile(r"\([^()\n]*\)")
_NO_SENTENCE = re.compile(r"[-*+•]\s|[>#|]|\d{1,3}[.)]\s")
"""How a list's item, a quotation, a heading or a table's row begins."""
_END = ".!?\u2026\u3002\uff01\uff1f\uff0e\uff61\u061f\u06d4\u0964\u0965\u0589\u1362"
"""Full stops, exclamation and question marks: Latin, Chinese and Japanese, Arabic, Urdu, Devanagari, Armenian, Ethiopic."""
_MARKS = "\"'`*_~ "
_NO_WORDS = re.compile(r"(?:\\[\])]|\$|\\[a-zA-Z]+\{[^\n]*\}|https?://\S+)[\s)\]*_.]*$|[:;]-?\)$")
"""What ends a line without a full stop: a formula, an address, a smiley."""
_CLOSING = {"Pe", "Pf", "Pi"}
_SYMBOLS = {"So", "Sm", "Sc", "Sk"}
_WORD = re.compile(r"[\u2e80-\u9fff]{1,3}|[^\W\u2e80-\u9fff]+")
"""Chinese and Japanese put no space between words, which have one to three characters."""


@verifier(version="5", isolated=False, pure=True)
class Truncation:
    """Passes a response that is whole: the server didn't break it off, and every code block and chain of thought in it is closed.

    An empty response is left undecided.
    """

    sentence: bool = False
    """Whether the last sentence must be finished too. Lists, tables, code, formulas, numbers, short lines count as finished."""

    def check(self, prompt: Prompt, sample: Sample) -> Finding:  # noqa: ARG002
        """Look at the finish reason, then at the text."""
        if sample.finish_reason in CUT_OFF or sample.finish_reason == "content_filter":
            return Finding(passed=False, reason=f"broken off by the server (finish_reason {sample.finish_reason})")
        if not sample.response.strip():
            return Finding(passed=None, reason="the response is empty")
        if spoken(sample.response) is None:
            return Finding(passed=False, reason="the chain of thought never ends")
        *_, last = pieces(sample.response)
        shown = len(last.indent.expandtabs(4)) >= INDENTED and not _LISTED.search(sample.response)  # a fence within indented code
        if not last.closed and not shown:
            return Finding(passed=False, reason="a code block is not closed")
        if self.sentence and (end := _unfinished(last.text)):
            return Finding(passed=False, reason=f"the last sentence is not finished: {end!r}")
        return Finding(passed=True, reason="whole")


def _unfinished(text: str) -> str | None:
    """Return the end of a text whose last sentence isn't finished."""
    text = text[-TAIL:].strip()
    line = text.rpartition("\n")[2].strip()
    if _NO_WORDS.search(line) and not line.endswith((",", ":", ";")):
        return None
    if len(_WORD.findall(_IN_BRACKETS.sub("", line))) < FEW_WORDS or _NO_SENTENCE.match(line):
        return line[-40:] if line.endswith((",", ":", ";")) else None
    end = len(line)
    while end and (line[end - 1] in _MARKS or unicodedata.category(line[end - 1]) in _CLOSING):
        end -= 1
    last = line[end - 1] if end else line[-1]
    if last in _END or last == "$" or last.isdigit() or unicodedata.category(last) in _SYMBOLS:
        return None
    return line[-40:]
