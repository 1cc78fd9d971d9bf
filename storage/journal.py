"""The journal: a response is on disk before it is counted.

A run appends its samples to a *segment*, a file of lines `CRC32 JSON`. Appends that arrive while the disk is busy share the next
`fsync` (group commit), so durability costs a run a few hundred syncs rather than one for each sample. A full segment becomes one
Parquet part of `samples/` with the segment's name, and is then removed. A segment that a killed run left behind becomes its part
in the same way, at the start of the next run: recovery is the ordinary path, taken late.

With a mirror, where the lake is on an object store, each commit is put there too before it counts. A put takes longer than a
sync: several are on their way at a time, and a commit takes along what came within a few milliseconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import BinaryIO, Self

import pyarrow as pa

from storage.disk import refused, sync
from storage.errors import StorageError
from storage.lines import pack, put
from storage.logprobs import packed
from storage.protocol import Mirror
from storage.records import Sample, Score
from storage.schemas import SAMPLES
from storage.segments import land
from storage.shielded import uncancelled
from storage.waste import CARRIED, Note

SEGMENT_ROWS = 20_000
"""Samples in a segment, and so in a Parquet part."""
SEGMENT_BYTES = 64 * 2**20
"""Bytes in a segment: long responses make smaller parts, since a part is made in memory a row group at a time."""
RESERVE_BYTES = 4 * 2**20
"""Held back on the disk while a run buys, so that a disk that is full still takes what is in flight."""
ROUND_S = 0.03
"""With a mirror, from one commit to the next at least: each costs a request."""
PUTS = 16
"""Commits that are on their way to a mirror at a time."""


@dataclass(slots=True)
class _Pending:
    lines: list[bytes]
    done: asyncio.Future[None]
    on_disk: Callable[[], object]
    carried: Callable[[], object]


class _FullError(OSError):
    """The disk is full, and took this from its reserve."""


class Journal:
    """Appends samples, or scores of them, durably, and turns full segments into Parquet parts in the background.

    One event loop, one writer. Use as `async with Journal(...)`: leaving it lands every segment.
    """

    def __init__(self, folder: Path, parts: Path, *, run: str, schema: pa.Schema = SAMPLES, mirror: Mirror | None = None) -> None:
        """Write segments `folder/RUN-NNNNNN.jsonl` and parts `parts/RUN-NNNNNN.parquet` of a table's rows.

        `mirror`: where each commit, and each part, is to be durable too.
        """
        self._mirror = mirror
        self._puts: set[asyncio.Task[None]] = set()
        """Of the segment that is being written."""
        self._lines = asyncio.Semaphore(PUTS)
        self._committed = 0
        """Commits in it."""
        self._away: StorageError | None = None
        """Why the mirror keeps no more."""
        self._schema = schema
        self._folder = folder
        self._parts = parts
        self._run = run
        self._queue: list[_Pending] = []
        self._wake = asyncio.Event()
        self._closing = False
        self._file: BinaryIO | None = None
        self._path = folder
        self._number = 0
        self._rows = 0
        self._bytes = 0
        # Its own thread: an fsync must not wait behind verifiers in a shared pool, and one thread keeps the order of lines.
        self._disk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        self._lander = ThreadPoolExecutor(max_workers=1, thread_name_prefix="landing")
        self._landings: list[asyncio.Future[int]] = []
        self._reserve = folder / "reserve"
        self._full = False
        self._later: list[tuple[Path, set[asyncio.Task[None]]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._broken: Exception | None = None
        self.commits = 0
        """Syncs so far."""

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._hold)
        self._writer = asyncio.create_task(self._write())
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def append(
        self,
        samples: Sequence[Sample] | Sequence[Score],
        *,
        carries: Sequence[Note] = (),
        carried: Callable[[], object] = lambda: None,
        on_disk: Callable[[], object] = lambda: None,
    ) -> None:
        """Return once the samples are on disk, and with a mirror there too. Raise StorageError where one of them refuses.

        `carries`: what was noted as billed in vain, and one of them carries the cost of. `carried` is called to take that back,
        once they are where they are to be, or are on this machine's disk and will be nowhere else. Where a kill comes before,
        `storage.waste.settle` does it.

        `on_disk` is called in between: when they are on this machine's disk, and no kill loses them.
        Where it is full they are on disk all the same, as long as the reserve lasts: nobody should ask for more. The lines are
        queued before the first suspension, and a caller that is cancelled hears of it when they count: it loses nothing.
        """
        if self._broken is not None:
            raise self._broken
        if self._closing:
            raise StorageError("the journal is closed")
        carrier = carries[0]["sample_id"] if carries else None
        lines = [_line(sample, carries if sample.sample_id == carrier else ()) for sample in samples]
        pending = _Pending(lines, asyncio.get_running_loop().create_future(), on_disk, carried)
        self._queue.append(pending)
        self._wake.set()
        await uncancelled(pending.done)

    async def settle(self) -> None:
        """Land what was appended so far; more may follow. Nobody may append meanwhile. Raise the first error met."""
        self._seal()
        await uncancelled(self._landed())

    async def close(self) -> None:
        """Write what is queued, land every segment, and raise the first error that this met, or the defect that broke it."""
        if self._writer is not None:
            await uncancelled(self._close(self._writer))

    async def _close(self, writer: asyncio.Task[None]) -> None:
        self._closing = True
        self._wake.set()
        await writer
        self._writer = None
        self._release()
        self._seal()
        self._landings += [self._land(segment, puts) for segment, puts in self._later]
        try:
            await self._landed()
        finally:
            self._disk.shutdown(wait=False)
            self._lander.shutdown(wait=False)

    async def _landed(self) -> None:
        """Wait for all landings, whatever one meets: the lake's lock must not be free while a part is being written."""
        landings, self._landings = self._landings, []
        landed = await asyncio.gather(*landings, return_exceptions=True)
        for error in (self._broken, *landed):
            if isinstance(error, BaseException):
                raise error

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        began = -ROUND_S
        while not (self._closing and not self._queue):
            await self._wake.wait()
            if self._mirror is not None:
                if not self._closing:
                    await asyncio.sleep(began + ROUND_S - loop.time())
                began = loop.time()
            self._wake.clear()
            batch, self._queue = self._queue, []
            if not batch:
                continue
            lines = [line for pending in batch for line in pending.lines]
            try:
                await loop.run_in_executor(self._disk, self._commit, b"".join(lines))
            except Exception as error:  # noqa: BLE001 - whatever it is, whoever waits must hear of it
                if isinstance(error, _FullError):
                    _told(batch)
                    _carry(batch)
                self._refuse(batch, error)
                continue
            _told(batch)
            if self._mirror is None:
                _carry(batch)
                _count(batch)
            else:
                self._puts.add(loop.create_task(self._put_away(self._mirror, batch, self._path, self._committed)))
                self._committed += 1
            self._rows += len(lines)
            if self._rows >= SEGMENT_ROWS or self._bytes >= SEGMENT_BYTES:
                self._seal()

    async def _put_away(self, mirror: Mirror, batch: list[_Pending], segment: Path, number: int) -> None:
        """Have the mirror keep a commit, and let it count. What the mirror refuses is on disk all the same, and not counted."""
        try:
            await self._put_or_tell(mirror, batch, segment, number)
        finally:
            _carry(batch)

    async def _put_or_tell(self, mirror: Mirror, batch: list[_Pending], segment: Path, number: int) -> None:
        async with self._lines:
            if self._away is not None:
                _fail(batch, self._away)
                return
            try:
                await mirror.put(segment, number, b"".join(line for pending in batch for line in pending.lines))
            except Exception as error:  # noqa: BLE001 - whatever it is, whoever waits must hear of it
                if isinstance(error, StorageError):
                    self._away = error  # it was patient; whoever queues behind this isn't kept waiting as long again
                else:
                    self._broken = error
                _fail(batch, error)
                return
        _count(batch)

    def _refuse(self, batch: list[_Pending], error: Exception) -> None:
        """Tell whoever waits that the disk took nothing of theirs."""
        problem: Exception = error
        if isinstance(error, OSError):
            problem = StorageError(f"{self._path}: the journal can't be written: {error.strerror or error}")
        else:  # a defect: nothing can be trusted to work from here on
            self._broken = error
            batch, self._queue = batch + self._queue, []
        _fail(batch, problem)
        self._abandon()

    def _commit(self, data: bytes) -> None:
        try:
            self._put(data)
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT} or not self._release():
                raise
            self._full = True
            self._put(data)
            raise _FullError(error.errno, error.strerror) from error
        self.commits += 1

    def _put(self, data: bytes) -> None:
        if self._file is None:
            self._path = self._folder / f"{self._run}-{self._number:06d}.jsonl"
            self._file = self._path.open("xb", buffering=0)
            sync(self._folder)
        self._bytes = put(self._file, self._bytes, data)

    def _hold(self) -> None:
        """Take the reserve. Raise StorageError where there is no room for it: nothing was bought yet."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with self._reserve.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
        except OSError as error:
            self._reserve.unlink(missing_ok=True)
            raise refused(self._reserve, error) from error

    def _release(self) -> bool:
        """Give the reserve back to the disk, and return whether there was one."""
        try:
            self._reserve.unlink()
        except OSError:
            return False
        return True

    def _abandon(self) -> None:
        # After a failed write the segment may end in a torn line; nothing may follow it, so the next append gets a new file.
        if self._file is not None:
            self._seal()

    def _seal(self) -> None:
        if self._file is None:
            return
        with contextlib.suppress(OSError):  # what counts was synced; a disk that refused a write may refuse this too
            self._file.close()
        self._file = None
        self._number += 1
        self._rows = self._bytes = self._committed = 0
        puts, self._puts = self._puts, set()
        if self._full:
            self._later.append((self._path, puts))  # a part would take the room that is left from what is still in flight
        else:
            self._landings.append(self._land(self._path, puts))

    def _land(self, segment: Path, puts: set[asyncio.Task[None]]) -> asyncio.Future[int]:
        if self._mirror is None:
            return self._land_here(segment)
        return asyncio.ensure_future(self._land_there(self._mirror, segment, puts))

    def _land_here(self, segment: Path) -> asyncio.Future[int]:
        return asyncio.get_running_loop().run_in_executor(self._lander, land, segment, self._parts, self._schema)

    async def _land_there(self, mirror: Mirror, segment: Path, puts: set[asyncio.Task[None]]) -> int:
        if puts:  # else one might arrive after the part's commits were removed, or take back what it carries after a kill
            await asyncio.wait(puts)
        rows = await self._land_here(segment)
        await mirror.landed(segment, self._parts / f"{segment.stem}.parquet")
        return rows


def _told(batch: list[_Pending]) -> None:
    for pending in batch:
        pending.on_disk()


def _carry(batch: list[_Pending]) -> None:
    for pending in batch:
        pending.carried()


def _count(batch: list[_Pending]) -> None:
    for pending in batch:
        pending.done.set_result(None)


def _fail(batch: list[_Pending], error: Exception) -> None:
    for pending in batch:
        pending.done.set_exception(error)


def _line(sample: Sample | Score, carries: Sequence[Note]) -> bytes:
    if sample.logprobs is None and not carries:
        return pack(sample)
    row = {each.name: getattr(sample, each.name) for each in fields(sample)}
    if sample.logprobs is not None:
        row["logprobs"] = packed(sample.logprobs)
    return pack(row | {CARRIED: carries} if carries else row)
