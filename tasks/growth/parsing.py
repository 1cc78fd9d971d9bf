"""The prompts in an answer: a JSON list, which is what we ask for, or a numbered list, which models fall back on.

A prompt may have several lines, so lines alone are no form. Where one can't tell how a prompt ends, it isn't guessed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_KEYS = ("prompt", "text", "question", "instruction", "problem", "task", "content")
"""Under which models put a prompt where they make an object of it."""
_LISTS = 20
"""Brackets that are tried: a text of nothing but brackets must not take long."""
_MARK = re.compile(
    r"(?:\#{1,6}[ ]*)?\**(?:(?:new[ ])?(?:prompt|question|problem|instruction|task)[ ]*\#?)?(\d{1,3})\**[.):]\**[ \t]+",
    re.IGNORECASE,
)
"""What stands before an entry of a numbered list."""
_DECODER = json.JSONDecoder(strict=False)  # line breaks as they are, which models write


@dataclass(frozen=True, slots=True)
class Item:
    """One prompt of an answer."""

    text: str
    """As it stands, without white space around it."""
    ends: bool = True
    """Whether it is certain where it ends: not so where an answer was cut off in it."""


def items(answer: str, *, count: int, cut_off: bool) -> list[Item]:
    """Return the prompts in an answer that was asked for so many; none where it has neither form.

    A numbered list of more is none of prompts: it is how models answer one. `cut_off`: the server broke the answer off.
    """
    found = _json(answer)
    if not found:
        numbered = _numbered(answer, cut_off=cut_off)
        found = numbered if len(numbered) <= count else []
    return found


def _json(answer: str) -> list[Item]:
    begins = [found.start() for found in re.finditer(r"\[", answer)][:_LISTS]
    for begin in begins:
        try:
            value, _ = _DECODER.raw_decode(answer, begin)
        except (ValueError, RecursionError):
            continue
        if found := _listed(value):
            return found
    bare = re.sub(r"^\s*```(?:json)?|```\s*$", "", answer).strip()
    if bare.startswith('"'):
        try:
            return _listed([json.loads(bare, strict=False)])
        except ValueError:
            return []
    return next((found for begin in begins if (found := _begun(answer, begin + 1))), [])


def _listed(value: Any) -> list[Item]:
    """Return the entries of a list as prompts; none where one of them is none."""
    texts = [_entry(each) for each in value]
    return [] if None in texts else [Item(str(text).strip()) for text in texts]


def _entry(value: Any) -> str | None:
    if isinstance(value, dict):
        value = next((value[name] for name in _KEYS if name in value), None)
    return value if isinstance(value, str) else None


def _begun(answer: str, at: int) -> list[Item]:
    """Return the whole entries of a list that breaks off, and the one in which it does."""
    found: list[Item] = []
    while True:
        at = _past(answer, at, " \t\r\n,")
        if at >= len(answer) or answer[at] not in '"{':
            return found
        try:
            value, end = _DECODER.raw_decode(answer, at)
        except (ValueError, RecursionError):
            return [*found, Item(answer[at:].strip().lstrip('"').strip(), ends=False)]
        text = _entry(value)
        if text is None:
            return found
        found.append(Item(text.strip()))
        at = end


def _past(text: str, at: int, skipped: str) -> int:
    while at < len(text) and text[at] in skipped:
        at += 1
    return at


def _numbered(answer: str, *, cut_off: bool) -> list[Item]:
    """Return the entries of a list that counts from 1; numbers that don't go on counting belong to the entry they stand in."""
    entries: list[list[str]] = []
    for line in answer.splitlines():
        mark = _MARK.match(line)
        if mark and int(mark[1]) == len(entries) + 1:
            entries.append([line[mark.end() :]])
        elif entries:
            entries[-1].append(line)
    texts = ["\n".join(entry).strip() for entry in entries]
    # Behind the last entry, a paragraph may be a remark as well as a part of it.
    return [Item(text, ends=place < len(texts) - 1 or not (cut_off or _may_go_on(text))) for place, text in enumerate(texts)]


def _may_go_on(text: str) -> bool:
    return any(not paragraph.startswith((" ", "\t")) for paragraph in _paragraphs(text))


def _paragraphs(text: str) -> Iterator[str]:
    """Yield all but the first paragraph, with the white space that each begins with."""
    yield from re.split(r"\n[ \t]*\n+", text)[1:]
