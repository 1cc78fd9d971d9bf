"""Shards of tokens: conversations are the same whatever holds them, and what can't be trained on is one line."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from storage.errors import SourceError
from tasks.distillation import shards
from tasks.distillation.shards import Rows, files, index, read
from tests.tasks.distillation.tokens import conversations, packed, write

KINDS = ("parquet", "arrow", "jsonl")


def back(rows: Rows) -> list[dict[str, Any]]:
    """Return conversations as an export had them."""
    found = []
    for begin, end in zip(rows.bounds[:-1], rows.bounds[1:], strict=True):
        row: dict[str, Any] = {"input_ids": rows.tokens[begin:end].tolist(), "labels": rows.labels[begin:end].tolist()}
        if rows.marks is not None and rows.ids is not None and rows.logprobs is not None:
            spans = list(zip(rows.marks[begin:end], rows.marks[begin + 1 : end + 1], strict=True))
            row["top_ids"] = [rows.ids[a:b].tolist() or None for a, b in spans]
            row["top_logprobs"] = [np.round(rows.logprobs[a:b], 4).tolist() or None for a, b in spans]
        found.append(row)
    return found


def plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what is read of rows."""
    rounded = [
        row
        | (
            {"top_logprobs": [each and np.round(np.float32(each), 4).tolist() for each in row["top_logprobs"]]}
            if "top_logprobs" in row
            else {}
        )
        for row in rows
    ]
    return [{name: value for name, value in row.items() if name != "length"} for row in rounded]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("packing", [False, True])
@pytest.mark.parametrize("top", [0, 3])
def test_every_form_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, packing: bool, top: int):
    """Parquet, Arrow and JSONL, packed or not, with distributions or without, hold the conversations that were written."""
    monkeypatch.setattr(shards, "LINES", 7)
    rows = conversations(20, top=top)
    write(tmp_path / f"train-00000-of-00001.{kind}", packed(rows) if packing else rows, group=3)
    found = index(files(tmp_path, "train"))
    assert [row for block in found.blocks for row in back(read(block))] == plain(rows)
    assert found.lengths.tolist() == [row["length"] for row in rows]
    assert found.trained.tolist() == [sum(label != -100 for label in row["labels"]) for row in rows]
    assert found.starts[-1] == 20
    assert found.soft == bool(top)
    assert found.largest == max(max(row["input_ids"]) for row in rows)


def test_splits(tmp_path: Path):
    """A file is of the split that begins its name; of none, it is for training; test is nobody's."""
    for name in ("train-00001-of-00002", "train-00000-of-00002", "validation-00000-of-00001", "test-00000-of-00001", "more"):
        write(tmp_path / f"{name}.jsonl", conversations(1))
    assert [path.stem for path in files(tmp_path, "train")] == ["more", "train-00000-of-00002", "train-00001-of-00002"]
    assert [path.stem for path in files(tmp_path, "validation")] == ["validation-00000-of-00001"]
    assert files(tmp_path / "more.jsonl", "validation") == []


def test_the_first_token_follows_nothing(tmp_path: Path):
    """Nor does the first of a conversation behind another one."""
    row = {"input_ids": [1, 2, 3, 4], "labels": [1, 2, 3, 4], "seq_lengths": [2, 2]}
    write(tmp_path / "a.jsonl", [row])
    found = index([tmp_path / "a.jsonl"])
    assert read(found.blocks[0]).labels.tolist() == [-100, 2, -100, 4]
    assert found.trained.tolist() == [1, 1]


ROW = {"input_ids": [1, 2], "labels": [-100, 2]}
TWICE = {"top_ids": [[], [2, 2]], "top_logprobs": [[], [-1.0, -1.0]]}
WRONG = {
    "no labels": ({"input_ids": [1]}, "labels"),
    "labels of another length": (ROW | {"labels": [1]}, "differ in length"),
    "lengths of another row": (ROW | {"seq_lengths": [3]}, "seq_lengths"),
    "half of a distribution": (ROW | {"top_ids": [[], [1]]}, "one is missing"),
    "a distribution for one token": (ROW | {"top_ids": [[1]], "top_logprobs": [[-1.0]]}, "one list for each"),
    "ids without logprobs": (ROW | {"top_ids": [[], [1, 2]], "top_logprobs": [[], [-1.0]]}, "differ in length"),
    "probabilities": (ROW | {"top_ids": [[], [1, 2]], "top_logprobs": [[], [0.6, 0.3]]}, "natural logarithms"),
    "no number": (ROW | {"top_ids": [[], [1]], "top_logprobs": [[], [math.nan]]}, "no number"),
    "an id twice": (ROW | TWICE, "twice"),
    "an id below 0": (ROW | {"input_ids": [1, -2]}, "below 0"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said(tmp_path: Path, case: str):
    """The file is named, and what is wrong with it."""
    row, expected = WRONG[case]
    write(tmp_path / "a.jsonl", [row])
    with pytest.raises(SourceError) as error:
        index([tmp_path / "a.jsonl"])
    assert "a.jsonl" in str(error.value)
    assert expected in str(error.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_named(tmp_path: Path, kind: str):
    """A file that isn't what its name says is one line."""
    (tmp_path / f"a.{kind}").write_bytes(b"{no file of any kind")
    with pytest.raises(SourceError, match=f"a.{kind}"):
        index([tmp_path / f"a.{kind}"])


def test_nothing_there(tmp_path: Path):
    """A folder that isn't there, or without shards, is one line."""
    with pytest.raises(SourceError, match="isn't there"):
        files(tmp_path / "no", "train")
    with pytest.raises(SourceError, match="has no shards"):
        files(tmp_path, "train")
