"""Shards of tokens as an export would write them, of which every token says where it stands."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

VOCABULARY = 64


def conversations(number: int, *, seed: int = 0, top: int = 0, most: int = 24) -> list[dict[str, Any]]:
    """Make rows that can be learnt: each token follows from the one before, and the first quarter is a prompt."""
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(number):
        length = int(random.integers(6, most))
        ids = [int(random.integers(VOCABULARY))]
        while len(ids) < length:
            ids.append((ids[-1] * 5 + 3) % VOCABULARY)
        learnt = length // 4 + 1
        row: dict[str, Any] = {"input_ids": ids, "labels": [-100] * learnt + ids[learnt:], "length": length}
        if top:
            others = [[(each + other * 7) % VOCABULARY for other in range(top)] for each in ids]
            row["top_ids"] = [None if place < learnt else each for place, each in enumerate(others)]
            shares = [math.log(0.8)] + [math.log(0.15 / (top - 1))] * (top - 1)
            row["top_logprobs"] = [None if place < learnt else shares for place in range(length)]
        rows.append(row)
    return rows


def packed(rows: list[dict[str, Any]], per_row: int = 3) -> list[dict[str, Any]]:
    """Put several conversations into a row."""
    found = []
    for begin in range(0, len(rows), per_row):
        parts = rows[begin : begin + per_row]
        names = [name for name in parts[0] if name != "length"]
        row = {name: [value for part in parts for value in part[name]] for name in names}
        found.append(row | {"seq_lengths": [part["length"] for part in parts]})
    return found


def write(path: Path, rows: list[dict[str, Any]], *, group: int = 7) -> None:
    """Write a shard of the form that its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return
    ints = pa.list_(pa.int32())
    kinds = {"length": pa.int32(), "top_ids": pa.list_(ints), "top_logprobs": pa.list_(pa.list_(pa.float32()))}
    table = pa.Table.from_pylist(rows, schema=pa.schema([(name, kinds.get(name, ints)) for name in rows[0]]))
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=group)
        return
    with pa.ipc.new_stream(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=group)
