"""Lists, dicts and sets that one side has given to the other, and still holds: what is changed later in one process only.

Those of the tests that the code keeps, and changes in a later call, aren't written back: the code could then change what it is no
longer asked about, such as what the answer is compared with. But right code isn't failed for it.

Those of the code that it holds on to (`return self.items`) are, if the tests change what they got: before the next question, so
that code which should have given a copy finds its own changed, as it would in one process.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from verifiers.sandbox.inside.codec import MUTABLE, parts_of, refill
from verifiers.sandbox.inside.operations import OPERATIONS

MOST = 64
"""So many are looked at."""
REFERENCES = 4
"""To an argument in the midst of an answer: by the two lists of them, what it is an argument in, and the call that counts."""


HELD = 16
"""So many of the code's are looked at before each question, of so many parts at most."""
PARTS = 256
OPERATION = "write"
ALONE, ANSWER = 3, 3
"""References to a container that nothing but an answer holds, while they are counted; more where it is all of the answer."""
_out: list[Any] = []
_numbers: dict[int, int] = {}
_written: set[int] = set()


def held(containers: Sequence[Any], first: int, result: Any) -> list[list[int]]:
    """Return which containers of an answer the code holds on to, from a first one on, and their numbers. At the code's end."""
    found = []
    inner: set[int] = set()
    for index in range(first, len(containers)):
        more = sys.getrefcount(containers[index]) > ALONE + ANSWER * (containers[index] is result)
        if (more or id(containers[index]) in inner) and len(_out) < MOST:
            inner.update(map(id, parts_of(containers[index])))
            found.append([index, _number(containers[index])])
    return found


def _number(container: Any) -> int:
    number = _numbers.setdefault(id(container), len(_out))
    if number == len(_out):
        _out.append(container)
    return number


def write(number: int, container: Any) -> None:
    """Give a container of the code's what the tests have put into theirs."""
    parts = parts_of(container)
    refill(_out[number], parts)
    _written.add(id(_out[number]))


class Borrower:
    """The code's end: what it keeps."""

    def __init__(self) -> None:
        self.kept: list[tuple[int, Any, list[Any]]] = []
        """Number, container, and its parts when the call ended."""
        self.count = 0

    def look(self, containers: Sequence[Any], before: Sequence[list[Any]], result: Any) -> list[Any]:
        """Return which containers of a call are kept, which of those before have changed, and the numbers of the former."""
        if _written:
            self.kept = [
                (number, container, parts_of(container) if id(container) in _written else parts)
                for number, container, parts in self.kept
            ]
            _written.clear()
        changed = [number for number, container, parts in self.kept if not _same(parts_of(container), parts)]
        if changed:
            self.kept = [each for each in self.kept if each[0] not in changed]
        new = []
        inner: set[int] | None = None
        for index in range(len(containers)):
            more = sys.getrefcount(containers[index]) - REFERENCES
            if more > 0 and containers[index] is not result and self.count < MOST:
                container = containers[index]
                if inner is None:
                    inner = {id(part) for parts in before for part in parts}
                if more > (id(container) in inner):  # its own container's parts are listed in `before`, too
                    new.append(index)
                    self.kept.append((self.count, container, parts_of(container)))
                    self.count += 1
        return [new, changed, [[index, _number(containers[index])] for index in new]] if new or changed else []

    def stop(self) -> None:
        """Look at nothing any more."""
        self.kept, self.count = [], MOST


class Lender:
    """The tests' end."""

    def __init__(self) -> None:
        self.lent: list[Any] = []
        self.changed: list[Any] = []
        self.held: list[tuple[int, Any, list[Any]]] = []
        """What the code holds on to: its number, what stands for it here, and the parts that it has there."""
        self.more: list[tuple[Any, list[Any]]] = []
        """What is too large, or too much, to be looked at each time."""
        self.unclear = False
        """Whether what was written holds containers itself, which are others now, or stands here more than once."""

    def note(self, containers: list[Any], kept: Any, changed: Any, held: Any) -> None:
        """Take what the code says. Raise where it can't be."""
        if len(self.lent) + len(kept) > MOST or min([0, *kept, *changed, *map(min, held)]) < 0:
            raise ValueError("malformed")
        self.lent += [containers[index] for index in kept]
        self.changed += [self.lent[number] for number in changed]
        for index, number in held:
            parts = parts_of(containers[index])
            if len(self.held) < HELD and len(parts) <= PARTS:
                self.held.append((number, containers[index], parts))
            elif len(self.more) < MOST:
                self.more.append((containers[index], parts))

    def written(self) -> list[tuple[int, Any]]:
        """Return what the tests have changed since it was last asked, of what the code holds on to."""
        found = {number: container for number, container, parts in self.held if not _same(parts_of(container), parts)}
        if found:
            same = [number for number, container, _ in self.held if container is not found.get(number, container)]
            self.unclear |= bool(same) or any(type(part) in MUTABLE for each in found.values() for part in parts_of(each))
            self.held = [(number, container, parts_of(container)) for number, container, _ in self.held]
        return [*found.items()]

    def is_written(self) -> bool:
        """Return whether the tests have changed any of that which the code doesn't find as it would in one process."""
        return self.unclear or not all(_same(parts_of(part), parts) for part, parts in self.more)

    def is_seen(self) -> bool:
        """Return whether the tests still have one that the code has changed."""
        own = 3  # the two lists, and what asks
        return any(
            sys.getrefcount(self.changed[index]) > own + sum(each[1] is self.changed[index] for each in self.held)
            for index in range(len(self.changed))
        )


def _same(now: list[Any], before: list[Any]) -> bool:
    return len(now) == len(before) and all(map(_is, now, before))


def _is(a: Any, b: Any) -> bool:
    return a is b


OPERATIONS[OPERATION] = write
