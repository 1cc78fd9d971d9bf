"""Rehearsing a spec on simulated teachers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from flows.rehearse import rehearse, simulated
from flows.spec import Spec

GOOD: dict[str, Any] = {
    "dataset": "d",
    "prompts": [{"source": "p.jsonl", "license": "MIT"}],
    "teachers": [
        {
            "name": "t",
            "provider": "openai",
            "model": "m",
            "base_url": "http://127.0.0.1:1/v1",
            "license": "MIT",
            "price": {"input": 1, "output": 2},
            "simulate": {"latency_s": 0.01, "tokens": 10},
        },
        {"name": "j", "provider": "openai", "model": "j", "base_url": "http://127.0.0.1:1/v1", "draw": False},
    ],
    "sampling": {"k": 2},
    "verify": [{"use": "exact_match", "kind": "text"}, {"use": "judge", "teacher": "j", "rubric": "r", "pass_at": 5}],
    "exports": [{"format": "messages", "to": "out"}],
}


def test_nobody_is_asked_and_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The draw runs under the spec's own limits; no server is asked, no lake is made, and the cost is what it would have been."""
    monkeypatch.chdir(tmp_path)
    rows = [json.dumps({"prompt": f"case {i}?", "reference": "7"}) for i in range(40)]
    Path("p.jsonl").write_text("\n".join(rows))
    found = rehearse(Spec.model_validate(GOOD), Path("spec.yaml"), Console(stderr=True), prompts=10)
    assert (found.prompts, found.samples) == (10, 20)
    assert found.cost_usd > 0
    assert found.samples_per_second > 1
    assert [path.name for path in tmp_path.iterdir()] == ["p.jsonl"]


def test_what_is_simulated() -> None:
    """Teachers keep their limits, prices and retries; judges and exports are left out."""
    spec = Spec.model_validate(GOOD)
    made = simulated(spec, Path("spec.yaml"))
    assert [teacher.provider for teacher in made.teachers] == ["simulate", "simulate"]
    assert made.teachers[0].price == spec.teachers[0].price
    assert [entry.use for entry in made.verify] == ["exact_match"]
    assert made.exports == ()
