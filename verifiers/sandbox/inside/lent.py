"""Lists, dicts and sets that the tests have given to the code, which keeps them, and changes them in a later call.

In one process the tests would see that. Here the code has a copy once the call has ended. It isn't written back, since the code
could then change what it is no longer asked about, such as what the answer is compared with. But right code isn't failed for it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from verifiers.sandbox.inside.codec import MUTABLE, parts_of

MOST = 64
"""So many are looked at."""
REFERENCES = 4
"""To an argument in the midst of an answer: by the two lists of them, what it is an argument in, and the call that counts."""


class Borrower:
    """The code's end: what it keeps."""

    def __init__(self) -> None:
        self.kept: list[tuple[int, Any, list[Any]]] = []
        """Number, container, and its parts when the call ended."""
        self.count = 0

    def look(self, containers: Sequence[Any], before: Sequence[list[Any]], result: Any) -> list[list[int]]:
        """Return which containers of a call are kept, and which of those that were kept have changed; nothing where none."""
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
        return [new, changed] if new or changed else []

    def stop(self) -> None:
        """Look at nothing any more."""
        self.kept, self.count = [], MOST


class Lender:
    """The tests' end."""

    def __init__(self) -> None:
        self.lent: list[Any] = []
        self.changed: list[Any] = []
        self.shown: list[tuple[Any, list[Any]]] = []

    def note(self, containers: list[Any], kept: Any, changed: Any) -> None:
        """Take what the code says. Raise where it can't be."""
        if len(self.lent) + len(kept) > MOST or min([0, *kept, *changed]) < 0:
            raise ValueError("malformed")
        self.lent += [containers[index] for index in kept]
        self.changed += [self.lent[number] for number in changed]

    def show(self, part: Any) -> None:
        """Note a part of an object, which the tests may change instead of the object's own."""
        if type(part) in MUTABLE and len(self.shown) < MOST:
            self.shown.append((part, parts_of(part)))

    def is_written(self) -> bool:
        """Return whether the tests have changed such a part."""
        return not all(_same(parts_of(part), parts) for part, parts in self.shown)

    def is_seen(self) -> bool:
        """Return whether the tests still have one that the code has changed."""
        own = 3  # the two lists, and what asks
        return any(sys.getrefcount(self.changed[index]) > own for index in range(len(self.changed)))


def _same(now: list[Any], before: list[Any]) -> bool:
    return len(now) == len(before) and all(map(_is, now, before))


def _is(a: Any, b: Any) -> bool:
    return a is b
