"""Lists, dicts, sets and the like: their parts, and what they and tuples have in them."""

from __future__ import annotations

import gc
import sys
from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterable
from operator import is_
from typing import Any

MUTABLE = {list, set, dict, OrderedDict, Counter, defaultdict, deque, bytearray}
KEYS: type = type({}.keys())
VALUES: type = type({}.values())
ITEMS: type = type({}.items())
VIEWS = {KEYS: "k", VALUES: "v", ITEMS: "i"}
MAPPINGS = {dict, Counter, defaultdict}
"""What they are views of."""
WRAPS = (tuple, frozenset, BaseException, *VIEWS)
"""What may have containers in it without being one. It has them for as long as it is held, by a reference of its own."""
arguments_of: Any = vars(BaseException)["args"].__get__
"""Of an exception, whatever its class makes of that."""
VIEWED = 2
"""References to the dict that nothing but a view of it holds, while they are counted."""


class Met(list[Any]):
    """The containers of a message and of the question that it answers, and what else has to do with both ends' holding them."""

    def __init__(self, asked: Iterable[Any] = ()) -> None:
        super().__init__(asked)
        self.wraps: list[Any] = []
        """The tuples and exceptions that have containers in them, of the message alone."""
        self.copied: list[Any] = [*asked.copied] if type(asked) is Met else []
        """Views and arrays: where they are held at one end, at the other there is a copy of what they show."""
        self.asked = len(self.copied)
        """How many of those the question had."""
        self.lasting: Iterable[int] = ()
        """Which of them are held by who sends the message."""


class Snapshot:
    """What goes as a copy of a dict that the other side may not change."""

    def __init__(self, values: dict[str, Any], owner: Any) -> None:
        self.values = values
        self.owner = owner


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
        if kind is defaultdict and len(parts) % 2:  # its factory comes last
            *parts, factory = parts
            if factory is not None and not callable(factory):
                raise ValueError("malformed")
            container.default_factory = factory
        for key, value in zip(parts[::2], parts[1::2], strict=True):
            container[key] = value
    else:
        raise ValueError("malformed")
    return container


def parts_of(container: Any) -> list[Any]:
    """Return the flat list of a container's parts, to see later whether it has changed."""
    if isinstance(container, dict):
        flat = [part for pair in [*container.items()] for part in pair]
        return [*flat, container.default_factory] if type(container) is defaultdict else flat
    if VIEWS.get(type(container)) == "i":
        return [part for pair in list(container) for part in pair]
    return list(container.tobytes() if type(container) is array else container)


def viewed(view: Any) -> Any:
    """Return the dict that a view shows."""
    return gc.get_referents(view)[0]


def is_viewed(view: Any) -> bool:
    """Whether anything but a view of it holds the dict that it shows."""
    return sys.getrefcount(viewed(view)) > VIEWED


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
