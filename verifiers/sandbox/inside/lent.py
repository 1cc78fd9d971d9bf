"""Lists, dicts and sets that one side has given to the other, and still holds: what is changed later in one process only.

Those of the tests that the code keeps, and changes in a later call, aren't written back: the code could then change what it is no
longer asked about, such as what the answer is compared with. But right code isn't failed for it.

Those of the code that it holds on to (`return self.items`) are, if the tests change what they got: before the next question, so
that code which should have given a copy finds its own changed, as it would in one process.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
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
SCALARS = {bool, int, float, str, bytes}
LARGE = 1 << 20
"""So many parts of what is too large for that are remembered."""
OPERATION, STALE = "write", "is_changed"
ALONE, ANSWER = 3, 3
"""References to a container that nothing but an answer holds, while they are counted; more where it is all of the answer."""
_out: list[tuple[Any, list[Any]]] = []
"""Containers of the code's, and the parts of each that the tests know of."""
_numbers: dict[int, int] = {}
_written: set[int] = set()


def held(containers: Sequence[Any], first: int, result: Any) -> list[list[int]]:
    """Return which containers of an answer the code holds on to, from a first one on, and their numbers. At the code's end."""
    found: list[list[int]] = []
    inner: set[int] = set()
    for index in range(first, len(containers)):
        more = sys.getrefcount(containers[index]) > ALONE + ANSWER * (containers[index] is result)
        if (more or id(containers[index]) in inner) and len(found) < MOST:
            number = _number(containers[index])
            if number < MOST:
                inner.update(id(part) for part in parts_of(containers[index]) if type(part) in MUTABLE)
            found.append([index, number])
    return found


def _number(container: Any) -> int:
    """Return the number by which the tests may write a container back; MOST where they may not."""
    number = _numbers.get(id(container), len(_out))
    if number == MOST or len(container) > PARTS:
        return MOST
    known = (container, parts_of(container))
    if number == len(_out):
        _numbers[id(container)] = number
        _out.append(known)
    _out[number] = known
    return number


def write(number: int, container: Any) -> bool:
    """Give a container of the code's what the tests have put into theirs, unless the code has changed it since they got it."""
    if is_changed(number):
        return False
    mine = _out[number][0]
    refill(mine, parts_of(container))
    _out[number] = (mine, parts_of(mine))
    _written.add(id(mine))
    return True


def is_changed(number: int) -> bool:
    """Return whether the code has changed a container since the tests got it, or wrote it."""
    container, parts = _out[number]
    return not _same(parts_of(container), parts)


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
        self.held: dict[int, tuple[Any, list[Any]]] = {}
        """What the code holds on to, by its number: what stands for it here, and the parts that it has there."""
        self.more: list[tuple[Any, list[Any], int]] = []
        """What is too large or too much to be looked at each time, or was given once more since: the same, and its number."""
        self.rewritten: set[int] = set()
        """Numbers of what was written."""
        self.unclear = False
        """Whether something could not be written as it would be in one process."""

    def note(self, containers: list[Any], kept: Any, changed: Any, held: Any) -> None:
        """Take what the code says. Raise where it can't be."""
        if len(self.lent) + len(kept) > MOST or min([0, *kept, *changed, *map(min, held)]) < 0 or len(held) > 2 * MOST:
            raise ValueError("malformed")
        self.lent += [containers[index] for index in kept]
        self.changed += [self.lent[number] for number in changed]
        for index, number in held:
            self._hold(containers[index], number)

    def _hold(self, container: Any, number: int) -> None:
        known = self.held.get(number)
        if known and known[0] is container:
            return
        self._drop()
        parts = parts_of(container)
        if len(container) > PARTS or number >= MOST or (known is None and len(self.held) >= HELD):
            self._remember(container, parts, MOST)
            return
        self.held[number] = (container, parts)
        if known and not self._is_free(known):
            self.unclear |= number in self.rewritten and not _alike(parts, known[1])  # in one process, both would be the same
            self._remember(*known, number)

    def _remember(self, container: Any, parts: list[Any], number: int) -> None:
        if len(self.more) < MOST and sum(len(each[1]) for each in self.more) + len(parts) <= LARGE:
            self.more.append((container, parts, number))

    def _drop(self) -> None:
        """Forget what nobody here can change any more."""
        for index in reversed(range(len(self.more))):
            if self._is_free(self.more[index]):
                container, parts, _ = self.more.pop(index)
                self.unclear |= not _same(parts_of(container), parts)

    def _is_free(self, each: tuple[Any, ...]) -> bool:
        own = 2  # by the tuple, and what asks
        return sys.getrefcount(each[0]) <= own + sum(other is each[0] for other in (*self.lent, *self.changed))

    def write_back(self, ask: Callable[..., Any]) -> bool:
        """Have the code find what the tests have changed since it was last asked. Return whether there was something."""
        found = []
        for number in [*self.held]:
            if not _same(parts_of(self.held[number][0]), self.held[number][1]):
                found.append(number)
            elif self._is_free(self.held[number]):
                del self.held[number]
        if found:
            self._drop()
        for number in found:
            container = self.held[number][0]
            parts = parts_of(container)
            self.held[number] = (container, parts)
            self.rewritten.add(number)
            twice = any(other == number for *_, other in self.more)
            done = _try(ask, OPERATION, number, container)
            self.unclear |= done is not True or twice or any(type(part) in MUTABLE for part in parts)
        return bool(found)

    def is_written(self, ask: Callable[..., Any]) -> bool:
        """Return whether the tests have changed any of that which the code doesn't find as it would in one process.

        Or the code has, since the tests wrote it.
        """
        self.write_back(ask)
        return (
            self.unclear
            or any(not _same(parts_of(part), parts) for part, parts, _ in self.more)
            or any(_try(ask, STALE, number) is not False for number in self.rewritten & self.held.keys())
        )

    def is_seen(self) -> bool:
        """Return whether the tests still have one that the code has changed."""
        own = 3  # the two lists, and what asks
        return any(
            sys.getrefcount(self.changed[index])
            > own + sum(each[0] is self.changed[index] for each in (*self.held.values(), *self.more))
            for index in range(len(self.changed))
        )


def _alike(now: list[Any], before: list[Any]) -> bool:
    """Return whether parts are the same, without asking any of them."""
    pairs = zip(now, before, strict=False)
    return len(now) == len(before) and all(a is b or (type(a) is type(b) and type(a) in SCALARS and a == b) for a, b in pairs)


def _try(ask: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return ask(*arguments)
    except BaseException:  # noqa: BLE001 - something can't cross, or the code's end fails
        return None


def _same(now: list[Any], before: list[Any]) -> bool:
    return len(now) == len(before) and all(map(_is, now, before))


def _is(a: Any, b: Any) -> bool:
    return a is b


OPERATIONS.update({OPERATION: write, STALE: is_changed})
