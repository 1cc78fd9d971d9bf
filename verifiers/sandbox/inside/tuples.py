"""Named tuples cross by value, since tests compare them to plain tuples. Each end has a class of its own for them."""

from __future__ import annotations

import collections
from typing import Any

_WRITTEN = (
    "__annotations__",
    "__annotate_func__",
    "__annotations_cache__",
    "__firstlineno__",
    "__orig_bases__",
    "__static_attributes__",
)
"""What Python notes of a `class` statement, by its version."""
_PLAIN = frozenset(vars(collections.namedtuple("_PLAIN", ()))).union(_WRITTEN)  # noqa: PYI024
Key = tuple[str, tuple[str, ...]]


class Tuples:
    """The classes of named tuples that have crossed."""

    def __init__(self) -> None:
        self.classes: dict[Key, Any] = {}

    def key_of(self, value: Any) -> Key | None:
        """Return what names the class of a named tuple that has no methods of its own; None for any other value."""
        kind = type(value)
        fields = getattr(kind, "_fields", None)
        if (
            not isinstance(value, tuple)
            or type(fields) is not tuple
            or kind.__bases__ != (tuple,)
            or set(vars(kind)) - _PLAIN - {*fields}
        ):
            return None
        key = (kind.__name__, fields)
        return key if self.classes.setdefault(key, kind) is kind else None

    def make(self, name: Any, fields: Any, parts: list[Any]) -> Any:
        """Return a named tuple of this end's class. Raises ValueError or TypeError on what can't be one."""
        key = (name, tuple(fields))
        if any(field in {"count", "index"} and callable(part) for field, part in zip(key[1], parts, strict=False)):
            raise ValueError("a method of all tuples may not be one of the code's")
        if key not in self.classes:
            self.classes[key] = collections.namedtuple(name, fields)  # noqa: PYI024 - made at run time
        return self.classes[key](*parts)
