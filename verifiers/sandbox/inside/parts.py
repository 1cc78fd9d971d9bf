"""What an object of the code's consists of, looked at here, so that it needn't be believed what it has in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from verifiers.sandbox.inside.mirror import RemoteMeta, is_remote

BYTE = 256


def searching(name: str, subject: Any, method: Any) -> Callable[..., Any]:
    """Return a method that looks for data here, among the parts of an object. Where it has no parts, it is asked."""

    def search(*arguments: Any, **named: Any) -> Any:
        no_data = any(is_remote(argument) or callable(argument) for argument in arguments)
        if named or not arguments or no_data or not has_parts(subject):
            return method(*arguments, **named)
        return getattr(_like(arguments[0], list(subject)), name)(*arguments)

    return search


def _like(wanted: Any, parts: list[Any]) -> Any:
    """Return parts as the text whose parts they are, where they are looked through for a text."""
    if type(wanted) is str and all(type(part) is str and len(part) == 1 for part in parts):
        return "".join(parts)
    if type(wanted) is bytes and all(type(part) is int and 0 <= part < BYTE for part in parts):
        return bytes(parts)
    return parts


def has(subject: Any, method: str) -> bool:
    """Whether an object's class, or one that it derives from, has a method."""
    return any(method in vars(kind) for kind in type(subject).__mro__)


def has_parts(subject: Any) -> bool:
    """Whether an object can be iterated. A class can't be, as a rule."""
    sequence = has(subject, "__getitem__") and has(subject, "__len__")
    return not isinstance(subject, RemoteMeta) and (sequence or has(subject, "__iter__"))


def length(subject: Any) -> int | None:
    """Return how many parts something says that it has; None for a class that has none."""
    try:
        return len(subject)
    except TypeError:
        if isinstance(subject, RemoteMeta):
            return None
        raise
