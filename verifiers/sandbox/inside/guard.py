"""The test process's end of the conversation: it trusts nothing that comes from the solution's end.

A solution may answer a call with an object of its own making. Two ways to cheat with one are closed here:

* *Answers that are made to fit.* `abs(candidate(x) - 0.5) < 1e-6` shows the 0.5 to whatever `candidate` returned. So no data of
  the tests is shown to an object of the code in an operation whose outcome is data: an order, `in`, arithmetic, `.startswith(…)`.
  Objects of a class whose name the tests themselves spell as a class (`Vector(1, 2) * 3`) may do arithmetic, but what comes of it
  must be an object again, and is then not turned into a number.
* *Reading the tests through an object of theirs.* A callback may be called, and that is all: `callback.__globals__` is refused.
"""

from __future__ import annotations

import socket
import sys
import types
from collections.abc import Callable
from typing import Any, NoReturn

from verifiers.sandbox.inside.mirror import RemoteMeta
from verifiers.sandbox.inside.operations import BINARY, IN_PLACE, ORDER, UNARY
from verifiers.sandbox.inside.peer import Peer

TESTS = "__main__"
ARITHMETIC = {*BINARY, *IN_PLACE}
PREDICATES = {
    name
    for kind in (str, bytes, set, dict, list, int, float)
    for name in dir(kind)
    if name.startswith(("is", "startswith", "endswith"))
}
PRIVATE = (types.FrameType, types.CodeType, types.TracebackType, types.ModuleType, types.CellType)
FUNCTIONS = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.MethodWrapperType,
    types.WrapperDescriptorType,
)
OFFERED = {
    *ARITHMETIC, *ORDER, *UNARY, "call", "attr", "setattr", "len", "iter", "next", "reversed", "getitem", "setitem", "delitem",
    "contains", "eq", "hash", "bool", "str", "repr", "format", "enter", "exit",
}  # fmt: skip


def is_remote(value: Any) -> bool:
    """Whether a value stands for something of the solution process."""
    return isinstance(type(value), RemoteMeta) or isinstance(value, RemoteMeta)


class Guard(Peer):
    """The test process's end."""

    functions_in = False

    def __init__(self, sock: socket.socket, fail: Callable[[str], NoReturn], output_bytes: int) -> None:
        super().__init__()
        self.sock = sock
        self.fail = fail
        self.output_left = output_bytes
        self.module: Any = None
        self.calls = 0

    def broken(self, why: str) -> NoReturn:
        """End the tests here and now."""
        # Not an exception: the tests might swallow it and go on without the code.
        self.fail(
            "the code ended its process during the tests" if why.startswith("gone") else f"the code's process sent what is {why}"
        )

    def show(self, text: str) -> None:
        """Print what the code printed, up to a limit."""
        self.output_left -= len(text)
        if self.output_left < 0:
            self.fail("output limit")
        sys.stdout.write(text)

    # What the tests may ask.

    def request(self, operation: str, *arguments: Any) -> Any:
        """Ask on behalf of a proxy, unless the question would give away what the answer should be."""
        data = [argument for argument in arguments if not is_remote(argument)]
        remote = [argument for argument in arguments if is_remote(argument)]
        subject = remote[0]
        trusted = not isinstance(subject, RemoteMeta) and subject._trusted_
        if operation in ARITHMETIC and data:
            if not trusted:
                raise TypeError(f"unsupported operand of {operation}: an object of the code's own class {type(subject).__name__}")
            result = self.ask(operation, *arguments)
            if not is_remote(result):
                raise TypeError(f"{type(subject).__name__} and data under {operation} gave data, which the sandbox doesn't trust")
            object.__setattr__(result, "_tainted_", True)
            return result
        if operation in ORDER and data and not (trusted and not subject._tainted_):
            raise TypeError(f"data can't be ordered against an object of the code's own class {type(subject).__name__}")
        if operation == "contains" and data and not trusted and not isinstance(subject, RemoteMeta):
            item = arguments[1]
            return any(part is item or part == item for part in iter(subject))
        if operation in UNARY and not isinstance(subject, RemoteMeta):
            if subject._tainted_:
                raise TypeError(f"an object that came of data isn't turned into a number by {operation}")
            return self.steady(operation, arguments)
        if (
            operation == "attr"
            and not trusted
            and subject is not self.module
            and arguments[1] in PREDICATES
            and is_remote(subject)
        ):
            raise AttributeError(f"{type(subject).__name__} is no built-in type: .{arguments[1]} isn't asked")
        self.calls += operation in {"call", "setattr", "setitem"}
        return self.ask(operation, *arguments)

    def steady(self, operation: str, arguments: tuple[Any, ...]) -> Any:
        """Ask what number an object is, once until the next call.

        An object that is another number each time it is asked could satisfy an equation without solving it.
        """
        answers = object.__getattribute__(arguments[0], "_answers_") or {}
        key = (self.calls, operation, repr(arguments[1:]))
        if key not in answers:
            answers = {key: self.ask(operation, *arguments)}
            object.__setattr__(arguments[0], "_answers_", answers)
        return answers[key]

    # What the solution may ask.

    def export(self, value: Any) -> None:
        """Refuse to refer to what leads to the text of the tests."""
        if isinstance(value, PRIVATE):
            raise TypeError(f"a {type(value).__name__} of the tests isn't shown to the code")

    def is_ours(self, value: Any) -> bool:
        """Whether a value has been shown to the solution by the tests."""
        if isinstance(value, type):
            return value in self.offered or (value in self.class_numbers and value.__module__ == TESTS)
        return id(value) in self.numbers and self.objects.get(self.numbers[id(value)]) is value

    def allow(self, operation: str, arguments: list[Any]) -> None:
        """Refuse all but what the solution needs of a callback or an object that it was given."""
        target = arguments[0]
        if operation not in OFFERED:
            raise TypeError(f"the code may not {operation} an object of the tests")
        if not self.is_ours(target) and not (operation in ARITHMETIC and self.is_ours(arguments[1])):
            raise TypeError(f"the code may not {operation} that")
        if operation in {"attr", "setattr"}:
            self.allow_attribute(operation, target, arguments[1])

    @staticmethod
    def allow_attribute(operation: str, target: Any, name: Any) -> None:
        """Refuse attributes that lead further than the object itself."""
        of_tests = (target if isinstance(target, type) else type(target)).__module__ == TESTS
        if type(name) is not str or (name[:1] == "_" and name not in {"__name__", "__qualname__"}):
            raise AttributeError("the code may not read that of the tests")
        if isinstance(target, FUNCTIONS):
            if operation != "attr" or name[:1] != "_":
                raise AttributeError(f"'function' object has no attribute {name!r}")
        elif not of_tests and (operation != "attr" or not callable(getattr(target, name))):
            raise AttributeError("the code may not read that of the tests")
