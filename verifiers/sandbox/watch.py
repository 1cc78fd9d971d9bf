"""Watches one run from outside of the jail: the clock, the memory, and how much is printed."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Sequence
from io import FileIO
from typing import Any

from verifiers.sandbox.jail import Damaged, Jail, Line
from verifiers.sandbox.protocol import Limits

CHUNK = 1 << 16
LOOK_S = 0.1
# Every process forked from the warm interpreter holds pages of its own that the code didn't ask for.
OF_ITS_OWN = 24 << 20


class Stop(Exception):
    """A limit was passed; the text says which. The jails are thrown out."""


class TimeUp(Stop):
    """The limit by the clock."""


class Stream:
    """What arrives in a pipe, up to a limit."""

    def __init__(self, pipe: FileIO, limit: int, *, keep: bool) -> None:
        self.pipe = pipe
        self.limit = limit
        self.keep = keep
        self.size = 0
        self.chunks: list[bytes] = []

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self.pipe.fileno()

    def move(self) -> bool:
        """Read what is there. Return False at the end; raise Stop past the limit."""
        chunk = os.read(self.pipe.fileno(), CHUNK)
        self.size += len(chunk)
        if self.size > self.limit:
            raise Stop(f"output limit of {self.limit >> 10} kB")
        if self.keep:
            self.chunks.append(chunk)
        return bool(chunk)

    def text(self) -> str:
        """Return what has arrived."""
        return b"".join(self.chunks).decode(errors="replace")


class Feed:
    """What is to be written into a pipe, as fast as somebody reads it. Closes the pipe after it."""

    def __init__(self, pipe: FileIO, text: str) -> None:
        self.pipe = pipe
        self.rest = memoryview(text.encode(errors="surrogatepass"))
        os.set_blocking(pipe.fileno(), False)

    def move(self) -> bool:
        """Write what fits. Return False once there is no more, or nobody to read it."""
        try:
            self.rest = self.rest[os.write(self.pipe.fileno(), self.rest[:CHUNK]) :]
        except BlockingIOError:
            return True
        except BrokenPipeError:
            self.rest = self.rest[:0]
        if not self.rest:
            self.pipe.close()
        return bool(self.rest)


Source = Jail | Stream | Line


def watch(
    jails: Sequence[Jail],
    streams: Sequence[Stream | Line],
    limits: Limits,
    started: float,
    *,
    done: Callable[[Source, dict[str, Any] | None], bool],
    feed: Feed | None = None,
) -> None:
    """Go on until `done` says so, which hears of every stream that has ended and of every message of a jail's server.

    Raises Stop past a limit, and Damaged where a jail is gone.
    """
    poll = select.poll()
    sources: dict[int, Source | Feed] = {jail.control.fileno(): jail for jail in jails}
    sources |= {stream.fileno(): stream for stream in streams}
    for number in sources:
        poll.register(number, select.POLLIN)
    if feed:
        sources[feed.pipe.fileno()] = feed
        poll.register(feed.pipe.fileno(), select.POLLOUT)
    looked = started
    while True:
        now = time.monotonic()
        left = started + limits.wall_s - now
        if left <= 0:
            raise TimeUp(f"time limit of {limits.wall_s:g} s")
        if now - looked > LOOK_S:
            looked = now
            _weigh(jails, limits)
        for number, _ in poll.poll(1000 * min(left, LOOK_S) + 1):
            source = sources[number]
            if isinstance(source, Jail):
                message: dict[str, Any] | None = source.heard()
            elif source.move():
                continue
            else:
                message = None
                poll.unregister(number)
            if not isinstance(source, Feed) and done(source, message):
                return


def _weigh(jails: Sequence[Jail], limits: Limits) -> None:
    allowed = limits.memory_bytes + limits.processes * OF_ITS_OWN
    if any(jail.memory() > allowed for jail in jails):
        raise Stop(f"memory limit of {limits.memory_bytes >> 20} MB")


def end(jails: list[Jail], ending: Sequence[Jail]) -> list[int | None]:
    """End the samples in some of the jails. Takes a jail that can't do that, or take another one, out of the list."""
    statuses: list[int | None] = []
    asked: list[Jail] = []
    for jail in ending:
        try:
            jail.ask_end()
            asked.append(jail)
        except Damaged:
            throw_out(jails, jail)
    for jail in asked:
        try:
            statuses.append(jail.wait_end())
            if jail.used:
                throw_out(jails, jail)
        except Damaged:
            throw_out(jails, jail)
            statuses.append(None)
    return statuses


def throw_out(jails: list[Jail], jail: Jail) -> None:
    """Kill a jail that is not to be used again."""
    jails.remove(jail)
    jail.kill()
