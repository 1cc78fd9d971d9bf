"""The special methods of mirrored classes: each asks the other process, or is done with what an object has as data."""

from __future__ import annotations

import types
from collections.abc import Callable, Generator
from typing import Any

from verifiers.sandbox.inside.operations import BINARY, DATA, DESCRIPTOR, IMMUTABLE, IN_PLACE, METHODS, ORDER, UNARY


def _unary(operation: str) -> Callable[..., Any]:
    return lambda self, *arguments: self._world_.request(operation, self, *arguments)


def _order(operation: str) -> Callable[..., Any]:
    return lambda self, other: self._world_.truth(operation, self, other)


def _reflected(operation: str) -> Callable[..., Any]:
    return lambda self, other: self._world_.request(operation, other, self)


def _call(self: Any, *arguments: Any, **named: Any) -> Any:
    return self._world_.request("call", self, arguments, named or None)  # a dict that is empty would cost more than the call


def _exit(self: Any, kind: Any, value: Any, _traceback: Any) -> Any:
    return self._world_.request("exit", self, kind, value)


def _aexit(self: Any, kind: Any, value: Any, _traceback: Any) -> Any:
    return self._world_.request("aexit", self, kind, value)


def _await(self: Any) -> Generator[Any, Any, Any]:
    yield from ()
    return self._world_.request("await", self)


def _copy(self: Any) -> Any:
    return self._world_.request("copy", self)


def _of_data(method: str) -> Callable[..., Any]:
    """Return a method that is done here, with what an object has as one of a built-in class: nothing is shown to it."""

    def call(self: Any, *arguments: Any) -> Any:
        given = [self._world_.given(each) for each in arguments]
        return getattr(self._data_, method)(self._world_.data(self), *given)

    return call


def bind(self: Any, target: Any, _kind: Any = None) -> Any:
    """Return a method: what a function is in a class."""
    return self if target is None else types.MethodType(self, target)


class Initial:
    """Of a class of the tests: its `__init__`, as the code sees it."""

    def __get__(self, target: Any, kind: Any) -> Any:
        try:
            function = kind._world_.request("attr", kind, "__init__")
        except AttributeError:  # it has none of its own
            function = object.__init__
        return function if target is None else types.MethodType(function, target)


def _send(self: Any, _value: Any) -> Any:
    raise StopIteration(self._world_.request("await", self))


def _throw(_self: Any, kind: Any, value: Any = None, _traceback: Any = None) -> Any:
    raise value or kind


SPECIAL: dict[str, Callable[..., Any]] = {
    **{method: _unary(operation) for operation, method in UNARY.items()},
    **{f"__{name}__": _unary(name) for name in (*BINARY, *IN_PLACE)},
    **{f"__r{name}__": _reflected(name) for name in BINARY},
    **{f"__{name}__": _order(name) for name in ORDER},
    **{f"__{name}__": _unary(name) for name in ("iter", "next", "reversed", "getitem", "setitem", "delitem", "bytes")},
    **{f"__{name}__": _unary(name) for name in ("enter", "aiter", "anext", "aenter", "fspath")},
    "__len__": lambda self: self._world_.count(self),
    "__bool__": lambda self: self._world_.truth("bool", self),
    "__contains__": lambda self, value: self._world_.truth("contains", self, value),
    "__call__": _call,
    **{f"__{name}__": _unary(name) for name in DESCRIPTOR},
    "__exit__": _exit,
    "__aexit__": _aexit,
    "__await__": _await,
}
LIGHT = {f"__{name}__" for name in ("len", "iter", "next", "reversed", "getitem", "setitem", "delitem", *IN_PLACE)}
"""What an object that may be large, and may change, is asked for itself."""
COROUTINE = {"send": _send, "throw": _throw, "close": lambda _self: None}


def special(methods: set[str]) -> dict[str, Any]:
    """Return the special methods of a mirrored class."""
    body: dict[str, Any] = {method: SPECIAL[method] for method in methods & METHODS}
    if "__await__" in body:
        body |= COROUTINE
    if "__hash__" in methods:
        body["__hash__"] = None
    body["_own_"] = frozenset(method[1:] for method in methods if method[0] == ".")
    if "__next__" not in methods:  # itertools.tee copies an iterator that says how
        body["__copy__"] = _copy
    if base := next((kind for kind in DATA if kind.__name__ in methods), None):
        body |= _body_of_data(base, methods)
    elif like := next((kind for kind in DATA if f"={kind.__name__}" in methods), None):
        body["_like_"] = like
    body["_derived_"] = "_data_" in body or "_like_" in body or "~" in methods
    return body


def _body_of_data(base: type, own: set[str]) -> dict[str, Any]:
    """Return what a class has of a built-in one, beside the methods of its own."""
    here = {method for method in METHODS if hasattr(base, method)} - own
    asked = set() if base in IMMUTABLE else LIGHT & here
    body: dict[str, Any] = {"_data_": base}
    if "__add__" in here:  # sequences have no __radd__
        body["__radd__"] = lambda self, other: other + self._world_.data(self)
    return body | {method: SPECIAL[method] for method in asked} | {method: _of_data(method) for method in here - asked}
