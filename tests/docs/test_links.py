"""Every relative link and anchor in the project's Markdown leads somewhere."""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT

sys.path.insert(0, str(DOCS))
from generate import PAGES

FILES = sorted(path for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md", "deploy/**/*.md") for path in ROOT.glob(pattern))
_FENCED = re.compile(r"^(```|~~~~?).*?^\1`*$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (?P<text>.*?)(?: \{: ?#(?P<id>\S+) ?\})?$", re.MULTILINE)


def prose(text: str) -> str:
    """Return a Markdown text without what stands in fenced blocks."""
    return _FENCED.sub("", text)


@cache
def text_of(path: Path) -> str | None:
    """Return a page's text; None where there is none, neither a file nor one that the site makes."""
    if path.is_file():
        return path.read_text(encoding="utf-8")
    made = PAGES.get(posixpath.relpath(path, DOCS))
    return made() if made else None


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and the site make them of plain headings."""
    found = set()
    for heading in _HEADING.finditer(prose(text)):
        words = re.sub(r"[^\w\- ]", "", heading["text"].replace("`", "").lower(), flags=re.UNICODE)
        found.add(heading["id"] or words.strip().replace(" ", "-"))
    return found


def broken(path: Path) -> Iterator[str]:
    """Yield the relative links of a page that lead nowhere."""
    text = path.read_text(encoding="utf-8")
    for link in _LINK.finditer(_CODE.sub("", prose(text))):
        target, _, anchor = link["target"].partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        place = Path(posixpath.normpath(path.parent / target)) if target else path
        if place.is_dir() and not anchor:
            continue
        there = text_of(place) if place.suffix == ".md" or not place.is_file() else ""
        if there is None or (anchor and anchor not in anchors(there)):
            yield link["target"]


def test_what_is_broken_is_found(tmp_path: Path) -> None:
    """A file that isn't there, an anchor that isn't there, and nothing else."""
    page = tmp_path / "page.md"
    page.write_text(
        "# A `b` c\n[1](#a-b-c) [2](no.md) [3](#no) [4](https://x.org/y) `[5](no)` [6](page.md#a-b-c)\n```\n[7](no)\n```\n"
    )
    assert list(broken(page)) == ["no.md", "#no"]


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])
def test_links(path: Path) -> None:
    """Each link of this page leads to a file, and to a heading of it."""
    assert not list(broken(path))
