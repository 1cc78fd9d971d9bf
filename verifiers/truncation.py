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
_END = ".!?\u2026\u3002\uff01\uff1f\uff0e\uff61\u061f\u06d4\u0964\u0965\u0589\u1362\u17d4\u104b"
"""Full stops, exclamation and question marks: Latin, Chinese and Japanese, Arabic, Urdu, Devanagari, Armenian, Ethiopic, Khmer,
Burmese."""
_MARKS = "\"'`*_~ "
_NO_WORDS = re.compile(r"(?:\\[\])]|\$|\\[a-zA-Z]+\{[^\n]*\}|https?://\S+)[\s)\]*_.]*$|[:;]-?\)$")
"""What ends a line without a full stop: a formula, an address, a smiley."""
_WAVES = re.compile(r"[^~]~+$")
_STRUCK = re.compile(r"~~[^~\n]{1,400}~~$")
"""A tilde that ends a sentence, as in a chat, and those that strike one out."""
_NEVER_LAST = re.compile(
    r"\w\s(?:the|an|whose|your|our|their)[*_]*$"
    r"|\w\s+\w+\s(?:and|or|nor|because|although|whereas|every"
    r"|und|oder|weil|dass|zum|zur|les|des|et|el|las|gli|della|dei|che|и|или)[*_]*$|(?:因为|并且|以及|或者)$"
)
"""What ends no list's item and no label. A word that names a thing as well ("y", "a"), or may end a sentence, is none of them."""
# A formula that is still open: "$5" and "$HOME" are none.
_CODE = re.compile(r"`[^`\n]{1,400}`")
_FORMULA = re.compile(r"(?<!\\)\$(?=[^\s$])[^$\n]{1,400}(?<=\S)\$(?!\d)|(?<!\\)\$\$[^$]{1,2000}\$\$")
_OPEN_FORMULA = re.compile(r"(?<!\\)\$\$?(?!\d[\d.,]*(?:[\s)]|$))(?=\S|\n)[^$]{0,400}$")
_TEX = re.compile(r"\\[a-zA-Z]{2,}|[\w)}][_^]\{|\^")
_COMMAND = re.compile(r"\\[a-zA-Z]{1,40}\{")
_BRACES = re.compile(r"(?<!\\)[{}]")
_PAIRED = (
    (re.compile(r"(?<!\\)\\\("), "\\)"),
    (re.compile(r"(?<!\\)\\\["), "\\]"),
    (re.compile(r"\\begin\{"), "\\end{"),
)
"""How a formula begins, and how it ends."""
VERSE = 60
"""Characters of a poem's line, and no more."""
HAIKU, STANZA = 3, 4
"""Lines of a poem: of one that is all of the response, and of the last of its stanzas."""
_CLOSING = {"Pe", "Pf", "Pi"}
_JOINED = {"Mn", "Me", "Cf"}
"""Behind a letter or an emoji, such as the selector that colours a heart."""
_SYMBOLS = {"So", "Sm", "Sc", "Sk"}
_WORD = re.compile(r"[\u2e80-\u9fff]{1,3}|[^\W\u2e80-\u9fff]+")
"""Chinese and Japanese put no space between words, which have one to three characters."""


@verifier(version="6", isolated=False, pure=True)
class Truncation:
    """Passes a response that is whole: the server didn't break it off, and every code block and chain of thought in it is closed.

    An empty response is left undecided.
    """

    sentence: bool = False
    """Whether the last sentence must be finished too. Lists, tables, code, numbers, short lines and verses need no full stop."""

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
    if _ends_within_formula(text.rpartition("\n\n")[2]) or _NEVER_LAST.search(line):
        return line[-40:]
    if _NO_WORDS.search(line) and not line.endswith((",", ":", ";")):
        return None
    if len(_WORD.findall(_IN_BRACKETS.sub("", line))) < FEW_WORDS or _NO_SENTENCE.match(line):
        return line[-40:] if line.endswith((",", ":", ";")) else None
    if _WAVES.search(line) and not _STRUCK.search(line):
        return None
    return None if _is_ended(line) or _is_verse(text) else line[-40:]


def _is_ended(line: str) -> bool:
    """Whether a line ends as a sentence does. Thai and Lao have no mark for that."""
    end = len(line)
    while end and (line[end - 1] in _MARKS or unicodedata.category(line[end - 1]) in _CLOSING | _JOINED):
        end -= 1
    last = line[end - 1] if end else line[-1]
    return last in _END or last == "$" or last.isdigit() or unicodedata.category(last) in _SYMBOLS or "\u0e00" <= last <= "\u0eff"


def _ends_within_formula(paragraph: str) -> bool:
    """Whether a formula of the last paragraph is still open at its end: "$5" is a price, rather than one."""
    paragraph = _CODE.sub("", paragraph)
    for begins, ends in _PAIRED:
        if len(begins.findall(paragraph)) > paragraph.count(ends):
            return True
    rest = _OPEN_FORMULA.search(_FORMULA.sub("", paragraph))
    if rest and _TEX.search(rest[0]):
        return True
    line = paragraph.rpartition("\n")[2]
    braces = [brace[0] for brace in _BRACES.finditer(line)]
    return bool(_COMMAND.search(line)) and braces.count("{") > braces.count("}")


def _is_verse(text: str) -> bool:
    """Whether a text ends in a poem that has no marks at the ends of its sentences."""
    *before, stanza = (part.strip().splitlines() for part in re.split(r"\n[ \t]*\n", text))
    if len(stanza) < (STANZA if before else HAIKU) or any(len(line) > VERSE or _NO_SENTENCE.match(line) for line in stanza):
        return False
    others = [lines[-1] for lines in before if len(lines) >= HAIKU]
    return not any(map(_is_ended, [*stanza[:-1], *others])) and not stanza[-1].endswith((",", ":", ";"))
