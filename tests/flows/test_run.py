"""What a run does with what a lost worker has left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows.loading import load_spec
from flows.run import Run
from flows.working import work_shards
from storage.errors import QuotaSpent
from storage.lake import Lake


async def test_a_judge_whose_day_ends_over_what_a_lost_worker_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The build stops then, as where the day ends earlier: what wasn't judged isn't decided on."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    verdict = json.dumps({"reason": "so", "score": 9})
    answers = [{"prompt_id": "judge", "responses": [verdict]}, *({"prompt_id": f"p{n}", "responses": [f"{n}"]} for n in range(3))]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in answers))
    (tmp_path / "p.jsonl").write_text("".join(json.dumps({"id": f"p{n}", "prompt": f"Case {n}?"}) + "\n" for n in range(3)))
    teacher = {"provider": "replay", "model": "m", "path": "a.jsonl", "license": "Apache-2.0"}
    spec = {
        "dataset": "d",
        "prompts": [{"source": "p.jsonl", "license": "MIT"}],
        "teachers": [teacher | {"name": "t"}, teacher | {"name": "j", "draw": False, "limits": {"requests_per_day": 1}}],
        "verify": [{"use": "judge", "teacher": "j", "rubric": "Is it right?", "pass_at": 7}],
    }
    path = tmp_path / "spec.yaml"
    path.write_text(json.dumps(spec))
    async with Run(load_spec(path), path, Lake(tmp_path / "lake")) as run:
        await run.prepare()
        await work_shards(run, run.work)
        assert not run.stop
        run.at_work.verdicts_lost = True
        await run.judge_together()
        with pytest.raises(QuotaSpent, match="'j': requests_per_day: the 1 of today are used"):
            run.stop.check()
