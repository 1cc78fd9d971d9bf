"""Assets: the page's own HTML, style and scripts, and the charts' library, as they stand beside this file."""

from __future__ import annotations

import functools
from pathlib import Path

FOLDER = Path(__file__).parent
SCRIPTS = ("dom", "theme", "charts", "tables", "sections", "rights", "data", "filters", "list", "reader", "search", "main")
"""The page's scripts, in their order. They share one scope of their own."""


@functools.cache
def template() -> tuple[str, str]:
    """Return the page's markup before and after where data and scripts go."""
    before, after = _read("assets/page.html").split("<!-- data -->\n")
    return before, after


@functools.cache
def style() -> str:
    """Return the page's style sheet."""
    return _read("assets/page.css")


@functools.cache
def script() -> str:
    """Return the page's own script."""
    parts = "\n".join(_read(f"assets/{name}.js") for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}}})();\n'


@functools.cache
def charts() -> str:
    """Return the charts' library, which `make charts` builds; `vendor/echarts.json` says which version."""
    return _read("vendor/echarts.min.js")


def _read(name: str) -> str:
    # As it stands: a browser hashes what it reads, and a line end that was changed on the way would stop the script.
    return (FOLDER / name).read_bytes().decode()
