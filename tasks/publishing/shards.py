"""Shards: files of like size, made of what the spools of an export's splits hold."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from storage.disk import writing
from tasks.destinations.place import Place
from tasks.publishing.containers import CONTAINERS, Look
from tasks.publishing.spool import Spool
from tasks.publishing.traces import BATCH_ROWS


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The rows of a split."""

    name: str
    """As traces have it."""
    spool: Spool
    """Closed."""
    facts: dict[str, Any]
    """What its exporter says of it."""

    def said(self) -> dict[str, Any]:
        """Return what the manifest says of it."""
        return {"rows": self.spool.rows} | ({"facts": self.facts} if self.facts else {})


def write(
    place: Place, splits: Sequence[Split], file: str, schema: pa.Schema, *, most: int, shard_bytes: int | None
) -> Iterator[dict[str, Any]]:
    """Write every split's shards, and yield what the manifest says of each.

    The largest split has `most` of them or, where that is said, as many as make a shard of about `shard_bytes`.
    """
    container = CONTAINERS[file]
    largest = max(split.spool.rows for split in splits)
    for split in splits:
        spool = split.spool
        sample = spool.sample()
        look = Look(row_bytes=spool.weight / spool.rows, sample=sample.slice(0, BATCH_ROWS)) if sample is not None else None
        if shard_bytes is None:
            number = max(1, min(math.ceil(most * spool.rows / max(1, largest)), spool.rows))
            sizes = [spool.rows // number + (index < spool.rows % number) for index in range(number)]
        else:
            total = spool.weight * container.ratio(look) if look else 0
            number = max(1, min(math.ceil(total / shard_bytes), spool.rows, 99_999))
            sizes = _alike(spool.pieces, number)
        feed = _Feed(spool.read())
        first = 0
        for index, size in enumerate(sizes):
            path = place.folder / f"{split.name}-{index:05d}-of-{number:05d}.{file}"
            with writing(path):
                container.write(path, container.schema(schema), feed.take(size), first=first, look=look)
                described = describe(path)
            first += size
            yield described | {"rows": size, "split": split.name}
            place.done(path)


def _alike(pieces: Sequence[tuple[int, int]], number: int) -> list[int]:
    """Return the rows of so many shards that are alike in bytes; none is empty where there are rows enough."""
    rows, total = sum(rows for rows, _ in pieces), sum(size for _, size in pieces)
    cuts, row, byte = [0], 0, 0
    for count, size in pieces:
        while len(cuts) < number and (target := total * len(cuts) // number) < byte + size:
            cut = row + count * (target - byte) // max(1, size)
            cuts.append(min(max(cut, cuts[-1] + 1), rows - (number - len(cuts))))
        row, byte = row + count, byte + size
    return [end - start for start, end in itertools.pairwise([*cuts, rows])]


class _Feed:
    """A stream of batches, taken by rows."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._left: pa.RecordBatch | None = None

    def take(self, rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the next so many rows."""
        while rows:
            batch = self._left if self._left is not None else next(self._batches)
            piece = batch.slice(0, rows)
            rows -= piece.num_rows
            self._left = batch.slice(piece.num_rows) if piece.num_rows < batch.num_rows else None
            yield piece


def describe(path: Path) -> dict[str, Any]:
    """Return a file's name, size and checksum."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": digest}
