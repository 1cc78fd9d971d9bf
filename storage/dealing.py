"""Dealing: rows into files by bucket, where sorting them as a whole would need memory for all of their texts.

They are dealt as they stream by, and each bucket is sorted by itself: in a query (`dealt`), or by whoever takes its rows
(`dealt_rows`) where it is not dealt `for_queries`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from storage.sql import literal

BUCKETS = 200
"""Files open at a time where rows are dealt."""
DEALT_ROWS = 2_000
"""That are held in memory while they are dealt."""
PACKED_ROWS = 2_000
"""In a row group of a bucket."""
PACKED_BYTES = 4 * 2**20
"""Likewise, at most."""
_QUICK = pa.ipc.IpcWriteOptions(compression="lz4")


def deal(folder: Path, pieces: Iterable[tuple[int, pa.RecordBatch]], schema: pa.Schema, *, for_queries: bool) -> None:
    """Write rows into a folder's files by bucket."""
    with contextlib.ExitStack() as stack:
        writers: dict[int, pa.RecordBatchStreamWriter] = {}
        for bucket, rows in pieces:
            if bucket not in writers:
                # Rows come a few at a time. Parquet would keep a kilobyte for each column of each few until its file
                # is whole, and DuckDB's own partitioned COPY holds back a row group of texts for each bucket.
                file = stack.enter_context(pa.OSFile(str(_stream(folder, bucket)), "wb"))
                writers[bucket] = stack.enter_context(pa.ipc.new_stream(file, schema, options=_QUICK))
            writers[bucket].write_batch(rows)
    for bucket in writers if for_queries else ():
        _pack(_stream(folder, bucket), folder / f"{bucket}.parquet", schema)
    # A file without rows, so that an empty bucket can be read too.
    pq.write_table(schema.empty_table(), folder / "none.parquet")


def dealt(folder: Path, bucket: int) -> str:
    """Return the table function that reads one bucket."""
    found = [str(path) for path in (folder / f"{bucket}.parquet", folder / "none.parquet") if path.exists()]
    return f"read_parquet([{', '.join(map(literal, found))}], hive_partitioning=false, union_by_name=true)"


def dealt_rows(folder: Path, bucket: int) -> list[dict[str, Any]]:
    """Return the rows of one bucket that was not dealt for queries."""
    path = _stream(folder, bucket)
    if not path.exists():
        return []
    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as batches:
        rows: list[dict[str, Any]] = batches.read_all().to_pylist()
    return rows


def _stream(folder: Path, bucket: int) -> Path:
    return folder / f"{bucket}.arrows"


def _pack(stream: Path, packed: Path, schema: pa.Schema) -> None:
    """Make a Parquet file of what was dealt into a stream, which goes."""
    with (
        pa.OSFile(str(stream)) as file,
        pa.ipc.open_stream(file) as batches,
        pq.ParquetWriter(packed, schema, compression="zstd") as writer,
    ):
        held: list[pa.RecordBatch] = []
        rows = size = 0
        for batch in batches:
            held.append(batch)
            rows, size = rows + len(batch), size + batch.nbytes
            if rows >= PACKED_ROWS or size >= PACKED_BYTES:
                writer.write_table(pa.Table.from_batches(held, schema))
                held, rows, size = [], 0, 0
        writer.write_table(pa.Table.from_batches(held, schema))
    stream.unlink()


def by_bucket(buckets: npt.NDArray[np.int16 | np.int32 | np.int64]) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """Yield each bucket with the numbers of its rows, in their order."""
    order = np.argsort(buckets, kind="stable")
    cuts = np.flatnonzero(np.diff(buckets[order])) + 1
    for rows in np.split(order, cuts) if len(order) else ():
        yield int(buckets[rows[0]]), rows
