"""Soft labels from a real teacher: llama.cpp's distributions, through the lake, beside a student's tokens."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tasks.exporters.chat import vocabulary_of
from tasks.teachers.embedded import find_model
from tasks.teachers.weights import revision
from tests.e2e.conftest import Workplace
from tests.tasks.exporters import students

HALF = 2e-3
"""What a mass may be off by, where alternatives are stored in half precision."""
pytestmark = [pytest.mark.model, pytest.mark.slow, pytest.mark.timeout(600)]


def test_from_teacher_to_rows(workplace: Workplace):
    """Rows have the teacher's own probabilities, a mass of 1 at most, in every layout and for either student; again: the same bytes."""
    smollm, pieces = (students.smollm(workplace.folder / "smollm"), students.sentencepiece(workplace.folder / "pieces"))
    own = {"format": "soft", "tokenizer": smollm, "logprobs": "float32"}
    workplace.spec = {
        "dataset": "sums",
        "seed": 1,
        "prompts": [{"source": workplace.prompts(2), "license": "MIT"}],
        "teachers": [{"name": "smol", "provider": "local", "model": "smollm2-135m-instruct", "license": "Apache-2.0"}],
        "sampling": {"k": 2, "temperature": 0.9, "max_tokens": 16, "seed": 0, "logprobs": 5},
        "dedup": {"exact": False},
        "exports": [
            own | {"to": str(workplace.folder / "own")},
            own | {"to": str(workplace.folder / "kit"), "layout": "distillkit"},
            own | {"to": str(workplace.folder / "other"), "tokenizer": pieces, "min_aligned": 0.1},
        ],
    }
    assert workplace.build()["kept"] == 4
    rows = pq.read_table(workplace.folder / "own" / "train-00000-of-00001.parquet").to_pylist()
    assert len(rows) == 4
    parts = (workplace.lake / "samples").rglob("*.parquet")
    by_id = {each["sample_id"]: each["logprobs"] for part in parts for each in pq.read_table(part).to_pylist()}
    for row in rows:
        assert row["teacher_revision"] == revision(find_model())
        assert row["student_revision"] == revision(Path(smollm))
        assert row["length"] == len(row["input_ids"]) == len(row["top_ids"]) == len(row["rest"])
        given = {float(np.float32(each)) for each in by_id[row["sample_id"]]["logprobs"]}
        for label, ids, logprobs, rest in zip(row["labels"], row["top_ids"], row["top_logprobs"], row["rest"], strict=True):
            if not ids:
                continue
            mass = np.exp(np.array(logprobs)).sum()
            assert mass <= 1 + HALF
            assert mass + rest == pytest.approx(1, abs=HALF)
            assert logprobs[ids.index(label)] in given
    facts = {name: _facts(workplace.folder / name) for name in ("own", "kit", "other")}
    assert facts["own"]["traces_by"]["ids"] == 4
    assert facts["own"]["aligned_tokens"] > 0.9 * facts["own"]["trained_tokens"]
    assert facts["other"]["aligned_tokens"] > 0.1 * facts["other"]["trained_tokens"]
    assert facts["other"]["vocabulary_sha256"] == vocabulary_of(pieces).sha256
    assert (workplace.folder / "kit" / "compression_config.yaml").read_text().startswith("d: 49152\nk: ")
    before = _bytes(workplace.folder)
    assert workplace.build()["paid"] == 0
    assert _bytes(workplace.folder) == before


def _facts(folder: Path) -> dict[str, float]:
    (split,) = json.loads((folder / "manifest.json").read_text())["splits"].values()
    return split["facts"]


def _bytes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.glob("*/*.parquet") if path.parent.name != "lake"}
