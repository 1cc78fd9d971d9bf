"""An address as it may be said: in messages, on pages, in a server's records. A URL's query may have a token in it."""

from __future__ import annotations

import re

from storage.wording import first_line

_QUERY = re.compile(r"(https?://[^\s?'\"<>]*)\?[^\s'\"<>]+", re.IGNORECASE)
"""Of the web alone: elsewhere `?` is a pattern's."""


def shown(text: str) -> str:
    """Return a text, or a URL, with `…` in place of every query."""
    return _QUERY.sub(r"\1?…", text)


def said_of(url: str, error: BaseException) -> str:
    """Return the first line of what a library says of a URL, or its class where it says nothing, without the URL's query."""
    said = shown(first_line(error))
    _, _, query = url.partition("?") if shown(url) != url else ("", "", "")
    return said.replace(query, "…") if query else said
