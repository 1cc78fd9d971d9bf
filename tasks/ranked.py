"""Stored samples in a new order: their texts are dealt into buckets by the rank that each sample has."""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from storage.schemas import SAMPLES
from storage.workspace import DEALT_ROWS, Workspace, by_bucket

Ids = npt.NDArray[np.bytes_]
RESPONSE = [
    "sample_id",
    "model",
    "system",
    "messages",
    "response",
    "reasoning",
    "finish_reason",
    "tokens_in",
    "tokens_out",
    "created_at",
]
"""The columns that a trace takes from its sample."""
_BYTES = 16
"""Of an id, which has two hex digits for each."""


def deal_samples(workspace: Workspace, name: str, columns: list[str], ranks: str) -> None:
    """Deal the `columns` of samples, with their `rank` and `bucket` after them.

    `ranks` is a query for sample_id, rank and bucket; a sample may have several ranks. A join would be simpler. But one whose ids
    don't fit into DuckDB's memory spills the texts too; here 26 bytes a rank do, and 50 while they are put in order.
    """
    ids, ordered, buckets = _ranks(workspace, ranks)
    schema = pa.schema([*map(SAMPLES.field, columns), ("rank", pa.int64()), ("bucket", pa.int32())])
    rows = workspace.at_once(DEALT_ROWS)
    source = workspace.stream(f"SELECT sample_id AS looked_up, {', '.join(columns)} FROM samples", rows=rows)

    def pieces() -> Iterator[tuple[int, pa.RecordBatch]]:
        for batch in source:
            sought = packed(batch["looked_up"])
            first, last = np.searchsorted(ids, sought, "left"), np.searchsorted(ids, sought, "right")
            times = last - first
            number = int(times.sum())
            rows = np.repeat(np.arange(len(sought)), times)
            places = np.arange(number) - np.repeat(np.cumsum(times) - times, times) + np.repeat(first, times)
            texts = batch.select(columns)
            for bucket, some in by_bucket(buckets[places]):
                own = [pa.array(ordered[places[some]]), pa.array(buckets[places[some]], pa.int32())]
                yield bucket, pa.RecordBatch.from_arrays([*texts.take(pa.array(rows[some])).columns, *own], schema=schema)

    workspace.deal(name, pieces(), schema)


def packed(ids: pa.Array) -> Ids:
    """Return ids of 32 hex digits as 16 bytes each, without an object for each."""
    _, offsets, digits = ids.buffers()
    begin = int(np.frombuffer(offsets, np.int32)[ids.offset]) if len(ids) else 0
    return np.frombuffer(unhexlify(memoryview(digits or b"")[begin : begin + 2 * _BYTES * len(ids)]), f"S{_BYTES}")


def _ranks(workspace: Workspace, query: str) -> tuple[Ids, npt.NDArray[np.int64], npt.NDArray[np.int16]]:
    """Return the ids in order, and the rank and the bucket of each."""
    ((number,),) = workspace.rows(f"SELECT count(*) FROM ({query})")
    ids, ranks, buckets = np.empty(number, f"S{_BYTES}"), np.empty(number, np.int64), np.empty(number, np.int16)
    first = 0
    for batch in workspace.stream(f"SELECT sample_id, rank, bucket FROM ({query})", rows=DEALT_ROWS):
        here = slice(first, first + len(batch))
        ids[here] = packed(batch["sample_id"])
        ranks[here], buckets[here] = batch["rank"].to_numpy(), batch["bucket"].to_numpy()
        first += len(batch)
    order = np.argsort(ids, kind="stable")
    # One after the other: of each, what was out of order goes before the next is copied.
    ids = ids[order]
    ranks = ranks[order]
    buckets = buckets[order]
    return ids, ranks, buckets
