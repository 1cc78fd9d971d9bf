"""Functions of the standard library that look into what they are given: for what is the code's, the code's process calls them."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

from verifiers.sandbox.inside.guard import Guard
from verifiers.sandbox.inside.mirror import is_remote
from verifiers.sandbox.inside.operations import OPERATIONS

OPERATION = "standard"
FUNCTIONS = {
    "dataclasses": ("asdict", "astuple", "fields", "is_dataclass", "replace"),
    "inspect": (
        "signature", "getdoc", "isabstract", "isclass", "isfunction", "isgeneratorfunction", "iscoroutinefunction",
        "isasyncgenfunction", "iscoroutine", "getsource", "getsourcelines",
    ),
    "asyncio": ("iscoroutinefunction", "iscoroutine"),
    "typing": ("get_type_hints",),
}  # fmt: skip


def reach(peer: Guard, tests: str) -> None:
    """Have those of the modules that the tests name look into the code's objects."""
    for module in (importlib.import_module(name) for name in FUNCTIONS if name in tests):
        for name in FUNCTIONS[module.__name__]:
            setattr(module, name, _reaching(peer, module.__name__, name, getattr(module, name)))


def _reaching(peer: Guard, module: str, name: str, here: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(here)
    def call(target: Any, *arguments: Any, **named: Any) -> Any:
        if is_remote(target):
            return peer.ask(OPERATION, module, name, target, arguments, named)
        return here(target, *arguments, **named)

    return call


def _call(module: str, name: str, target: Any, arguments: Any, named: Any) -> Any:
    return getattr(importlib.import_module(module), name)(target, *arguments, **named)


OPERATIONS[OPERATION] = _call
