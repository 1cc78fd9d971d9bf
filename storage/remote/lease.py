"""One writer a lake, over all machines: a lease, which is one small object that is only ever put conditionally.

Its holder puts it again every few seconds. Whoever waits takes it over once it has stayed the same for as long as it was given,
by the waiter's own clock: the clocks of two machines need not agree. A holder that slept for longer than that, or was cut off,
finds its next put refused, and writes nothing any more. It looks before everything that it puts. (Leases: Gray and Cheriton 1989,
"Leases: an efficient fault-tolerant mechanism for distributed file cache consistency".)

What looks first may still sleep between the look and the put. So what counts, a build's manifest, is announced in the lease
itself, by the same conditional put that proves it to be held: a later holder that finds it announced puts it too, instead of
removing what it names.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from storage.errors import LeaseLost, SetupError, StorageError
from storage.remote.objects import Found, Objects, Taken
from storage.variables import seconds_in

NAME = "journal/lease"
LEASE_S = 30.0
"""For how long it is given; `STILLHOUSE_LEASE_SECONDS` sets another, the same on all machines at best."""
SKEW = timedelta(minutes=15)
"""S3 refuses requests of a machine whose clock is further off, so what is older than this besides is older by any clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the object says."""

    copy: str
    """The working copy that its holder writes in."""
    who: str
    """Host and process, for whoever waits to read."""
    epoch: int
    """How many have held the lease by now, this one included."""
    beat: int
    """Puts by this holder: no two that were put are the same."""
    seconds: float
    """For how long it is given from each put on."""
    free: bool = False
    """Whether its holder is done with it."""
    landing: str | None = None
    """The manifest that its holder is about to put, whatever becomes of the holder."""

    @property
    def name(self) -> str:
        """What tells it from every other lease, of this lake and of others."""
        return f"{self.copy}-{self.epoch}"

    def dumped(self) -> bytes:
        """Return it as it is put."""
        return json.dumps(dataclasses.asdict(self)).encode() + b"\n"

    @classmethod
    def of(cls, data: bytes, url: str) -> Held:
        """Return what was put. Raise StorageError where it is no lease."""
        try:
            return cls(**json.loads(data))
        except (ValueError, TypeError) as error:
            raise StorageError(f"{url}/{NAME}: is no lease of ours: {error}; remove it once nobody writes to the lake") from None


class Lease:
    """The lease of one lake, as one process sees it."""

    def __init__(self, objects: Objects, copy: str, *, seconds: float | None = None) -> None:
        """Use a store; `copy` names the working copy, whose own lock the caller holds."""
        self._objects = objects
        self._copy = copy
        self._seconds = seconds or lease_seconds()
        self._lock = threading.Lock()
        self._held: Held | None = None
        self._put: Found | None = None
        self._until = 0.0
        self._lost: LeaseLost | None = None
        self._ended = threading.Event()
        self.lingers = False
        """Whether to let it run out rather than free it: somebody may still write by it."""

    @contextlib.contextmanager
    def held(
        self,
        waiting: Callable[[str], None],
        *,
        check: Callable[[], None] = lambda: None,
        lost: Callable[[StorageError], None] = lambda _: None,
        wait: bool = True,
    ) -> Iterator[Held | None]:
        """Hold it, and give what its holder before left in it, or None where that is somebody else and nobody is to `wait`.

        `waiting` is told once where another machine writes. `check` may raise to give up waiting. `lost` hears when it can't be
        kept, from another thread.
        """
        before = self._take(waiting, check, wait=wait)
        if before is None:
            yield None
            return
        self._ended.clear()
        beating = threading.Thread(target=self._beat, args=(lost,), name="lease", daemon=True)
        beating.start()
        try:
            yield before
        finally:
            self._ended.set()
            beating.join()
            self._release()

    @property
    def name(self) -> str | None:
        """What tells it from every other one, while it is held."""
        return self._held.name if self._held is not None else None

    @property
    def sure(self) -> bool:
        """Whether it is held for certain, without asking the store."""
        return self._held is not None and self._lost is None and now() < self._until

    def check(self) -> None:
        """Raise LeaseLost unless it is held at this moment. Called before whatever is put."""
        if self.sure:
            return
        with self._lock:
            if self._lost is not None:
                raise self._lost
            if self._held is None:
                raise StorageError(f"{self._objects.url}: may be written to only while its lease is held")
            if now() >= self._until:
                self._again()

    def announce(self, manifest: str | None) -> None:
        """Have the lease say that a manifest counts from now on. Raise LeaseLost where it isn't held any more."""
        with self._lock:
            if self._lost is not None:
                raise self._lost
            self._again(landing=manifest)

    def _take(self, waiting: Callable[[str], None], check: Callable[[], None], *, wait: bool) -> Held | None:
        seen, since, said = None, 0.0, False
        while True:
            there = self._objects.get(NAME)
            before = Held.of(there[0], self._objects.url) if there else None
            if there is not None and there[1].etag != seen:
                seen, since = there[1].etag, now()
            if before is None or self._over(before, there and there[1], since):
                try:
                    return self._begin(before, there and there[1])
                except Taken:
                    continue
            if not wait:
                return None
            if not said:
                waiting(f"another machine ({before.who}) is writing to {self._objects.url}; waiting for it to end")
                said = True
            check()
            time.sleep(min(2.0, before.seconds / 10))

    def _over(self, held: Held, put: Found | None, since: float) -> bool:
        if held.free or held.copy == self._copy:  # of this working copy, whose lock is ours: its process is gone
            return True
        long_ago = put is not None and datetime.now(UTC) - put.modified > SKEW + timedelta(seconds=held.seconds)
        return long_ago or now() - since >= held.seconds

    def _begin(self, before: Held | None, put: Found | None) -> Held:
        epoch = before.epoch + 1 if before is not None else 1
        landing = before.landing if before is not None else None
        who = f"{socket.gethostname()}, pid {os.getpid()}"
        held = Held(copy=self._copy, who=who, epoch=epoch, beat=0, seconds=self._seconds, landing=landing)
        began = now()
        self._put = self._objects.put(NAME, held.dumped(), new=put is None, over=put)
        if put is None:
            held = self._proven(held)
        self._held, self._until, self._lost = held, began + self._seconds, None
        return before or held

    def _proven(self, held: Held) -> Held:
        """Return a new lease, put again. Raise SetupError where the store puts whatever the condition, as some do."""
        first, again = self._put, dataclasses.replace(held, beat=1)
        self._refuses(held, new=True)
        self._put = self._objects.put(NAME, again.dumped(), over=first)
        self._refuses(held, over=first)
        return again

    def _refuses(self, held: Held, *, new: bool = False, over: Found | None = None) -> None:
        with contextlib.suppress(Taken):
            self._objects.put(NAME, dataclasses.replace(held, beat=-1).dumped(), new=new, over=over)
            self._objects.delete([NAME])
            raise SetupError(
                f"{self._objects.url}: the store doesn't honour conditional puts (If-None-Match, If-Match), without which two "
                "machines could write to the lake at once; use one that does"
            )

    def _beat(self, lost: Callable[[StorageError], None]) -> None:
        told = False
        while not self._ended.wait(self._seconds / 4):
            try:
                with self._lock:
                    self._again()
                told = False
            except LeaseLost as error:
                lost(error)
                return
            except StorageError as error:
                if not told and now() >= self._until:  # nothing can be put now: to buy on would be for nothing, if it lasts
                    lost(error)
                    told = True

    def _again(self, **changed: str | None) -> None:
        """Put it again. The caller has the lock."""
        if self._held is None:
            raise StorageError(f"{self._objects.url}: its lease isn't held")
        held = dataclasses.replace(self._held, beat=self._held.beat + 1, **changed)  # type: ignore[arg-type]
        began = now()
        try:
            self._put = self._objects.put(NAME, held.dumped(), over=self._put)
        except Taken:
            self._lost = taken_over(self._objects.url, self._seconds)
            raise self._lost from None
        self._held, self._until = held, began + self._seconds

    def _release(self) -> None:
        with self._lock, contextlib.suppress(StorageError):  # whoever waits finds out by itself
            if self._lost is None and not self.lingers:
                self._again(free=True)  # type: ignore[arg-type]
            self._held = None


def lease_seconds() -> float:
    """Return for how long leases are given here."""
    return seconds_in("STILLHOUSE_LEASE_SECONDS", LEASE_S)


def taken_over(url: str, seconds: float) -> LeaseLost:
    """Return what to raise where somebody else holds a lake that was given for so long."""
    return LeaseLost(
        f"{url}: another machine has taken the lake over, since this one didn't answer for {seconds:g} s; what was paid for is "
        "safe, and a rerun goes on"
    )


def now() -> float:
    """Return seconds by a clock that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
