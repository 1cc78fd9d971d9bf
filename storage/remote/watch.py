"""The lease of a lake as somebody sees it who doesn't hold it: a worker, which may count what it puts while its run has the lake.

It only reads. Where a look finds the lease put again since the look before, nobody else can have it for as long as it is given,
from that earlier look on: whoever takes it over must have seen it unchanged for so long, and nobody saw it as it is now before
then. So no clock but the worker's own matters, and the store is asked a few times a minute.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from storage.errors import SetupError, StorageError
from storage.remote.lease import NAME, Held, now, taken_over
from storage.remote.objects import Objects

LOOKS = 10
"""In the time that the lease is given for."""
PATIENCE = 1.5
"""Times that it is given for, after which it isn't looked at any more, where the store was away or nothing was certain yet."""
EAGER_S = 0.5
"""Between two looks while it isn't certain."""
LEAST_S = 0.01
"""Between two looks."""


class Watch:
    """Whether one lease is still held."""

    def __init__(self, objects: Objects, lease: str, *, patient: Objects | None = None) -> None:
        """Look at a lake's lease once. Raise SetupError where it isn't the one of that name, StorageError where it can't be read.

        `patient`: the same store, for this first look.
        """
        self._objects, self._name = objects, lease
        self._ended = threading.Event()
        self.over: StorageError | None = None
        """Why nothing more may be counted."""
        began = now()
        held = _held(patient or objects)
        if held is None or held.name != lease:
            raise SetupError(
                f"{objects.url}: its lease isn't the build's: another machine has taken the lake over, or this process means "
                "another store by that name (AWS_ENDPOINT_URL)"
            )
        self._seconds, self._beat, self._looked = held.seconds, held.beat, began
        self._until = self._renewed = began
        self._patient = began + PATIENCE * held.seconds

    @property
    def sure(self) -> bool:
        """Whether the lease is held for certain, without asking the store."""
        return self.over is None and now() < self._until

    @contextlib.contextmanager
    def kept(self, lost: Callable[[StorageError], None]) -> Iterator[None]:
        """Look at it until this is left. `lost` hears, from another thread, when nothing more may be counted."""
        looking = threading.Thread(target=self._keep, args=(lost,), name="watch", daemon=True)
        looking.start()
        try:
            yield
        finally:
            self._ended.set()
            looking.join()

    def _keep(self, lost: Callable[[StorageError], None]) -> None:
        while not self._ended.wait(self._pause()):
            self._look()
            if self.over is not None:
                lost(self.over)
                return

    def _pause(self) -> float:
        pause = self._seconds / LOOKS
        if not self.sure:
            return min(EAGER_S, pause)
        return max(LEAST_S, min(pause, self._patient - now()))

    def _look(self) -> None:
        began = now()
        try:
            held = _held(self._objects)
        except StorageError as error:
            self._patient = max(self._patient, self._renewed + PATIENCE * self._seconds)  # its run may not reach the store either
            if now() >= self._patient:
                self.over = error
            return
        if held is None or held.name != self._name:
            self.over = taken_over(self._objects.url, self._seconds)
        elif held.free:
            self.over = StorageError(f"{self._objects.url}: the build has ended; what was paid for is in its outbox")
        elif held.beat != self._beat:
            self._until = self._looked + held.seconds
            # Before the end of certainty, so that what is in flight then counts yet; but not at once where the store was away.
            self._patient = max(self._until - held.seconds / LOOKS, began + held.seconds / 2)
            self._beat, self._renewed = held.beat, began
        elif began >= self._patient:
            self.over = StorageError(
                f"{self._objects.url}: the build doesn't renew its lease any more; what was paid for is safe, and a rerun goes on"
            )
        self._looked = began


def _held(objects: Objects) -> Held | None:
    found = objects.get(NAME)
    return Held.of(found[0], objects.url) if found is not None else None
