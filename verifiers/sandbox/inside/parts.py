"""What an object of the code's consists of, looked at here, so that it needn't be believed what it has in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from verifiers.sandbox.inside.mirror import RemoteMeta, is_remote
from verifiers.sandbox.inside.operations import PREDICATES
from verifiers.sandbox.inside.shim import Broken

SEARCHES = {"count", "index"}
"""Methods of lists and texts that are shown what the answer should have in it, and answer with data."""
DIFFERENCES = {"difference", "intersection", "symmetric_difference", "union"}
"""Likewise of sets: `not found.difference(right)`."""
SHOWN: Mapping[str, Any] = {
    **dict.fromkeys(PREDICATES | SEARCHES, object),
    **dict.fromkeys(DIFFERENCES, (list, set, frozenset, dict)),
}
"""What of data each of these is shown: a `union(1, 2)` is no set's."""
UNUSUAL: Mapping[str, Any] = dict.fromkeys(
    ("find", "rfind", "rindex", "partition", "rpartition", "replace", "removeprefix", "removesuffix"), (str, bytes)
)
"""Methods of texts that other classes have too."""
MAKERS = ("from", "of", "parse", "identity", "zero", "one", "unit", "empty", "make", "create", "new", "build")
"""How the names of methods begin by which a class makes an object: `Matrix.identity(2)`."""
BYTE = 256
CONTENT = {"items", "keys", "values"}


def searching(name: str, subject: Any, method: Any) -> Callable[..., Any]:
    """Return a method that looks for data here, among the parts of an object. Raise Broken where these are no data."""

    def search(*arguments: Any, **named: Any) -> Any:
        if named or not arguments or any(is_remote(argument) or callable(argument) for argument in arguments):
            return method(*arguments, **named)
        parts = [part for part in subject]  # noqa: C416 - a list made at once would let it have other parts than its length says
        found = _like(arguments[0], parts)
        if any(map(is_remote, parts)):
            raise Broken(f"the tests ask .{name} of a {type(subject).__name__} that the code has answered with")
        return getattr(found, name)(*arguments)

    return search


def here(name: str, kind: type, data: Callable[[], Any], asked: Callable[[], Any]) -> Callable[..., Any]:
    """Return a method that is done here with what an object has as one of a built-in class, wherever it is given data.

    Without any, it may be a method of the code's own: that is asked, but for what a dict has in it.
    """

    def do(*arguments: Any, **named: Any) -> Any:
        given = (*arguments, *named.values())
        if all(is_remote(each) or callable(each) for each in given) and name not in CONTENT:
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
