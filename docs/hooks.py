"""What MkDocs is told beside mkdocs.yml: pages made from the code, the navigation, and links that leave docs/."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from generate import PAGES
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(?<!\\)\]\((?P<target>[^)\s:#]+)(?P<anchor>#[^)\s]*)?\)")
FENCE = re.compile(r"^(```|~~~)")
CHANGES = "changelog.md"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Leave out of the navigation what isn't there, name the files of its patterns, and add the pages that it forgot."""
    docs = Path(config.docs_dir)
    there = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")} | {*PAGES, CHANGES}
    named: set[str] = set()
    config.nav = _resolved(config.nav or [], there, named)
    forgotten = sorted(there - named)
    if forgotten:
        config.nav.append({"More": forgotten})
    return config


def _resolved(entries: list[Any], there: set[str], named: set[str]) -> list[Any]:
    found: list[Any] = []
    for entry in entries:
        if isinstance(entry, str):
            pages = sorted(page for page in there if Path(page).match(entry) and page.count("/") == entry.count("/"))
            named.update(pages)
            found += pages
        else:
            ((title, inner),) = entry.items()
            inside = _resolved([inner] if isinstance(inner, str) else inner, there, named)
            if inside:
                found.append({title: inside[0] if isinstance(inner, str) else inside})
    return found


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from the code, and the changelog."""
    for place, make in PAGES.items():
        files.append(File.generated(config, place, content=make()))
    files.append(File.generated(config, CHANGES, content=(ROOT / "CHANGELOG.md").read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let a link that leaves docs/ lead to the source."""
    del files
    folder = posixpath.dirname(page.file.src_uri)
    # The changelog stands at the root: its links begin there.
    base = "" if page.file.src_uri == CHANGES else posixpath.join("docs", folder)

    def outside(match: re.Match[str]) -> str:
        target, anchor = match["target"], match["anchor"] or ""
        place = posixpath.normpath(posixpath.join(base, target))
        if place.startswith("docs/"):
            return f"]({posixpath.relpath(place, posixpath.join('docs', folder))}{anchor})"
        return f"]({config.extra['source']}{place}{anchor})"

    return "\n".join(LINK.sub(outside, line) if not fenced else line for line, fenced in lines(markdown))


def lines(markdown: str) -> Iterator[tuple[str, bool]]:
    """Yield each line, and whether it stands in a fenced block."""
    fenced = False
    for line in markdown.split("\n"):
        mark = bool(FENCE.match(line.lstrip()))
        yield line, fenced or mark
        fenced ^= mark
