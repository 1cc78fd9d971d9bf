"""A rate, kept evenly: by one process, or by all processes of a machine that ask one account.

Rates follow the generic cell rate algorithm (ITU-T I.371): each request moves the earliest time of the next by its share of a
minute. So a limit is used evenly, costs one float however many requests wait, and an idle minute is no licence for a burst.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from storage.errors import StorageError

BURST_S = 0.5
"""How much of its allowance, in seconds, an idle teacher may get at once: half of what a strict server lets through, so that
requests that a network bunches up still find room."""
NOTHING_S = 1.0
"""Whoever has no part of a rate looks again so soon."""
_SLOT = struct.Struct("<d")


class Cell(Protocol):
    """Holds the earliest time of the next request, in seconds of the event loop's clock."""

    def take(self, now: float, by: float) -> float:
        """Where that time has come, add `by` to it (to `now - BURST_S` at least) and return 0; else return how long to wait."""
        ...

    def add(self, now: float, by: float) -> None:
        """Put it off, counted from `now - BURST_S` at least, or (negative) bring it nearer."""
        ...


class Own:
    """A cell of this process alone."""

    def __init__(self) -> None:
        self._next = float("-inf")

    def take(self, now: float, by: float) -> float:
        """See `Cell`."""
        if self._next > now:
            return self._next - now
        self._next = max(self._next, now - BURST_S) + by
        return 0.0

    def add(self, now: float, by: float) -> None:
        """See `Cell`."""
        self._next = _moved(self._next, now, by)


class Shared:
    """A cell in a file that all processes of this machine use under a lock: a few microseconds.

    Times are of CLOCK_MONOTONIC, which all processes share, and a reboot sets back: see `open_cells`.
    """

    def __init__(self, handle: int, offset: int) -> None:
        """Use eight bytes of an open file; zeros are "long ago"."""
        self._handle = handle
        self._offset = offset

    def take(self, now: float, by: float) -> float:
        """See `Cell`."""
        with self._locked():
            stored = self._read()
            if stored > now:
                return stored - now
            self._write(max(stored, now - BURST_S) + by)
        return 0.0

    def add(self, now: float, by: float) -> None:
        """See `Cell`."""
        with self._locked():
            self._write(_moved(self._read(), now, by))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._handle, fcntl.LOCK_UN)

    def _read(self) -> float:
        (stored,) = _SLOT.unpack(os.pread(self._handle, _SLOT.size, self._offset).ljust(_SLOT.size, b"\0"))
        return float(stored)

    def _write(self, value: float) -> None:
        os.pwrite(self._handle, _SLOT.pack(value), self._offset)


def _moved(stored: float, now: float, by: float) -> float:
    """Return the time of the next request, moved. An idle while must not swallow a debt."""
    return max(stored, now - BURST_S) + by if by > 0 else stored + by


def open_cells(folder: Path, key: str, number: int) -> list[Shared]:
    """Return cells that all processes share which name the same folder and key. Raise StorageError where it can't be written."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
    path = folder / f"{key}-{boot}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.posix_fallocate(handle, 0, number * _SLOT.size)  # a disk that is full says so now, and not in mid-run
    except OSError as error:
        raise StorageError(f"{path}: can't be written: {error.strerror}; teachers' limits are kept there") from error
    return [Shared(handle, i * _SLOT.size) for i in range(number)]


class Pace:
    """One rate. Amounts are requests or tokens."""

    def __init__(self, per_minute: float, cell: Cell | None = None) -> None:
        """Allow `per_minute`; 0: anything."""
        self._given = per_minute
        self._cell = cell or Own()
        self._seconds_each = 60 / per_minute if per_minute else 0.0
        self.part = 1.0
        """The part of the rate that is this process's own; others that ask the same account have the rest."""

    @property
    def per_minute(self) -> float:
        """The rate that holds now; 0: none."""
        return 60 / self._seconds_each if self._seconds_each else 0.0

    def follow(self, per_minute: float) -> None:
        """Keep to what the server says, or to what was given where that is less."""
        slower = min(per_minute, self._given) if self._given else per_minute
        self._seconds_each = 60 / slower

    def take(self, amount: float, now: float) -> float:
        """Take `amount` and return 0, or take nothing and return for how many seconds to wait before trying again."""
        if not self._seconds_each:
            return 0.0
        return self._cell.take(now, amount * self._seconds_each / self.part) if self.part else NOTHING_S

    def settle(self, difference: float, now: float) -> None:
        """Correct what was taken: `difference` more (or, negative, less) was used."""
        if self._seconds_each and difference:
            self._cell.add(now, difference * self._seconds_each / (self.part or 1.0))
