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
        self.places = list(itertools.islice(itertools.cycle(self.processors), self.slots))
        self.lock = threading.Lock()
        self.idle: list[Jail] = []
        self.closed = False

    @contextmanager
    def lend(self, count: int) -> Iterator[tuple[list[Jail], int]]:
        """Lend jails, and a processor to run the sample on: its two processes take turns, and twice as fast on one processor.

        Whoever borrows jails takes what must not be used again out of the list.
        """
        with self.free:
            with self.lock:
                place = self.places.pop()
                jails = [self.idle.pop() for _ in range(min(count, len(self.idle)))]
            try:
                while len(jails) < count:
                    jails.append(Jail(self.kind))
                yield jails, place
            finally:
                with self.lock:
                    self.places.append(place)
                    kept = [] if self.closed else jails
                    self.idle += kept
                for jail in [] if kept else jails:
                    jail.kill()

    def close(self) -> None:
        """Throw all idle jails out, and those that are lent once they come back."""
        with self.lock:
            self.closed = True
            jails, self.idle = self.idle, []
        for jail in jails:
            jail.kill()
