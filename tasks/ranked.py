"""Stored samples in a new order: their texts are dealt into buckets by the rank that each sample has."""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Callable, Iterator

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


def deal_samples(
    workspace: Workspace, name: str, columns: list[str], ranks: str, *, check: Callable[[], None] = lambda: None
) -> None:
    """Deal the `columns` of samples, with their `rank` and `bucket` after them.

    `ranks` is a query for sample_id, rank and bucket; a sample may have several ranks. `check` raises where this is to end.

    A join would be simpler. But one whose ids don't fit into DuckDB's memory spills the texts too; here 26 bytes a rank do.
    """
    ids, ordered, buckets = _ranks(workspace, ranks)
    workspace.let_go()
    schema = pa.schema([*map(SAMPLES.field, columns), ("rank", pa.int64()), ("bucket", pa.int32())])
    rows = workspace.at_once(DEALT_ROWS)
    wanted = f"SELECT sample_id AS looked_up, {', '.join(columns)}"
    source = (batch for parts in workspace.portions() for batch in workspace.stream(f"{wanted} FROM {parts}", rows=rows))

    def pieces() -> Iterator[tuple[int, pa.RecordBatch]]:
        for batch in source:
            check()
            sought = packed(batch["looked_up"])
            first, last = np.searchsorted(ids, sought, "left"), np.searchsorted(ids, sought, "right")
            times = last - first
            number = int(times.sum())
            rows = np.repeat(np.arange(len(sought)), times)
            places = np.arange(number) - np.repeat(np.cumsum(times) - times, times) + np.repeat(first, times)
            # All at once: each bucket's own are then a slice.
            dealt = np.argsort(buckets[places], kind="stable")
            places = places[dealt]
            own = [pa.array(ordered[places]), pa.array(buckets[places], pa.int32())]
            texts = batch.select(columns).take(pa.array(rows[dealt]))
            whole = pa.RecordBatch.from_arrays([*texts.columns, *own], schema=schema)
            for bucket, some in by_bucket(buckets[places]):
                yield bucket, whole.slice(some[0], len(some))

    workspace.deal(name, pieces(), schema)
    workspace.let_go()


def dealt_once(workspace: Workspace, name: str, bucket: int) -> str:
    """Return the table of one bucket of what was dealt, each rank once: a lake may have a sample twice."""
    once = "QUALIFY row_number() OVER (PARTITION BY rank ORDER BY created_at, response) = 1"
    return f"(FROM {workspace.dealt(name, bucket)} {once})"


def packed(ids: pa.Array) -> Ids:
    """Return ids of 32 hex digits as 16 bytes each, without an object for each."""
    _, offsets, digits = ids.buffers()
    begin = int(np.frombuffer(offsets, np.int32)[ids.offset]) if len(ids) else 0
    return np.frombuffer(unhexlify(memoryview(digits or b"")[begin : begin + 2 * _BYTES * len(ids)]), f"S{_BYTES}")


def _ranks(workspace: Workspace, query: str) -> tuple[Ids, npt.NDArray[np.int64], npt.NDArray[np.int16]]:
    """Return the ids in order, and the rank and the bucket of each.

    Those that begin with one digit are put in order at a time, so that there is little beside them in memory.
    """
    ((number,),) = workspace.rows(f"SELECT count(*) FROM ({query})")
    ids, ranks, buckets = np.empty(number, f"S{_BYTES}"), np.empty(number, np.int64), np.empty(number, np.int16)
    first = 0
    for digit in "0123456789abcdef":
        begin = first
        some = f"SELECT sample_id, rank, bucket FROM ({query}) WHERE starts_with(sample_id, '{digit}')"
        for batch in workspace.stream(some, rows=DEALT_ROWS):
            here = slice(first, first + len(batch))
            ids[here] = packed(batch["sample_id"])
            ranks[here], buckets[here] = batch["rank"].to_numpy(), batch["bucket"].to_numpy()
            first += len(batch)
        here = slice(begin, first)
        order = np.argsort(ids[here], kind="stable")
        for each in (ids, ranks, buckets):
            each[here] = each[here][order]
    if first != number:
        raise AssertionError(f"{first} ids of {number} begin with a digit")
    return ids, ranks, buckets
