"""What the code may ask of the tests: a callback may be called, and what the code was given may be looked at, and that is all.

What right code never does (making a mock say that it was called) is refused as an error. Whatever else is refused is a limit of
the sandbox: the code gets an error as well, and may go on, but a test that fails after it decides nothing.
"""

from __future__ import annotations

import types
from typing import Any, NoReturn

from verifiers.sandbox.inside import attributes, console, held, limits, shown
from verifiers.sandbox.inside.attributes import OURS, Private
from verifiers.sandbox.inside.codec import CodecError
from verifiers.sandbox.inside.operations import BINARY, IN_PLACE
from verifiers.sandbox.inside.peer import Peer
from verifiers.sandbox.inside.shim import Broken

ARITHMETIC = {*BINARY, *IN_PLACE}
ATTRIBUTES = {"attr", "setattr", "delattr", shown.OPERATION, *attributes.STORING}
PRIVATE = (types.FrameType, types.CodeType, types.TracebackType, types.ModuleType, types.CellType)
AWAITED = {"await", "aiter", "anext", "aenter", "aexit"}


class Gate(Peer):
    """The test process's end, as far as it answers."""

    def __init__(self) -> None:
        super().__init__()
        self.trouble = ""
        """Why nothing is decided, whatever comes of the tests."""
        self.private = Private()
        self.limit = ("", 0)
        """Why nothing is decided where they fail, and on which line of theirs the code was called that met with it."""

    def export(self, value: Any) -> None:
        """Refuse to refer to what leads to the text of the tests."""
        if isinstance(value, PRIVATE):
            raise CodecError(f"a {type(value).__name__} of the tests isn't shown to the code")

    def is_ours(self, value: Any) -> bool:
        """Whether a value has been shown to the solution by the tests."""
        if isinstance(value, type):
            return value in self.offered or (value in self.class_numbers and value.__module__ in OURS)
        return id(value) in self.numbers and self.objects.get(self.numbers[id(value)]) is value

    def allow(self, operation: str, arguments: list[Any]) -> None:
        """Refuse all but what the solution needs of a callback or an object that it was given."""
        if operation == console.OPERATION:
            return
        target = arguments[0]
        if operation == limits.OPERATION:
            self.trouble = f"a limit of the sandbox: {target if type(target) is str else ''}"
        elif operation in AWAITED:  # the tests' own loop runs already
            self.trouble = f"the code awaits {limits.name_of(target)}, which the sandbox can't"
        elif not self.is_ours(target) and not (operation in BINARY and self.is_ours(arguments[1])):
            self.refuse(f"the sandbox doesn't let the code do {operation!r} with {limits.name_of(target)}")
        else:
            try:
                why = attributes.refusal(operation, arguments, self.private)
            except Broken as error:
                self.trouble = str(error)
                raise
            if not why and operation == shown.OPERATION and arguments[1] == "__dict__":
                hidden = self.private.hidden(target)
                if hidden:
                    self.note(f"the sandbox doesn't show the code {hidden[0]!r} of {limits.name_of(target)}")
                arguments.append(hidden)
            if why:
                self.refuse(why, kind=AttributeError if operation in ATTRIBUTES else TypeError)

    def refuse(self, why: str, *, kind: type[Exception] = TypeError) -> NoReturn:
        """Refuse what right code may need: then a test that fails decides nothing."""
        self.note(why)
        raise kind(why)

    def note(self, why: str) -> None:
        """Note what the sandbox can't."""
        self.limit = (why, next(held.lines(), 0))

    def unanswered(self, error: Exception) -> None:
        """Note that an answer can't be sent: nobody is wrong."""
        self.note(f"the sandbox can't hand the code what it asks for: {error}")
