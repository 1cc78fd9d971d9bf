"""Functions of the standard library that look into what they are given: for what is the code's, the code's process calls them."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

from verifiers.sandbox.inside.codec import DEPTH
from verifiers.sandbox.inside.guard import Guard
from verifiers.sandbox.inside.mirror import RemoteMeta, is_remote
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


TAKING = {
    "json": ("dump", "dumps"),
    "re": ("compile", "escape", "findall", "finditer", "fullmatch", "match", "search", "split", "sub", "subn"),
    "os.path": ("basename", "dirname", "exists", "isdir", "isfile", "join", "normpath", "split", "splitext"),
}
"""Functions that take an object of a class that derives from a built-in one for one of that, without asking it."""


def reach(peer: Guard, tests: str) -> None:
    """Have those of the modules that the tests name look into the code's objects."""
    for module in (importlib.import_module(name) for name in TAKING if name.partition(".")[0] in tests):
        for name in TAKING[module.__name__ if module.__name__ in TAKING else "os.path"]:
            setattr(module, name, _taking(peer, getattr(module, name)))
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


def _taking(peer: Guard, here: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(here)
    def call(*arguments: Any, **named: Any) -> Any:
        if any(kind._data_ for kind in peer.world.classes):
            arguments = tuple([_as_data(peer, each) for each in arguments])
            named = {name: _as_data(peer, each) for name, each in named.items()}
        return here(*arguments, **named)

    return call


def _as_data(peer: Guard, value: Any, depth: int = DEPTH) -> Any:
    """Return a value with what the code's objects in it have as built-in ones. Raise Broken where that came of data."""
    kind = type(value)
    if isinstance(kind, RemoteMeta) and value._data_:
        value = peer.content(value)
        kind = type(value)
    if kind in {list, tuple} and depth:
        return kind([_as_data(peer, each, depth - 1) for each in value])
    if kind is dict and depth:
        return {_as_data(peer, key, 0): _as_data(peer, each, depth - 1) for key, each in value.items()}
    return value


def _call(module: str, name: str, target: Any, arguments: Any, named: Any) -> Any:
    return getattr(importlib.import_module(module), name)(target, *arguments, **named)


OPERATIONS[OPERATION] = _call
