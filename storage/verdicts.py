"""Landing verdicts: a buffer that becomes Parquet parts.

What a killed run had not landed, a minute's verdicts at most, is reached again. A verdict that was paid for, a judge's, must not
be: it is on disk before it counts, as a line in a *segment* with its part's name, which goes once the part is there. A segment
that a killed run left behind becomes its part at the start of the next run.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path
from typing import Any, BinaryIO, Self

import pyarrow as pa
import pyarrow.parquet as pq

from storage import footers
from storage.disk import sync, writing
from storage.errors import LakeDamaged, StorageError
from storage.lines import pack, put, unpack
from storage.parquet import GROUP_CHARS, STORE_GROUP, count_rows, write_batches, write_rows
from storage.protocol import Mirror
from storage.records import Verdict
from storage.schemas import VERDICTS
from storage.shielded import uncancelled
from storage.wording import counted

logger = logging.getLogger(__name__)
PART_ROWS = 20_000
"""Verdicts in a part, at most."""
PART_S = 60.0
"""Seconds that verdicts wait for others."""


@dataclass(slots=True)
class _Part:
    """A part to be."""

    name: str
    verdicts: list[Verdict] = field(default_factory=list)
    """The latest, of which `chars` is the length of the texts."""
    chars: int = 0
    packed: list[pa.RecordBatch] = field(default_factory=list)
    """Those before: as objects they take several times the room."""
    paid: list[bytes] = field(default_factory=list)
    """Lines that are to be written to its segment."""
    segment: BinaryIO | None = None
    size: int = 0
    """Bytes in its segment."""
    commits: int = 0
    """In its segment."""
    commit: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __len__(self) -> int:
        return sum(map(len, self.packed)) + len(self.verdicts)

    def append(self, verdict: Verdict) -> None:
        """Add a verdict."""
        self.verdicts.append(verdict)
        self.chars += len(verdict.reason) + len(verdict.answer or "")
        if len(self.verdicts) >= STORE_GROUP or self.chars >= GROUP_CHARS:
            self.pack()

    def pack(self) -> None:
        """Make a row group of the latest."""
        if self.verdicts:
            columns = [pa.array([getattr(each, column.name) for each in self.verdicts], column.type) for column in VERDICTS]
            self.packed.append(pa.RecordBatch.from_arrays(columns, schema=VERDICTS))
            self.verdicts, self.chars = [], 0


class VerdictStore:
    """Writes `folder/RUN-NNNNNN.parquet`. Use as `async with VerdictStore(...)`: leaving it lands the rest."""

    def __init__(self, folder: Path, segments: Path, *, run: str, mirror: Mirror | None = None) -> None:
        """Name the parts after the run; `segments` is the folder for what was paid for and is in no part yet.

        `mirror`: where what was paid for, and each part, is to be durable too.
        """
        self._mirror = mirror
        self._folder = folder
        self._segments = segments
        self._run = run
        self._number = 0
        self._parts = [self._new()]
        """The last is being filled; those before it are being written, or were refused by the disk."""
        self._writing = asyncio.Lock()
        self._flushed_at = time.monotonic()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.flush()

    def _new(self) -> _Part:
        self._number += 1
        return _Part(f"{self._run}-{self._number - 1:06d}")

    async def add(self, verdicts: Iterable[Verdict], *, paid: bool = False) -> None:
        """Keep verdicts, and write a part where there are enough, or the first has waited for long.

        Where they were paid for they are on disk when this returns, or this raises StorageError.
        """
        part = self._parts[-1]
        for verdict in verdicts:
            part.append(verdict)
            if paid:
                part.paid.append(pack(verdict))
        if paid:
            await uncancelled(self._commit(part))
        if len(self._parts[-1]) >= PART_ROWS or time.monotonic() - self._flushed_at > PART_S:
            await self.flush()

    async def _commit(self, part: _Part) -> None:
        """Have a part's lines on disk. Those that come while others are being written share the next write."""
        async with part.commit:
            lines, part.paid = part.paid, []
            if not lines or part not in self._parts:  # somebody took these along
                return
            try:
                await uncancelled(self._keep(part, b"".join(lines)))
            except StorageError:
                part.paid = lines + part.paid  # whoever waits for them hears of it too
                raise

    async def _keep(self, part: _Part, data: bytes) -> None:
        await asyncio.to_thread(self._put, part, data)
        if self._mirror is not None:
            await self._mirror.put(self._segment(part), part.commits, data)
        part.commits += 1

    def _put(self, part: _Part, data: bytes) -> None:
        path = self._segment(part)
        with writing(path):
            if part.segment is None:
                path.parent.mkdir(parents=True, exist_ok=True)
                part.segment = path.open("wb", buffering=0)
                sync(path.parent)
                sync(path.parent.parent)
            part.size = put(part.segment, part.size, data)

    def _segment(self, part: _Part) -> Path:
        return self._segments / f"{part.name}.jsonl"

    async def flush(self) -> None:
        """Write what there is."""
        async with self._writing:
            self._flushed_at = time.monotonic()
            if self._parts[-1]:
                self._parts.append(self._new())
            while len(self._parts) > 1:
                part = self._parts[0]
                async with part.commit:
                    await uncancelled(self._move(part))
                    self._parts.remove(part)  # only now: a disk that was full may have room when the run ends

    async def _move(self, part: _Part) -> None:
        await asyncio.to_thread(self._land, part)
        if self._mirror is not None:
            await self._mirror.landed(self._segment(part), self._folder / f"{part.name}.parquet")

    def _land(self, part: _Part) -> None:
        part.pack()
        write_batches(self._folder / f"{part.name}.parquet", VERDICTS, part.packed)
        if part.segment is not None:
            with writing(self._segment(part)):
                part.segment.close()
                part.segment = None
                self._segment(part).unlink()


