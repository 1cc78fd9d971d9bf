"""A segment of the journal that nobody writes to: its samples are read, whatever a crash or the disk did, and become a part."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from storage import footers
from storage.disk import writing
from storage.errors import LakeDamaged, StorageError
from storage.lines import HEAD_BYTES, unpack
from storage.logprobs import unpacked
from storage.parquet import count_rows, write_rows
from storage.schemas import SAMPLES

_HEAD = re.compile(rb"[0-9a-f]{8} \{")
"""How a line begins."""


def land(segment: Path, parts: Path, schema: pa.Schema = SAMPLES) -> int:
    """Turn a segment into the part of its name, remove it, and return the number of rows.

    Safe to repeat: a part that is there already was written whole, so only the segment's removal was missing. Should the disk
    have lost it since, the segment is all that is left, and stays: raise LakeDamaged.
    """
    part = parts / f"{segment.stem}.parquet"
    rows = 0
    if not part.exists():
        rows = write_rows(part, schema, read(segment), store=True)
        if not rows:
            footers.beside(part).unlink()  # first: a footer without its part is one that was lost
            part.unlink()
    elif count_rows(part) != (wanted := sum(1 for _ in read(segment))):
        raise LakeDamaged(part, f"has not the {wanted:,} samples of {segment}")
    with writing(segment):
        segment.unlink()
    return rows


def recover(folder: Path, parts: Path, schema: pa.Schema = SAMPLES) -> int:
    """Land every segment that is there and return the number of rows. The caller holds the lake's lock."""
    return sum(land(segment, parts, schema) for segment in sorted(folder.glob("*.jsonl")))


def read(segment: Path) -> Iterator[dict[str, Any]]:
    """Yield a segment's samples as rows. A torn last line, which was never counted as paid, is left out.

    Raise LakeDamaged for any other line that isn't as it was written: that is a disk's doing, and no silence of ours should
    hide it.
    """
    lost: list[int] = []
    for row in salvage(segment, lost):
        if lost:
            break
        yield row
    if lost:
        raise LakeDamaged(f"{segment}:{lost[0]}", "the journal is damaged")


def salvage(segment: Path, lost: list[int]) -> Iterator[dict[str, Any]]:
    """Yield whatever sample of a segment is whole, and add to `lost` the numbers of the lines of which something isn't.

    Lines that ran into one another, since the disk lost the break between them, are told apart again. So are those at the end,
    where the last break may be lost too: only what has no whole sample in it is taken for a torn write.
    """
    try:
        with segment.open("rb") as file:
            for number, line in enumerate(file, start=1):
                ended = line.endswith(b"\n")
                row = _parse(line if ended else line + b"\n")
                if row is not None:
                    yield row
                    continue
                found = list(_whole(line))
                if found or ended:
                    lost.append(number)
                yield from found
    except OSError as error:
        raise StorageError(f"{segment}: can't be read: {error.strerror or error}") from error


def _whole(line: bytes) -> Iterator[dict[str, Any]]:
    """Yield the samples that stand whole in a damaged line, wherever they begin and end."""
    starts = [found.start() for found in _HEAD.finditer(line)]
    ends = [*(start - 1 for start in starts[1:]), len(line) - 1, len(line)]  # the last byte may have been its break
    after = 0
    for start in starts:
        if start < after:
            continue  # within a sample's own text
        checksum, at = 0, start + HEAD_BYTES
        for end in ends:
            if end <= at:
                continue
            checksum, at = zlib.crc32(line[at:end], checksum), end
            if line[start : start + 8] == b"%08x" % checksum:
                row = _parse(line[start:end] + b"\n")
                if row is not None:
                    yield row
                    after = end
                break


def _parse(text: bytes) -> dict[str, Any] | None:
    row: dict[str, Any] | None = unpack(text)
    try:
        if row is None:
            return None
        row["created_at"] = datetime.fromisoformat(row["created_at"])
        row["logprobs"] = None if row["logprobs"] is None else unpacked(row["logprobs"])
    except (ValueError, TypeError, KeyError):  # no sample, checksum and all
        return None
    return row
