"""What one end tells the other of a class that it hasn't met: its bases, and which special methods it has."""

from __future__ import annotations

from typing import Any

from verifiers.sandbox.inside.errors import exception_name
from verifiers.sandbox.inside.operations import DATA, METHODS, PREDICATES, data_of, like_of, looks


def is_told(base: type) -> bool:
    """Whether the other side should know of a base class."""
    return exception_name(base) is not None or (base is not object and base.__module__ not in {"builtins", "typing", "abc"})


def describe(number: int, kind: type, bases: list[Any]) -> list[Any]:
    """Return what the other side must know of a class."""
    data = data_of(kind)
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__[:-1]):
        if data is None or not issubclass(data, base):  # else it is the same there
            found |= {name: value for name, value in vars(base).items() if name in METHODS or name == "__hash__"}
    methods = [name for name, value in found.items() if (value is None) == (name == "__hash__")]
    if data is not None:
        own = kind.__mro__[: kind.__mro__.index(data)]
        methods += [data.__name__] + ["__hash__"] * (kind.__hash__ is None)
        methods += [f".{name}" for name in looks(data) - PREDICATES if any(name in vars(base) for base in own)]
    elif like := like_of(kind):
        methods.append(f"={like.__name__}")
    elif any(base in DATA for base in kind.__mro__):
        methods.append("~")
    return [number, kind.__name__, kind.__module__ if type(kind.__module__) is str else "", bases, methods]