def recover(segments: Path, folder: Path, quarantine: Path) -> None:
    """Land every segment that a killed run left behind. The caller holds the lake's lock."""
    for segment in sorted(segments.glob("*.jsonl")):
        land(segment, folder, quarantine)


def land(segment: Path, folder: Path, quarantine: Path) -> None:
    """Turn a segment that nobody writes to any more into its part.

    A torn last line is no verdict yet. One that the disk damaged is reached again, and its segment kept in `quarantine`. Raise
    LakeDamaged where a part that is there isn't what its segment says.
    """
    part = folder / f"{segment.stem}.parquet"
    with writing(segment):
        lines = segment.read_bytes().splitlines(keepends=True)
        rows = [row for row in map(unpack, lines) if row is not None]
        if part.exists():
            if count_rows(part) < len(rows) or ((kept := footers.kept(part)) is not None and kept.refutes(part)):
                raise LakeDamaged(part, f"isn't what {segment} says")
        elif rows := _fresh(rows, folder.glob(f"{escape(segment.stem)}.salvaged*.parquet")):
            write_rows(part, VERDICTS, rows, store=True)
        if damaged := sum(line.endswith(b"\n") and unpack(line) is None for line in lines):
            logger.warning("%s: %s damaged; a judge will be asked again", segment, counted(damaged, "line", "is", "are"))
            quarantine.mkdir(parents=True, exist_ok=True)
            segment.rename(quarantine / segment.name)
        else:
            segment.unlink()


def _fresh(rows: list[dict[str, Any]], salvaged: Iterable[Path]) -> list[dict[str, Any]]:
    """Return the rows that a repair hasn't saved from their damaged part already."""
    key = ("sample_id", "fingerprint", "inputs")
    seen = {tuple(row.values()) for part in salvaged for row in pq.read_table(part, columns=list(key)).to_pylist()}
    return [row for row in rows if tuple(row[name] for name in key) not in seen]
