"""What an export wrote, read back, and what it should be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.json as pj
import pyarrow.parquet as pq
import pytest

from storage.lake import Lake
from tasks.exporters.messages import Messages
from tests.tasks.landed import trace

FILES = pytest.mark.parametrize("file", ["parquet", "jsonl", "arrow"])


EVERY_FILE = pytest.mark.parametrize("file", ["parquet", "jsonl", "arrow", "tar"])


DOCUMENTS = ["LICENSE", "NOTICE", "README.md", "croissant.json", "manifest.json"]


def expected(n: int) -> dict[str, Any]:
    """Return the row that a trace becomes."""
    given = trace(n)
    messages = [*given["messages"], {"role": "assistant", "content": given["response"]}]
    return {"messages": messages} | {name: given[name] for name in Messages().schema.names[1:]}


def load(path: Path) -> list[dict[str, Any]]:
    """Load a shard with Arrow."""
    if path.suffix == ".arrow":
        return pa.ipc.open_stream(path.read_bytes()).read_all().to_pylist()
    return (pq.read_table(path) if path.suffix == ".parquet" else pj.read_json(path)).to_pylist()


def rows_of(lake: Lake, manifest: dict[str, Any], split: str = "train") -> list[dict[str, Any]]:
    """Return all rows of a split of the export in `out`."""
    shards = [shard["file"] for shard in manifest["shards"] if shard["split"] == split]
    return [row for shard in shards for row in load(lake.root.parent / "out" / shard)]


def numbers(rows: list[dict[str, Any]]) -> list[int]:
    """Return the numbers of the traces that rows are of."""
    return [int(row["sample_id"].removeprefix("s")) for row in rows]


def shards_in(folder: Path) -> dict[str, bytes]:
    """Return every shard of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in DOCUMENTS}
