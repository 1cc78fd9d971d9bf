"""Responses as long as a model thinks today: a hundred thousand characters each."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.e2e.conftest import Workplace

pytestmark = pytest.mark.slow

PROMPTS, WORDS = 1_500, 18_000


def recorded(folder: Path) -> str:
    """Write answers, each of which thinks in words of its own, and return the path."""
    rng = random.Random(0)
    known = [f"w{number}" for number in range(5_000)]
    path = folder / "answers.jsonl"
    with path.open("w") as file:
        for number in range(PROMPTS):
            thought = " ".join(rng.choices(known, k=WORDS))
            file.write(json.dumps({"prompt_id": f"p{number}", "responses": [f"<think>{thought}</think>The answer is 1."]}) + "\n")
    return str(path)


def test_a_build(workplace: Workplace):
    """It lands and is exported as it is set up, near-duplicates and most diverse ones looked for too."""
    prompts = workplace.folder / "prompts.jsonl"
    rows = ({"id": f"p{number}", "prompt": f"Case {number}?", "reference": "1"} for number in range(PROMPTS))
    prompts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    workplace.environment.pop("STILLHOUSE_DUCKDB_MEMORY", None)
    workplace.spec = {
        "dataset": "long",
        "prompts": [{"source": str(prompts), "license": "MIT"}],
        "teachers": [{"name": "r", "provider": "replay", "model": "m", "path": recorded(workplace.folder), "license": "MIT"}],
        "verify": [{"use": "exact_match", "kind": "number"}],
        "dedup": {"near": {"threshold": 0.8}},
        "select": {"per_prompt": 1, "prefer": "diverse"},
        "exports": [{"format": "messages", "to": str(workplace.folder / "out")}],
    }
    found = workplace.build()
    assert (found["kept"], found["failed"], found["exports"][0]["rows"]) == (PROMPTS, 0, PROMPTS)
