"""Lists, dicts and sets that the tests and the code both hold, as they would in one process: each end has its own of each.

A container of which one end holds on to what it has sent gets a number. Every message then says what its sender has changed in
such containers since the last one, and the receiver's are filled anew, in place: what happens between two messages is seen by
nobody in one process either. One that crosses again crosses by its number, so that it is the same one over there. Where one end
is the last to hold its own, it says so, and both forget it.

The code's word changes no container that the tests have made, once the question is answered in which the code got it:
`decode(encode(x)) == x` could then be had by emptying both. What it holds and changes later is another one from then on. Where
the tests have still got theirs, they are run once more, and theirs is then changed as well (`whole`).
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from verifiers.sandbox.inside.codec import Packer, Unpacker
from verifiers.sandbox.inside.containers import VIEWS, Met, empty, inside, is_viewed, parts_of, refill, same, swapped

MOST, PARTS = 512, 1 << 14
"""So many containers, and parts of them all, are compared before each message."""
LOOSE, LARGE = 4096, 1 << 20
"""So many more are compared once, at the end. Of yet more, none is: who should have copied does so nowhere."""
WORK, TELLING = 1 << 24, 16
"""When so many parts have been compared, one that is told counting for several, the rest is compared at the end as well."""
ALONE, ANSWER = 3, 3
"""References to a container that nothing but an answer holds, while they are counted; more where it is all of the answer."""
FREE = 2
"""To one that only its entry holds: by that, and the call that counts."""
SETTLE = "settle"


class Entry:
    """A container here, and its parts when both ends had the same."""

    __slots__ = ("container", "era", "ours", "parts")

    def __init__(self, container: Any, *, ours: bool = False, era: int = 0) -> None:
        self.container = container
        self.parts = parts_of(container)
        self.ours = ours
        """Whether the tests have made it."""
        self.era = era
        """The question of theirs in which it was last given to the code."""

    def is_changed(self) -> bool:
        """Whether it was changed here."""
        return not same(parts_of(self.container), self.parts)

    def is_free(self) -> bool:
        """Whether nobody else here holds it."""
        return sys.getrefcount(self.container) <= FREE and not (type(self.container) in VIEWS and is_viewed(self.container))


class Shared:
    """One end's."""

    of_tests = False
    """Whether this is the tests' end."""

    def __init__(self) -> None:
        self.entries: dict[int, Entry] = {}
        self.numbers: dict[int, int] = {}
        """By their addresses."""
        self.loose: dict[int, Entry] = {}
        """What is compared at the end."""
        self.count = 0
        self.era = 0
        """How many questions the tests have asked that weren't part of another, where that is counted."""
        self.work = 0
        self.exchanges: list[tuple[Sequence[Any], Sequence[list[Any]]]] = []
        """The containers in each question of the tests that isn't answered yet, and their parts when it came."""
        self.upper: list[int] = []
        """Which of the innermost one's have got a number since the last message."""
        self.copies = False
        """Whether there are copies at one end, which don't follow what is changed."""
        self.amiss = False
        """Whether both ends have changed one at the same time."""
        self._pending: list[Callable[[], None]] = []

    def begin(self, depth: int) -> None:
        """Do what is to be done before a question is packed, in the midst of so many."""

    def give(self, numbers: Iterable[int]) -> None:
        """Note what the other end is given again."""

    # What a message says.

    def tell(self, packer: Packer, new: Sequence[int]) -> list[Any]:
        """Return what a message says of containers; empty where that is nothing. `new`: which of its own the sender holds.

        It holds once `commit` is called, for it may turn out that the message can't be sent.
        """
        self._pending = []
        if not (new or self.entries or self.upper or packer.containers.lasting):
            return []
        gone: list[int] = []
        down: list[int] = []
        changed: list[list[Any]] = []
        first, total = len(packer.containers), 0
        for number, entry in self.entries.items():
            now = parts_of(entry.container)
            total += len(now)
            if not same(now, entry.parts):
                self.work += TELLING * len(now)
                if (content := packer.attempt(entry.container)) is None:
                    down.append(number)
                else:
                    changed.append([number, content])
                    self._pending.append(partial(setattr, entry, "parts", now))
            if entry.is_free():
                gone.append(number)
        self.work += total
        inner = range(first, len(packer.containers))
        tracked = self._fits(packer.containers, new := [*new, *inner], total)
        if not tracked:
            new = self._loose(packer.containers, new)
        if self.work > WORK or (inner and not tracked):  # what is in one that is numbered has a number as well
            down = [*self.entries]
        copied = self._loose(packer.containers.copied, packer.containers.lasting, len(down) + len(new))
        add, forget = partial(self._add_all, packer.containers, new), partial(self.forget, gone, down)
        self._pending += [add, partial(self._add_all, packer.containers.copied, copied), forget, self.upper.clear]
        self.copies |= bool(copied)
        told = [gone, changed, new, down, copied, [*self.upper]]
        return told if any(told) else []

    def _fits(self, containers: Sequence[Any], new: Sequence[int], total: int) -> bool:
        """Whether so much more can be compared before each message."""
        size = total + sum(len(containers[index]) for index in new)
        return len(self.entries) + len(new) <= MOST and size <= PARTS and self.work <= WORK

    def _loose(self, containers: Sequence[Any], new: Iterable[int], more: int = 0) -> list[int]:
        """Return which can be compared at the end, as negative numbers. `more`: how many others may be, of the same message."""
        chosen: list[int] = []
        left = LARGE - sum(len(entry.parts) for entry in self.loose.values())
        for index in new:
            left -= len(containers[index])
            if left < 0 or len(self.loose) + more + len(chosen) >= LOOSE:
                break
            chosen.append(~index)
        return chosen

    def commit(self) -> None:
        """Take what was told for what both ends know."""
        for step in self._pending:
            step()
        self._pending = []

    def add(self, container: Any, *, loose: bool, ours: bool = False) -> None:
        """Give a container its number. Both ends do so in the same order."""
        entry = Entry(container, ours=ours, era=self.era)
        if loose:
            self.loose[self.count] = entry
        elif id(container) not in self.numbers:
            self.entries[self.count] = entry
            self.numbers[id(container)] = self.count
        self.count += 1

    def _add_all(self, containers: Sequence[Any], new: Iterable[int]) -> None:
        for index in new:
            self.add(containers[index if index >= 0 else ~index], loose=index < 0, ours=self.of_tests)

    def forget(self, gone: Iterable[int], down: Iterable[int]) -> None:
        """Drop what one end doesn't hold any more, and compare others only at the end."""
        for number in down:
            if (entry := self.entries.get(number)) is not None and len(self.loose) < LOOSE:
                self.loose[number] = entry
        for number in (*gone, *down):
            if (entry := self.entries.pop(number, None)) is not None:
                self.numbers.pop(id(entry.container), None)

    # What the other end says.

    def hear_upper(self, told: list[Any]) -> None:
        """Give a number to what the sender has numbered before it packed anything else. Raise where the message is malformed."""
        *_, upper = told
        for index in upper:
            self._heard(self.exchanges[-1][0], index, ours=True)

    def hear(self, told: list[Any], unpacker: Unpacker, ours: int) -> None:
        """Take what a message says, when its value was read. The first so many of its containers were made here."""
        gone, changed, new, down, copied, _ = told
        self.before(number for number, _ in changed)
        for number, content in changed:
            self.change(self.entries[number], unpacker.content(content))
        for index in new:
            self._heard(unpacker.containers, index, ours=(index if index >= 0 else ~index) < ours)
        self.copies |= bool(copied)
        for index in copied:
            self._heard(unpacker.containers.copied, min(index, -1), ours=False)
        self.forget(gone, down)

    def _heard(self, containers: Sequence[Any], index: int, *, ours: bool) -> None:
        if len(self.entries if index >= 0 else self.loose) >= (MOST if index >= 0 else LOOSE):
            raise ValueError("malformed")
        self.add(containers[index if index >= 0 else ~index], loose=index < 0, ours=ours)

    def before(self, numbers: Iterable[int]) -> None:
        """Prepare for changes."""

    def change(self, entry: Entry, parts: list[Any]) -> None:
        """Do here what was done over there."""
        if entry.is_changed():  # by a thread, while the other end had the floor
            self.amiss = True
        refill(entry.container, parts)
        entry.parts = parts_of(entry.container)


