"""Lends jails to threads. They start when they are needed, are used again, and are closed when Python ends."""

from __future__ import annotations

import atexit
import itertools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from verifiers.sandbox.bubblewrap import Kind
from verifiers.sandbox.jail import Jail


class Place:
    """A processor, and the jails of the samples that run on it."""

    def __init__(self, processor: int) -> None:
        self.processor = processor
        self.jails: list[Jail | None] = [None, None]


class Pool:
    """At most `slots` samples run at a time; further threads wait, outside of their time limit."""

    def __init__(self, slots: int | None = None, kind: Kind | None = None) -> None:
        self.kind = kind
        self.slots = slots or max(2, len(os.sched_getaffinity(0)))
        self.processors = sorted(os.sched_getaffinity(0))
        self.reset()
        atexit.register(self.close)
        os.register_at_fork(after_in_child=self.reset)

    def reset(self) -> None:
        """Forget all jails: after a fork they are the parent's."""
        self.free = threading.BoundedSemaphore(self.slots)
        self.places = [Place(processor) for processor in itertools.islice(itertools.cycle(self.processors), self.slots)]
        self.lock = threading.Lock()
        self.closed = False

    @property
    def idle(self) -> list[Jail]:
        """The jails that nobody has borrowed."""
        return [jail for place in self.places for jail in place.jails if jail]

    @contextmanager
    def lend(self, count: int) -> Iterator[tuple[list[Jail], int]]:
        """Lend jails, and a processor to run the sample on: its two processes take turns, and twice as fast on one processor.

        Whoever borrows jails takes what must not be used again out of the list. The first is always for code, the second for
        tests: what judges a sample never shares a jail with what another sample may have left running.
        """
        with self.free:
            with self.lock:
                place = self.places.pop()
            try:
                for number in range(count):
                    place.jails[number] = place.jails[number] or Jail(self.kind)
                jails = [jail for jail in place.jails[:count] if jail]
                lent = tuple(jails)
                try:
                    yield jails, place.processor
                finally:
                    place.jails = [None if jail in lent and jail not in jails else jail for jail in place.jails]
            finally:
                with self.lock:
                    self.places.append(place)
                    closed = self.closed
                if closed:
                    self._empty(place)

    def close(self) -> None:
        """Throw all idle jails out, and those that are lent once they come back."""
        with self.lock:
            self.closed = True
            places = list(self.places)
        for place in places:
            self._empty(place)

    def _empty(self, place: Place) -> None:
        with self.lock:
            jails = place.jails
            place.jails = [None, None]
        for jail in jails:
            if jail:
                jail.kill()
