"""The text of the code, for what looks into it: `inspect.getsource`, a traceback's lines, a program that reads its own file."""

from __future__ import annotations

import types

READING = ("__file__", "argv")
"""One of which stands in code that opens its own file. Others are spared a file, after which the folder must be cleaned."""


class Written:
    """A module's `__loader__`, which is asked where there is no file."""

    def __init__(self, source: str) -> None:
        self.source = source

    def get_source(self, _name: str) -> str:
        """Return the text."""
        return self.source


def show(module: types.ModuleType, name: str, source: str) -> None:
    """Have a module tell its text, and the name of its file."""
    vars(module).update(__file__=name, __loader__=Written(source))
    if any(word in source for word in READING):
        with open(name, "w", encoding="utf-8", newline="", errors="surrogatepass") as file:  # noqa: PTH123 - pathlib isn't warm
            file.write(source)
