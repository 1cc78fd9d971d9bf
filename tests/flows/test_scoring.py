"""Scoring with a real model what it drew itself."""

from __future__ import annotations

import io
import json
from pathlib import Path

import duckdb
import pytest
from rich.console import Console

from flows.probe import probe
from flows.scoring import Asked, Scores, score
from flows.spec import Spec
from storage.lake import Lake
from tasks.draw import Spending

pytestmark = [pytest.mark.model, pytest.mark.slow]


def test_a_greedy_draw(tmp_path: Path):
    """What llama.cpp's real server says of its own greedy answers as they are scored is what it said as it wrote them."""
    prompts, lake, console = tmp_path / "p.jsonl", Lake(tmp_path / "lake"), Console(file=io.StringIO())
    prompts.write_text("".join(json.dumps({"prompt": f"How much is {n} + 2?"}) + "\n" for n in range(2)))
    teacher = {"name": "t", "provider": "local", "model": "smollm2-135m-instruct", "license": "Apache-2.0"}
    spec = Spec.model_validate(
        {
            "dataset": "greedy",
            "prompts": [{"source": str(prompts), "license": "CC0-1.0"}],
            "teachers": [teacher | {"limits": {"concurrency": 1}}],
            "sampling": {"temperature": 0, "max_tokens": 10, "logprobs": 5},
        }
    )
    assert probe(spec, tmp_path / "spec.yaml", lake, console, prompts=2).paid == 2

    def graded_by_itself() -> Scores:
        return score(
            spec, tmp_path / "spec.yaml", lake, console, asked=Asked(teacher="t", top=5, which="all"), spending=Spending()
        )

    found = graded_by_itself()
    assert (found.scored, found.failed) == (2, {})
    again = graded_by_itself()
    assert (again.scored, again.stored, again.fit) == (0, 2, found.fit)
    with duckdb.connect(str(lake.catalog), read_only=True) as connection:
        pairs = connection.execute(
            "SELECT samples.response, samples.finish_reason, samples.logprobs, scores.logprobs FROM samples JOIN scores USING (sample_id)"
        ).fetchall()
    assert len(pairs) == 2
    for response, finish_reason, drawn, graded in pairs:
        assert b"".join(graded["tokens"]).decode() == response
        number = len(drawn["ids"])  # one that was cut off has no end
        assert graded["ids"][:number] == drawn["ids"]
        assert graded["logprobs"][:number] == pytest.approx(drawn["logprobs"], abs=1e-3)
        assert graded["top_ids"][: 5 * number] == drawn["top_ids"]
        assert len(graded["ids"]) - number == (finish_reason == "length")
