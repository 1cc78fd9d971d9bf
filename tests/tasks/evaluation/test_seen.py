"""Held-out prompts in what was trained on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.errors import SourceError
from storage.lake import Lake
from tasks.evaluation.seen import Training, landed, seen, written
from tasks.sources import PromptSource
from tests.tasks.benchmarks import prose
from tests.tasks.landed import land, trace

ITEMS = [prose("first", 20), prose("second", 20), "What is the capital of France?", prose("answer", 30)]


def questions(folder: Path) -> tuple[PromptSource, ...]:
    """Write two sources of two held-out prompts each; the last one has a long reference."""
    exams = [
        [{"prompt": ITEMS[0]}, {"prompt": ITEMS[1]}],
        [{"prompt": ITEMS[2]}, {"prompt": "Name them.", "reference": ITEMS[3]}],
    ]
    for number, rows in enumerate(exams):
        (folder / f"exam{number}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tuple(PromptSource(source=str(folder / f"exam{number}.jsonl")) for number in range(2))


def look(folder: Path, *training: Training) -> list[tuple[int, str]]:
    """Return the prompts that are found, each with where."""
    found = seen(questions(folder), training, seed=0, check=lambda: None)
    return [(each.ord, each.place) for each in found]


def test_a_landed_build(tmp_path: Path):
    """Prompts, responses and reasoning of its traces count, but for those that are held back for tests."""
    lake = Lake(tmp_path / "lake")
    lake.mend()
    turns: dict[str, Any] = {"messages": [{"role": "user", "content": f"Please: {ITEMS[0]}"}]}
    rows = [
        trace(0, **turns),
        trace(1, response="x", split="test", messages=[{"role": "user", "content": ITEMS[1]}]),
        trace(2, reasoning=f"So: {ITEMS[3]}"),
        trace(3, messages=[{"role": "user", "content": ITEMS[2]}]),
    ]
    build = land(lake, rows)
    found = look(tmp_path, landed(lake, build))
    assert found == [(0, "prompt of prompt p0"), (2, "prompt of prompt p3"), (3, "reasoning of sample s2")]


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_files(tmp_path: Path, ending: str):
    """All texts of all columns of an export count, however they are nested, and a short question where it is a whole one."""
    rows = [
        {"messages": [{"role": "user", "content": ITEMS[2]}, {"role": "assistant", "content": f"{ITEMS[1]} Yes."}], "n": 1},
        {"messages": [{"role": "user", "content": f"{ITEMS[2]} And of Spain?"}, {"role": "assistant", "content": "?"}], "n": 2},
    ]
    path = tmp_path / f"train.{ending}"
    if ending == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    assert [ord_ for ord_, _ in look(tmp_path, written(str(path)))] == [1, 2]


def test_each_training_data(tmp_path: Path):
    """A prompt that stands in two of them is told of both, whatever their columns are called."""
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": ITEMS[0]}) + "\n")
    pq.write_table(pa.table({"text": [ITEMS[0]]}), tmp_path / "b.parquet")
    both = [written(str(tmp_path / name)) for name in ("a.jsonl", "b.parquet")]
    assert [ord_ for ord_, _ in look(tmp_path, *both)] == [0, 0]


def test_shards_of_tokens(tmp_path: Path):
    """Numbers can't be looked through, and that is said: else nothing found would look like nothing there."""
    pq.write_table(pa.table({"input_ids": [[1, 2]]}), tmp_path / "tokens.parquet")
    with pytest.raises(SourceError, match="has no texts"):
        look(tmp_path, written(str(tmp_path / "tokens.parquet")))


def test_what_isnt_read(tmp_path: Path):
    """A form that isn't looked through is an error, never an empty answer."""
    (tmp_path / "shards.arrow").write_bytes(b"")
    with pytest.raises(SourceError, match="Parquet, JSONL and CSV"):
        look(tmp_path, written(str(tmp_path / "shards.arrow")))
