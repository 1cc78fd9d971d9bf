"""A spool: an export's rows on disk, between the exporter that makes them and the shards that they go into.

Rows are made once, whatever their number turns out to be, and come back in order, or shuffled. A shuffle
sorts row numbers and holds one bucket's texts: rows get random keys, are dealt into buckets of neighbouring keys as they stream
by, and each bucket is put in order by itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from storage.disk import writing
from tasks.splitmix import mixed

BUCKET_BYTES = 8_000_000
"""What a bucket should hold: as much is in memory at a time, and is dealt at a time."""
BITS = 10
"""Of a bucket's number at most: in a thousand buckets, what is dealt at a time still makes pieces that a disk likes."""
PIECE = 64
"""Rows whose bytes are counted together, where rows keep their order, so that large ones in a row are seen."""
_KEY = "__key"
_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")


class Spool:
    """A file of batches that is written, closed and then read, as a context manager that removes it."""

    def __init__(
        self,
        path: Path,
        schema: pa.Schema,
        *,
        weigh: Callable[[pa.RecordBatch], int] = lambda batch: int(batch.nbytes),
        seed: int | None = None,
        bytes_expected: int = 0,
    ) -> None:
        """Open the file. `weigh` says what rows count for.

        With a `seed`, rows come back shuffled; `bytes_expected` of rows say how finely they are dealt.
        """
        self._weigh = weigh
        self._path, self._schema, self._seed = path, schema, seed
        self._bits = 0 if seed is None else min(BITS, max(0, (bytes_expected - 1) // BUCKET_BYTES).bit_length())
        self._held: list[pa.RecordBatch] = []
        self._held_bytes = 0
        self._batches: list[list[int]] = [[] for _ in range(1 << self._bits)]
        self._written = 0
        self.rows = 0
        """In it."""
        self.pieces: list[tuple[int, int]] = []
        """Rows and weight of one stretch after another, in the order of `read`; known once the spool is closed."""
        self._sizes = [[0, 0] for _ in self._batches]
        stored = schema if seed is None else schema.append(pa.field(_KEY, pa.uint64()))
        self._writer = pa.ipc.new_file(str(path), stored, options=_OPTIONS)

    @property
    def weight(self) -> int:
        """Return what all rows count for."""
        return sum(size for _, size in self.pieces)

    def add(self, batch: pa.RecordBatch) -> None:
        """Add rows."""
        if not batch.num_rows:
            return
        self.rows += batch.num_rows
        if self._seed is None:
            self._write(batch)
            pieces = (batch.slice(start, PIECE) for start in range(0, batch.num_rows, PIECE))
            self.pieces += [(piece.num_rows, self._weigh(piece)) for piece in pieces]
            return
        self._held.append(batch)
        self._held_bytes += batch.nbytes
        if self._held_bytes >= BUCKET_BYTES:
            self._deal()

    def close(self) -> None:
        """Let it be read."""
        self._deal()
        with writing(self._path):
            self._writer.close()
        if self._seed is not None:
            self.pieces = [(rows, size) for rows, size in self._sizes if rows]

    def sample(self) -> pa.RecordBatch | None:
        """Return some rows; None where there are none."""
        if self._seed is not None:
            return next(self.read(), None)
        # Of the middle, since the first batch is small and may be of a kind.
        with pa.OSFile(str(self._path)) as file:
            return pa.ipc.open_file(file).get_batch(self._written // 2) if self._written else None

    def read(self) -> Iterator[pa.RecordBatch]:
        """Yield all rows, in order or shuffled."""
        with pa.OSFile(str(self._path)) as file:
            reader = pa.ipc.open_file(file)
            if self._seed is None:
                for number in range(reader.num_record_batches):
                    yield reader.get_batch(number)
                return
            for numbers in filter(None, self._batches):
                yield from _in_order([reader.get_batch(number) for number in numbers])

    def _deal(self) -> None:
        if not self._held:
            return
        table = pa.Table.from_batches(self._held).combine_chunks()
        first = self.rows - table.num_rows
        self._held, self._held_bytes = [], 0
        keys = keys_of(np.arange(first, self.rows, dtype=np.uint64), self._seed or 0)
        buckets = keys >> np.uint64(64 - self._bits) if self._bits else np.zeros(len(keys), dtype=np.uint64)
        order = np.argsort(buckets, kind="stable")
        dealt = table.append_column(pa.field(_KEY, pa.uint64()), pa.array(keys)).take(order).combine_chunks()
        ends = np.searchsorted(buckets[order], np.arange(len(self._batches), dtype=np.uint64), side="right").tolist()
        start = 0
        for bucket, end in enumerate(ends):
            for batch in dealt.slice(start, end - start).to_batches() if end > start else ():
                self._batches[bucket].append(self._written)
                self._write(batch)
                self._sizes[bucket][0] += batch.num_rows
                self._sizes[bucket][1] += self._weigh(batch.select(self._schema.names))
            start = end

    def _write(self, batch: pa.RecordBatch) -> None:
        with writing(self._path):  # the spool may be on another disk than the export
            self._writer.write_batch(batch)
        self._written += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with contextlib.suppress(OSError, pa.ArrowException):
            self._writer.close()
        self._path.unlink(missing_ok=True)


def _in_order(dealt: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """Return a bucket's rows by their keys. A function, so that no other copy of them stays in memory while they are used."""
    table = pa.Table.from_batches(dealt)
    dealt.clear()
    # Stable, so that rows of one key, which may be, keep their order.
    order = np.argsort(table[_KEY].to_numpy(), kind="stable")
    ordered: list[pa.RecordBatch] = table.drop_columns([_KEY]).combine_chunks().take(order).to_batches()
    return ordered


def keys_of(numbers: npt.NDArray[np.uint64], seed: int) -> npt.NDArray[np.uint64]:
    """Return a random-looking key for each number, which decides its place in a shuffle."""
    step = np.uint64(0x9E3779B97F4A7C15)
    with np.errstate(over="ignore"):
        # The seed goes through the mixer too, so that neighbouring seeds don't give one another's shuffles.
        start = mixed(np.array([seed], dtype=np.uint64) * step + step)
        return mixed(start + (numbers + np.uint64(1)) * step)
