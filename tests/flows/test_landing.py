"""What a landing writes of a build."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flows.building import Run
from flows.loading import load_spec
from flows.working import work_shards
from storage.lake import Lake


async def build(path: Path, lake: Lake) -> dict[str, Any]:
    """Build without Prefect, and return the manifest."""
    async with Run(load_spec(path), path, lake) as run:
        await run.prepare()
        await work_shards(run, run.work)
        await run.judge_together()
        return await run.land(await run.curate())


async def test_a_clock_that_was_set_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A build is the newest one once it has landed, whatever time it is: exports, reports and diffs take that one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jsonl").write_text(json.dumps({"prompt_id": "p", "responses": ["4"]}) + "\n")
    (tmp_path / "p.jsonl").write_text(json.dumps({"id": "p", "prompt": "What is 2 + 2?"}) + "\n")
    teacher = {"name": "t", "provider": "replay", "model": "m", "path": "a.jsonl", "license": "MIT"}
    spec = {"dataset": "d", "prompts": [{"source": "p.jsonl", "license": "MIT"}], "teachers": [teacher]}
    path = tmp_path / "spec.yaml"
    path.write_text(json.dumps(spec))
    lake = Lake(tmp_path / "lake")
    first = await build(path, lake)
    ahead = lake.root / "manifests" / "builds" / f"{first['build_id']}.json"
    ahead.write_text(json.dumps(first | {"created_at": "2999-12-31T23:59:59.999999+00:00"}))
    second = await build(path, lake)
    assert second["created_at"] == "3000-01-01T00:00:00.000000+00:00"
    third = await build(path, lake)
    assert [each["build_id"] for each in lake.builds("d")] == [each["build_id"] for each in (first, second, third)]
