"""A rate, kept evenly: by one process, or by all processes of a machine that ask one account.

Rates follow the generic cell rate algorithm (ITU-T I.371): each request moves the earliest time of the next by its share of a
minute. So a limit is used evenly, costs one float however many requests wait, and an idle minute is no licence for a burst.
"""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path
from typing import Protocol

from storage.errors import StorageError

BURST_S = 0.5
"""How much of its allowance, in seconds, an idle teacher may get at once: half of what a strict server lets through, so that
requests that a network bunches up still find room."""
_SLOT = struct.Struct("<d")


class Cell(Protocol):
    """Holds the earliest time of the next request, in seconds of the event loop's clock."""

    def move(self, floor: float, by: float) -> float:
        """Take max(stored, floor) as the time of this request, add `by` to it for the next, and return this one's."""
        ...


class Own:
    """A cell of this process alone."""

    def __init__(self) -> None:
        self._next = float("-inf")

    def move(self, floor: float, by: float) -> float:
        """See `Cell`."""
        start = max(self._next, floor)
        self._next = start + by
        return start


class Shared:
    """A cell in a file that all processes of this machine use under a lock: a few microseconds.

    Times are of CLOCK_MONOTONIC, which all processes share, and a reboot sets back: see `open_cells`.
    """

    def __init__(self, handle: int, offset: int) -> None:
        """Use eight bytes of an open file; zeros are "long ago"."""
        self._handle = handle
        self._offset = offset

    def move(self, floor: float, by: float) -> float:
        """See `Cell`."""
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        try:
            (stored,) = _SLOT.unpack(os.pread(self._handle, _SLOT.size, self._offset).ljust(_SLOT.size, b"\0"))
            start = max(stored, floor)
            os.pwrite(self._handle, _SLOT.pack(start + by), self._offset)
        finally:
            fcntl.flock(self._handle, fcntl.LOCK_UN)
        return float(start)


def open_cells(folder: Path, key: str, number: int) -> list[Shared]:
    """Return cells that all processes share which name the same folder and key. Raise StorageError where it can't be written."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
    path = folder / f"{key}-{boot}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
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

    @property
    def per_minute(self) -> float:
        """The rate that holds now; 0: none."""
        return 60 / self._seconds_each if self._seconds_each else 0.0

    def follow(self, per_minute: float) -> None:
        """Keep to what the server says, or to what was given where that is less."""
        slower = min(per_minute, self._given) if self._given else per_minute
        self._seconds_each = 60 / slower

    def reserve(self, amount: float, now: float) -> float:
        """Take `amount` and return for how many seconds to wait before using it."""
        if not self._seconds_each:
            return 0.0
        return max(0.0, self._cell.move(now - BURST_S, amount * self._seconds_each) - now)

    def settle(self, difference: float) -> None:
        """Correct a reservation: `difference` more (or, negative, less) was used."""
        if self._seconds_each and difference:
            self._cell.move(float("-inf"), difference * self._seconds_each)
