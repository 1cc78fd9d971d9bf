"""What the sandbox itself can't do for the code or the tests. Right code may fail for it, so nothing is decided then."""

from __future__ import annotations

import ast
import builtins
import types
from collections.abc import Callable
from typing import Any

from verifiers.sandbox.inside.operations import OPERATIONS
from verifiers.sandbox.inside.shim import Broken

OPERATION = "limit"
"""By which the code's process says that something of the code's can't cross."""


class Limit(Broken):
    """Nobody is at fault: two processes can't do it."""


def name_of(target: Any) -> str:
    """Return what a user knows an object of the tests by."""
    if isinstance(target, type):
        return f"the class {target.__name__} of the tests"
    target = target.__func__ if isinstance(target, types.MethodType) else target
    if type(target) in {types.FunctionType, types.BuiltinFunctionType}:
        return f"the function {target.__name__} of the tests"
    return f"{_article(type(target).__name__)} of the tests"


def _article(name: str) -> str:
    return f"an {name}" if name[:1].lower() in "aeiou" else f"a {name}"


def in_c(error: BaseException, kinds: list[Any]) -> str:
    """Return why a TypeError is the sandbox's: a function in C was given the proxy of what derives from a built-in class."""
    if type(error) is not TypeError:
        return ""
    try:
        text = str(error)
    except BaseException:  # noqa: BLE001 - what it was made of may be the code's
        return ""
    name = next((kind.__name__ for kind in kinds if kind._derived_ and kind.__name__ in text), "")
    return (
        f"the sandbox can't hand an object of the code's class {name} to a function that wants a built-in one: {text}"
        if name
        else ""
    )


def of_functions(kinds: list[Any], statement: Callable[[], str]) -> str:
    """Return that a built-in function of the code's isn't the tests' own, where a statement names one without calling it."""
    if not any(kind.__name__ == types.BuiltinFunctionType.__name__ for kind in kinds):
        return ""
    try:
        nodes = [*ast.walk(ast.parse(statement()))]
    except SyntaxError:  # a line of a longer one
        return ""
    called = [node.func for node in nodes if isinstance(node, ast.Call)]
    named = [node.id for node in nodes if isinstance(node, ast.Name) and node not in called]
    found = next((name for name in named if isinstance(vars(builtins).get(name), types.BuiltinFunctionType)), "")
    return f"the sandbox doesn't know whether a built-in function that the code hands over is {found}" if found else ""


OPERATIONS[OPERATION] = lambda _why: None
