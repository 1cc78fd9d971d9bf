"""What a teacher may be asked in a day (UTC), over all runs of this machine or, of a simulated one, in this run."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from storage.errors import QuotaSpent, StorageError
from tasks.teachers.options import LimitOptions

_COUNTS = struct.Struct("<qqq")
"""A day, and the requests and tokens that were counted on it."""
_DAYS = 4
"""Days in a file, today first."""


class Quota:
    """Counts requests and tokens of the present day in a file that all processes of this machine use under a lock.

    A clock that is set must not give a day away again. What is counted for tomorrow counts today as well: around midnight a clock
    may be set back and come again. What is counted for a later day was so by a clock that was wrong, and becomes today's.
    """

    def __init__(
        self, path: Path | None, options: LimitOptions, *, today: Callable[[], int] = lambda: datetime.now(UTC).toordinal()
    ) -> None:
        """Count in `path`, or in memory. Raise StorageError where it can't be written."""
        self._requests, self._tokens = options.requests_per_day, options.tokens_per_day
        self._today = today
        self.day = 0
        """On which something was counted last."""
        if path is None:
            self._handle = os.memfd_create("quota")
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            os.posix_fallocate(self._handle, 0, _DAYS * _COUNTS.size)  # a disk that is full says so now, and not in mid-run
        except OSError as error:
            raise StorageError(
                f"{path}: can't be written: {error.strerror}; what teachers were asked today is kept there"
            ) from error

    def check(self, *, settling: bool = False) -> bool:
        """Return whether the day has something left. Raise QuotaSpent where it hasn't.

        `settling`: requests are under way that may use fewer tokens than are reserved for them. Then tokens that are wanting are
        no reason to raise.
        """
        return self._has_left(*self._add(0, 0), more=1, settling=settling)

    def take(self, tokens: int, *, settling: bool = False) -> bool:
        """Count one request and the tokens that it is expected to use. Return, or raise, as `check`; then nothing is counted."""
        left = False
        try:
            left = self._has_left(*self._add(1, tokens), more=0, settling=settling, wanted=tokens)
        finally:
            if not left:
                self._add(-1, -tokens, since=self.day)
        return left

    def _has_left(self, requests: int, tokens: int, *, more: int, settling: bool, wanted: int = 0) -> bool:
        if self._requests and requests + more > self._requests:
            raise QuotaSpent(f"requests_per_day: the {self._requests:,} of today are used; a rerun after 00:00 UTC goes on")
        if not self._tokens or tokens + more <= self._tokens:
            return True
        if settling:
            return False
        if wanted > self._tokens:
            raise QuotaSpent(
                f"tokens_per_day: one request may take {wanted:,} tokens, and {self._tokens:,} are for a whole day; raise that, "
                "or lower sampling.max_tokens"
            )
        raise QuotaSpent(f"tokens_per_day: the {self._tokens:,} of today are used; a rerun after 00:00 UTC goes on")

    def settle(self, difference: int, *, requests: int = 0, since: int | None = None) -> None:
        """Correct the tokens of a request, or (`requests` is -1) say that there was none.

        `since`: the `day` on which it was taken. What another day is given back is none of today's.
        """
        self._add(requests, difference, since=since)

    def _add(self, requests: int, tokens: int, *, since: int | None = None) -> tuple[int, int]:
        """Count, and return what counts today by now."""
        self.day = today = self._today()
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        try:
            days = self._read(today)
            if since not in {None, today}:
                if since in days:
                    days[since] = _sum(days[since], (min(0, requests), min(0, tokens)))
                requests, tokens = max(0, requests), max(0, tokens)
            days[today] = _sum(days[today], (requests, tokens))
            kept = sorted(days, key=lambda day: abs(day - today))[:_DAYS]
            data = b"".join(_COUNTS.pack(day, *days[day]) for day in kept)
            os.pwrite(self._handle, data.ljust(_DAYS * _COUNTS.size, b"\0"), 0)
        finally:
            fcntl.flock(self._handle, fcntl.LOCK_UN)
        return _sum(days[today], days.get(today + 1, (0, 0)))

    def _read(self, today: int) -> dict[int, tuple[int, int]]:
        """Return the counts by day: today, those before it, and tomorrow, where a clock has seen that already."""
        data = os.pread(self._handle, _DAYS * _COUNTS.size, 0)
        whole = data[: len(data) // _COUNTS.size * _COUNTS.size]
        days = {day: (requests, tokens) for day, requests, tokens in _COUNTS.iter_unpack(whole) if day}
        days.setdefault(today, (0, 0))
        for day in [day for day in days if day > today + 1]:
            days[today] = _sum(days[today], days.pop(day))
        return days


def _sum(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return max(0, one[0] + other[0]), max(0, one[1] + other[1])