class Lent(Shared):
    """The tests' end."""

    of_tests = True

    def __init__(self) -> None:
        super().__init__()
        self.whole = False
        """Whether the code changes what the tests have made as it would in one process, for as long as it holds it."""
        self.parted = False
        """Whether it has changed what the tests have still got, and not theirs."""
        self.heard = 0
        """How often it has changed something."""

    def begin(self, depth: int) -> None:
        """Note where a question isn't part of another."""
        self.era += not depth

    def give(self, numbers: Iterable[int]) -> None:
        """Note that the tests give the code some of what both hold, and what is in it."""
        left = [self.entries[number] for number in numbers if number in self.entries]
        while left:
            entry = left.pop()
            if entry.ours and entry.era != self.era:
                entry.era = self.era
                inner = (self.numbers.get(each) for each in inside(entry.container))
                left += [self.entries[number] for number in inner if number is not None]

    def is_stale(self, entry: Entry) -> bool:
        """Whether the tests have made a container, and haven't given it to the code in the present question."""
        return entry.ours and entry.era != self.era and not self.whole

    def before(self, numbers: Iterable[int]) -> None:
        """Put others in the place of what the tests have made and the code may not change."""
        changed = [self.entries[number] for number in numbers]
        self.heard += len(changed)
        old = self._part([entry for entry in changed if self.is_stale(entry)])
        old.reverse()
        while old:  # what contains others comes first, and takes its references to them along
            one = old.pop()
            self.parted |= sys.getrefcount(one) > FREE

    def _part(self, stale: list[Entry]) -> list[Any]:
        """Put others in the place of stale ones, and of what contains them. Return the old ones, in their order."""
        if not stale:
            return []
        holders: dict[int, list[Entry]] = defaultdict(list)
        for entry in self.entries.values():
            self.work += len(entry.parts)
            for each in inside(entry.container):
                holders[each].append(entry)
        met = {id(entry.container): entry for entry in stale}
        left = [*stale]
        while left:
            for entry in holders.get(id(left.pop().container), ()):
                if id(entry.container) not in met:
                    met[id(entry.container)] = entry
                    left.append(entry)
        return self._double(met)

    def _double(self, met: dict[int, Entry]) -> list[Any]:
        doubles = {address: empty(entry.container) for address, entry in met.items() if self.is_stale(entry)}
        old: list[Any] = []
        for number, entry in self.entries.items():
            if (address := id(entry.container)) not in met:
                continue
            parts = [swapped(part, doubles) for part in parts_of(entry.container)]
            if (double := doubles.get(address)) is not None:
                old.append(entry.container)
                del self.numbers[address]
                self.numbers[id(double)] = number
                entry.container, entry.ours = double, False
            refill(entry.container, parts)
            entry.parts = parts_of(entry.container)
        return old

    def is_dirty(self) -> bool:
        """Whether the tests have changed something that the code doesn't know of yet."""
        return any(entry.is_changed() for entry in self.entries.values())

    def differs(self, ask: Callable[..., Any]) -> bool:
        """Return whether something differs from what it would be in one process, as far as anybody can tell."""
        if not self.entries and not self.loose:
            return self.amiss
        for number in [*self.loose]:  # what contains others comes first, and takes its references to them along
            if self.loose[number].is_free() and not self.loose[number].is_changed():
                del self.loose[number]
        written = [number for number, entry in self.loose.items() if entry.is_changed()]
        heard = self.heard
        try:
            differ = ask(SETTLE, written, [number for number in self.loose if number not in written])
        except Exception:  # noqa: BLE001 - nobody knows
            return True
        return differ is not False or self.amiss or self.heard > heard


def held(containers: Met, first: int, result: Any) -> list[int]:
    """Return which containers of an answer its sender holds on to, from a first one on. Note what else it does."""
    found: list[int] = []
    wraps, copied, inner = containers.wraps, containers.copied, set[int]()
    for index in range(containers.asked, len(copied)):
        if sys.getrefcount(copied[index]) > ALONE + ANSWER * (copied[index] is result) or is_held_view(copied, index):
            containers.lasting = [*containers.lasting, index]
            inner |= inside(copied[index])
    for index in range(len(wraps)):
        if sys.getrefcount(wraps[index]) > ALONE + ANSWER * (wraps[index] is result):
            inner |= inside(wraps[index])
    for index in range(first, len(containers)):
        more = sys.getrefcount(containers[index]) > ALONE + ANSWER * (containers[index] is result)
        if more or id(containers[index]) in inner:
            found.append(index)
            if len(found) > LOOSE:
                break
            if index + 1 < len(containers):
                inner |= inside(containers[index])
    return found


def is_held_view(values: Sequence[Any], index: int) -> bool:
    """Whether one of some values is a view whose dict is held elsewhere."""
    return type(values[index]) in VIEWS and is_viewed(values[index])
