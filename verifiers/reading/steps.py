"""A solution cut into its steps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

Split = Literal["auto", "paragraphs", "lines", "sentences"]
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=\S)")
SHORT = 4
"""Characters of a piece that is no step of its own: "1."."""


def steps(text: str, split: Split = "auto") -> list[str]:
    """Return the steps of a text, in order; none is blank.

    auto: its paragraphs; where there is one alone, its lines; where that is one as well, its sentences. A block of code is never
    cut, but by sentences.
    """
    if split == "sentences":
        return _sentences(text)
    pieces = list(_blocks(text, by_line=split == "lines"))
    if split == "auto" and len(pieces) == 1:
        pieces = list(_blocks(text, by_line=True))
        return pieces if len(pieces) > 1 else _sentences(text)
    return pieces


def _blocks(text: str, *, by_line: bool) -> Iterator[str]:
    piece: list[str] = []
    fence = ""
    for line in text.splitlines():
        begins = line.strip()[:3]
        if begins in {"```", "~~~"} and fence in {"", begins}:
            fence = "" if fence else begins
        ends = by_line or not line.strip()
        if line.strip() or fence:
            piece.append(line)
        if ends and not fence and piece:
            yield "\n".join(piece).strip()
            piece = []
    if any(line.strip() for line in piece):
        yield "\n".join(piece).strip()


def _sentences(text: str) -> list[str]:
    found: list[str] = []
    for piece in _SENTENCE.split(text.strip()):
        if found and len(found[-1]) < SHORT:
            found[-1] += f" {piece}"
        else:
            found.append(piece)
    return [piece for piece in found if piece]
