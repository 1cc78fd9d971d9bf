"""Rehearsing a spec on simulated teachers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from flows.rehearse import rehearse, simulated
from flows.spec import Spec
from storage.errors import QuotaSpent
from tasks.teachers.sampling import SamplingOptions

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


def test_limits_are_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day's cap holds for one rehearsal, and uses up nothing of the day; each replica has its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    Path("p.jsonl").write_text("\n".join(json.dumps({"prompt": f"case {i}?", "reference": "7"}) for i in range(20)))
    limits = {"requests_per_day": 20, "requests_per_minute": 60_000}
    replicas = [{"base_url": f"http://127.0.0.1:{port}/v1", "api_key_env": f"KEY_{port}", "limits": limits} for port in (1, 2)]
    first, judge = GOOD["teachers"]
    spec = Spec.model_validate(GOOD | {"teachers": [first | {"replicas": replicas}, judge]})
    for _ in range(2):
        assert rehearse(spec, Path("spec.yaml"), Console(stderr=True), prompts=20).samples == 40
    with pytest.raises(QuotaSpent):
        rehearse(spec.model_copy(update={"sampling": SamplingOptions(k=3)}), Path("spec.yaml"), Console(stderr=True), prompts=20)
    assert not (tmp_path / "state").exists()


def test_batches_at_their_price() -> None:
    """What goes through batches costs what a batch costs."""
    batched = {"name": "b", "provider": "openai-batch", "model": "m", "license": "MIT", "price": {"input": 1, "output": 2}}
    spec = Spec.model_validate(GOOD | {"teachers": [batched, GOOD["teachers"][1]]})
    (teacher, _) = simulated(spec, Path("spec.yaml")).teachers
    assert teacher.paid is not None
    assert (teacher.paid.input, teacher.paid.output) == (0.5, 1.0)


def test_what_is_simulated() -> None:
    """Teachers keep their limits, prices and retries; judges and exports are left out."""
    spec = Spec.model_validate(GOOD)
    made = simulated(spec, Path("spec.yaml"))
    assert [teacher.provider for teacher in made.teachers] == ["simulate", "simulate"]
    assert made.teachers[0].price == spec.teachers[0].price
    assert [entry.use for entry in made.verify] == ["exact_match"]
    assert made.exports == ()
