"""Rows on their way into a spool."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tasks.publishing.containers import CONTAINERS
from tasks.publishing.filling import fill
from tasks.publishing.spool import Spool
from tasks.publishing.traces import BATCH_BYTES, BATCH_ROWS

VALUES = {
    "text": (pa.string(), lambda size: "x" * size),
    "turns": (pa.list_(pa.struct({"content": pa.string()})), lambda size: [{"content": "x" * size}]),
    "texts": (pa.list_(pa.string()), lambda size: ["x" * size]),
    "tokens": (pa.list_(pa.int32()), lambda size: [1] * (size // 4)),
    "distributions": (pa.list_(pa.list_(pa.int32())), lambda size: [[1] * (size // 4)]),
}


@dataclass(frozen=True)
class Rows:
    """An exporter whose rows are there already."""

    schema: pa.Schema
    one_to_one = True

    def rows(self, source: Iterable[Any]) -> Iterator[dict[str, Any]]:
        """Yield them."""
        yield from source


@pytest.mark.parametrize("kind", VALUES)
def test_few_large_rows_at_a_time(tmp_path: Path, kind: str):
    """However small the rows before them were, large ones are packed few at a time, in their order."""
    type_, make = VALUES[kind]
    schema = pa.schema([("value", type_), ("license", pa.string())])
    sizes = [4] * (2 * BATCH_ROWS + 1) + [BATCH_BYTES * 2 // 3] * 5 + [4] * 3
    rows = ({"value": make(size), "license": "MIT"} for size in sizes)
    packed: list[int] = []

    def see(taken: Sequence[Any]) -> None:
        packed.append(len(taken))

    with Spool(tmp_path / "spool", schema) as spool:
        fill(spool, CONTAINERS["parquet"], Rows(schema), rows, name="rows", traces=len(sizes), see=see)
        assert packed == [BATCH_ROWS, BATCH_ROWS, 3, 2, 4]
        assert [value for batch in spool.read() for value in batch["value"].to_pylist()] == [make(size) for size in sizes]
