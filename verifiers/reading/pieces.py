"""The fenced blocks of a Markdown text, and what stands between them. Linear in the text, whatever is in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_FENCE = re.compile(r"(?P<indent>[ \t]*)(?P<mark>`{3,}|~{3,})(?P<info>.*)")
_DEEPER = 4
"""Columns behind its opening fence from which on a fence is of a block's own text: a docstring's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A fenced block, or the text before, between or behind such."""

    text: str
    """Its lines, without the fences."""
    info: str | None
    """What stands behind the opening fence; None where it is no block."""
    indent: str = ""
    """What stands before a block's opening fence."""
    closed: bool = True
    """Whether a block has its closing fence."""


def pieces(text: str) -> Iterator[Piece]:
    """Yield the pieces of a text in order. A block that is never closed ends with the text."""
    mark, indent, info, lines = "", "", None, list[str]()
    for line in text.replace("\r\n", "\n").split("\n"):
        fence = _FENCE.fullmatch(line)
        if fence is None:
            lines.append(line)
        elif info is None and not (fence["mark"][0] == "`" and "`" in fence["info"]):
            yield Piece(text="\n".join(lines), info=None)
            mark, indent, info, lines = fence["mark"], fence["indent"], fence["info"].strip(), []
        elif info is not None and _closes(fence, mark, indent):
            yield Piece(text="\n".join(lines), info=info, indent=indent)
            indent, info, lines = "", None, []
        else:
            lines.append(line)
    yield Piece(text="\n".join(lines), info=info, indent=indent, closed=info is None)


def _closes(fence: re.Match[str], mark: str, indent: str) -> bool:
    inside = len(fence["indent"].expandtabs(_DEEPER)) - len(indent.expandtabs(_DEEPER)) >= _DEEPER
    return fence["mark"].startswith(mark) and not fence["info"].strip() and not inside
