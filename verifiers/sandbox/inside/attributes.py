"""Which attributes of the tests' objects the code may read or set: none that leads further, and none that decides a test."""

from __future__ import annotations

import types
from typing import Any

from verifiers.sandbox.inside.operations import BINARY, IN_PLACE, ORDER, UNARY
from verifiers.sandbox.inside.shim import PRELUDE, TESTS, Broken

ASSERTIONS = {
    f"assert_{name}"
    for what in ("called", "awaited")
    for name in (what, f"not_{what}", f"{what}_once", f"{what}_with", f"{what}_once_with")
} | {"assert_any_call", "assert_has_calls", "assert_any_await", "assert_has_awaits"}
"""What mocks assert."""
OFFERED = {
    *BINARY, *IN_PLACE, *ORDER, *UNARY, "call", "attr", "setattr", "len", "iter", "next", "reversed", "getitem", "setitem",
    "delitem", "contains", "eq", "hash", "bool", "str", "repr", "format", "enter", "exit", "data",
}  # fmt: skip
"""What it may do with them at all."""
OURS = {TESTS, PRELUDE}
FUNCTIONS = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.MethodWrapperType,
    types.WrapperDescriptorType,
)
DESCRIBING = {"__name__", "__qualname__", "__doc__", "__module__"}
"""What `functools.wraps` takes over from a function."""
HOLDING = {"unittest.mock", "SimpleNamespace", "Namespace"}
"""The module of mocks, and classes: the attributes of their objects are there to be read."""
LISTENING = {"set_trace_callback", "set_authorizer", "set_progress_handler"}
"""Methods of a database that would show the code what the tests ask of it."""


def allow(operation: str, target: Any, name: Any) -> None:
    """Refuse attributes that lead further than the object itself."""
    of_tests = (target if isinstance(target, type) else type(target)).__module__ in OURS
    if type(name) is not str or (name[:1] == "_" and name not in DESCRIBING):
        raise AttributeError("the code may not read that of the tests")
    if _judges(operation, target, name):
        raise AttributeError(f"the code may not {operation} {name!r}, which is there for the tests")
    if operation == "setattr" and of_tests and _is_method(target, name):
        raise Broken(f"the code replaces the method {name} of the tests, which decides what becomes of them")
    holds = type(target).__module__ in HOLDING or type(target).__name__ in HOLDING
    if isinstance(target, FUNCTIONS):
        if operation != "attr" or name[:1] != "_":
            raise AttributeError(f"'function' object has no attribute {name!r}")
    elif not of_tests and not holds and (operation != "attr" or not callable(getattr(target, name))):
        raise AttributeError("the code may not read that of the tests")


def _is_method(target: Any, name: str) -> bool:
    kinds = (target if isinstance(target, type) else type(target)).__mro__
    found = next((vars(kind)[name] for kind in kinds if name in vars(kind)), None)
    return isinstance(found, types.FunctionType | classmethod | staticmethod)


def _judges(operation: str, target: Any, name: str) -> bool:
    """Whether an attribute decides what becomes of a test: what a mock counts or asserts, and what a `TestCase` can do."""
    kinds = (target if isinstance(target, type) else type(target)).__mro__
    own = [vars(kind)[name] for kind in kinds if kind.__module__.startswith("unittest.") and name in vars(kind)]
    if operation == "setattr":
        is_test = name.startswith("test") and any(kind.__name__.startswith("Test") for kind in kinds)
        return bool(own) or is_test
    return name in LISTENING or any(isinstance(value, types.FunctionType) for value in own)
