"""What the code reads from the keyboard: the tests' `input` and `sys.stdin`, where these have replaced them.

The code asks, and the tests' process answers with a line, or with what the tests' own `input` returns. Without a replacement, and
while nobody waits for the code, the input is at its end.
"""

from __future__ import annotations

import builtins
import io
import sys
from typing import Any

from verifiers.sandbox.inside.peer import Peer

OPERATION = "typed"
_INPUT, _STDIN = builtins.input, sys.stdin


def answer(asks_input: Any, prompt: Any) -> list[Any]:
    """Return ["given", what the tests' own `input` returns] or ["line", the next line of the tests' standard input]."""
    if type(asks_input) is not bool or type(prompt) not in {str, type(None)}:
        raise TypeError("the code may not ask for that")
    if asks_input and builtins.input is not _INPUT:
        return ["given", builtins.input() if prompt is None else builtins.input(prompt)]
    if sys.stdin is _STDIN or sys.stdin is None:
        return ["line", ""]
    return ["line", sys.stdin.readline()]


class Keyboard(io.TextIOBase):
    """The code's standard input."""

    encoding = "utf-8"

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.buffer = io.BytesIO()

    def readable(self) -> bool:
        """Say yes."""
        return True

    def fileno(self) -> int:
        """Return the descriptor, at which there is nothing."""
        return 0

    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]  # noqa: ARG002 - lines are short
        """Return the next line; an empty text at the end."""
        return str(self._ask(asks_input=False, prompt=None)[1])

    def read(self, size: int | None = -1, /) -> str:  # noqa: ARG002
        """Return all that is left."""
        return "".join(iter(self.readline, ""))

    def input(self, prompt: object = None, /) -> Any:
        """Read a line as Python's `input` does."""
        text = None if prompt is None else str(prompt)
        kind, value = self._ask(asks_input=True, prompt=text)
        if kind == "given":
            return value
        sys.stdout.write(text or "")
        if not value:
            raise EOFError("EOF when reading a line")
        return value.removesuffix("\n")

    def _ask(self, *, asks_input: bool, prompt: str | None) -> Any:
        waited_for = self.peer.serving and self.peer.busy
        return self.peer.ask(OPERATION, asks_input, prompt) if waited_for else ["line", ""]
