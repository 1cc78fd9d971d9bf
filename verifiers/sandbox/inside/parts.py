"""What an object of the code's consists of, looked at here, so that it needn't be believed what it has in it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import Any

from verifiers.sandbox.inside.mirror import RemoteMeta, is_remote

PREDICATES = {
    name
    for kind in (str, bytes, set, dict, list, int, float)
    for name in dir(kind)
    if name.startswith(("is", "startswith", "endswith"))
}
SEARCHES = {"count", "index"}
"""Methods of lists and texts that are shown what the answer should have in it, and answer with data."""
DIFFERENCES = {"difference", "intersection", "symmetric_difference", "union"}
"""Likewise of sets: `not found.difference(right)`."""
SHOWN: Mapping[str, Any] = {
    **dict.fromkeys(PREDICATES | SEARCHES, object),
    **dict.fromkeys(DIFFERENCES, (list, tuple, set, frozenset, dict)),
}
"""What of data each of these is shown: a `union(1, 2)` is no set's."""
UNUSUAL: Mapping[str, Any] = dict.fromkeys(("find", "rfind", "rindex", "partition", "rpartition"), (str, bytes))
"""Methods of texts that other classes have too."""
BYTE = 256
_SETS = {"copy", "difference", "intersection", "isdisjoint", "issubset", "issuperset", "symmetric_difference", "union"}
_CONTENT = {"items", "keys", "values"}
_LOOKS: dict[tuple[type, ...], Collection[str]] = {
    (set, frozenset): _SETS,
    (str,): {name for name in dir(str) if name[0] != "_"},
    (bytes,): {name for name in dir(bytes) if name[0] != "_"},
    (list, tuple, deque): {"copy", "count", "index"},
    (dict,): {"copy", "get", *_CONTENT},
}


def searching(name: str, subject: Any, method: Any) -> Callable[..., Any]:
    """Return a method that looks for data here, among the parts of an object."""

    def search(*arguments: Any, **named: Any) -> Any:
        if named or not arguments or any(is_remote(argument) or callable(argument) for argument in arguments):
            return method(*arguments, **named)
        return getattr(_like(arguments[0], list(subject)), name)(*arguments)

    return search


def looks(kind: type) -> Collection[str]:
    """Return the methods of a built-in class that change nothing, and whose arguments or answers may show what is right."""
    return next((names for base, names in _LOOKS.items() if issubclass(kind, base)), ())


def here(name: str, kind: type, data: Callable[[], Any], asked: Callable[[], Any]) -> Callable[..., Any]:
    """Return a method that is done here with what an object has as one of a built-in class, wherever it is given data.

    Without any, it may be a method of the code's own: that is asked, but for what a dict has in it.
    """

    def do(*arguments: Any, **named: Any) -> Any:
        given = (*arguments, *named.values())
        if all(is_remote(each) or callable(each) for each in given) and name not in _CONTENT:
            return asked()(*arguments, **named)
        return getattr(kind, name)(data(), *arguments, **named)

    return do


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
