"""The pages of the documentation, and the fenced blocks in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_FENCE = re.compile(r'^```(?P<language>\w*)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^```$', re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block."""

    language: str
    """What stands behind the fence."""
    title: str | None
    """The file that it is, where it says so."""
    text: str
    """What is in it."""


def blocks(page: Path) -> Iterator[Block]:
    """Yield a page's fenced blocks in order."""
    for found in _FENCE.finditer(page.read_text(encoding="utf-8")):
        yield Block(language=found["language"], title=found["title"], text=found["text"])
