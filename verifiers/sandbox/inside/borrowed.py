"""The code's end of what both ends hold (`shared.py`)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from verifiers.sandbox.inside.containers import Met, inside
from verifiers.sandbox.inside.shared import ALONE, MOST, Shared, is_held_view

REFERENCES = 4
"""To an argument in the midst of an answer: by the two lists of them, what it is an argument in, and the call that counts."""


class Borrowed(Shared):
    """The code's end."""

    def begin(self, depth: int) -> None:  # noqa: ARG002
        """Have the tests find in what came with the innermost question what the code has made of it so far."""
        containers, before = self.exchanges[-1] if self.exchanges else ((), ())
        new = [index for index, container in enumerate(containers) if id(container) not in self.numbers]
        if new and self._fits(containers, new, sum(len(entry.parts) for entry in self.entries.values())):
            for index in new:
                self.add(containers[index], loose=False)
                self.entries[self.count - 1].parts = before[index]  # as the tests know it
            self.upper += new
            self.exchanges[-1] = ((), ())

    def kept(self, containers: Met, before: Sequence[list[Any]], result: Any, answered: Met) -> list[int]:
        """Return which arguments of a call the code keeps."""
        inner = self._wrapped(containers.wraps, before)
        for index in range(answered.asked):
            if sys.getrefcount(answered.copied[index]) > REFERENCES or is_held_view(answered.copied, index):
                answered.lasting = [*answered.lasting, index]
                inner |= inside(answered.copied[index])
        known: set[int] | None = None
        found = []
        for index in range(len(containers)):
            more = sys.getrefcount(containers[index]) - REFERENCES
            if id(containers[index]) in self.numbers:
                continue
            if id(containers[index]) in inner:
                found.append(index)
            elif more > 0 and containers[index] is not result:
                known = {id(part) for parts in before for part in parts} if known is None else known
                if more > (id(containers[index]) in known):  # its own container's parts are listed in `before`, too
                    found.append(index)
        return self._with_inner(containers, found) if found and len(containers) > 1 else found

    def _wrapped(self, wraps: Sequence[Any], before: Sequence[list[Any]]) -> set[int]:
        """Return the addresses of containers in the tuples and exceptions that the code keeps."""
        inner: set[int] = set()
        known: set[int] | None = None
        for index in range(len(wraps)):
            if (more := sys.getrefcount(wraps[index]) - ALONE) > 0:
                known = {id(part) for parts in before for part in parts} if known is None else known
                if more > (id(wraps[index]) in known):
                    inner |= inside(wraps[index])
        return inner

    def _with_inner(self, containers: Sequence[Any], found: list[int]) -> list[int]:
        """Return what is found and what is in it."""
        left = [index for index, container in enumerate(containers) if id(container) not in self.numbers]
        for index in found:
            if inner := inside(containers[index]):
                found += [other for other in left if id(containers[other]) in inner and other not in found]
            if len(found) > MOST:  # these are compared at the end
                break
        return found

    def settle(self, written: list[int], others: list[int]) -> bool:
        """Return whether the ends differ in what is compared at the end: in what the tests have changed, or else the code."""
        loose = self.loose
        return (
            self.amiss
            or any(not loose[number].is_free() for number in written if number in loose)
            or any(loose[number].is_changed() for number in others if number in loose)
        )
