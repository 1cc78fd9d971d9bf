"""Lists, dicts, sets and the like: their parts, and what they and tuples have in them."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from operator import is_
from typing import Any

MUTABLE = {list, set, dict, OrderedDict, Counter, defaultdict, deque, bytearray}
WRAPS = (tuple, frozenset, BaseException)
"""What may have containers in it without being one. It has them for as long as it is held, by a reference of its own."""
arguments_of: Any = vars(BaseException)["args"].__get__
"""Of an exception, whatever its class makes of that."""


def refill(container: Any, parts: list[Any]) -> Any:
    """Give a container new content, in place."""
    kind = type(container)
    if kind is list or kind is bytearray:
        container[:] = parts
    elif kind is deque:
        container.clear()
        container.extend(parts)
    elif kind is set:
        container.clear()
        container.update(parts)
    elif kind in MUTABLE:
        container.clear()
        for key, value in zip(parts[::2], parts[1::2], strict=True):
            container[key] = value
    else:
        raise ValueError("malformed")
    return container


def parts_of(container: Any) -> list[Any]:
    """Return the flat list of a container's parts, to see later whether it has changed."""
    return [part for pair in [*container.items()] for part in pair] if isinstance(container, dict) else list(container)


def inside(container: Any) -> set[int]:
    """Return the addresses of the containers that are parts of one, or of a tuple or an exception (in it)."""
    found = set()
    left = [container] if issubclass(type(container), WRAPS) else parts_of(container)
    while left:
        part = left.pop()
        kind = type(part)
        if kind in MUTABLE:
            found.add(id(part))
        elif issubclass(kind, WRAPS):
            left += arguments_of(part) if issubclass(kind, BaseException) else part
    return found


def same(now: list[Any], before: list[Any]) -> bool:
    """Return whether parts are the same, without asking any of them."""
    return len(now) == len(before) and all(map(is_, now, before))


def empty(container: Any) -> Any:
    """Return an empty one of its kind."""
    if type(container) is deque:
        return deque(maxlen=container.maxlen)
    return defaultdict(container.default_factory) if type(container) is defaultdict else type(container)()


def swapped(part: Any, doubles: dict[int, Any]) -> Any:
    """Return a part with others in the place of some containers."""
    if isinstance(part, tuple):
        parts = [swapped(each, doubles) for each in part]
        return part if same(parts, [*part]) else tuple.__new__(type(part), parts)
    return doubles.get(id(part), part)
