"""Prompts of which the verifiers could decide nothing, in plans and builds: nothing is bought for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flows.building import Run
from flows.loading import load_spec
from flows.plan import Plan, plan
from flows.working import work_shards
from storage.errors import SpecError
from storage.lake import Lake
from tasks.report import Summary


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a spec with three prompts, of which two have a reference, and what answers them."""
    rows = [{"id": f"p{i}", "prompt": f"Case {i}?", "reference": "4"} for i in range(3)]
    del rows[2]["reference"]
    _write(tmp_path / "p.jsonl", rows)
    _write(tmp_path / "a.jsonl", [{"prompt_id": row["id"], "responses": [f"Case {row['id']}: the answer is 4."]} for row in rows])
    return _spec(tmp_path)


def _spec(folder: Path, *verify: dict[str, Any], **more: Any) -> Path:
    spec = {
        "dataset": "d",
        "prompts": [{"source": str(folder / "p.jsonl"), "license": "MIT"}],
        "teachers": [{"name": "t", "provider": "replay", "model": "m", "license": "MIT", "path": str(folder / "a.jsonl")}],
        "verify": [{"use": "exact_match", "kind": "number"}, *verify],
    }
    path = folder / "spec.yaml"
    path.write_text(json.dumps(spec | more))
    return path


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


async def _planned(path: Path, lake: Lake, said: list[str]) -> Plan:
    return await plan(load_spec(path), path, lake, said.append)


async def _built(path: Path, lake: Lake, said: list[str]) -> dict[str, Any]:
    async with Run(load_spec(path), path, lake, say=said.append) as run:
        await run.prepare()
        await run.judge_stored()
        await work_shards(run, run.work)
        await run.judge_together()
        return dict(await run.land(await run.curate()))


async def test_some(path: Path, lake: Lake):
    """They are rejected at the stage verify, with the reason, and have cost nothing."""
    assert (await _planned(path, lake, [])).barred == {"verify": 1}
    said: list[str] = []
    manifest = await _built(path, lake, said)
    assert (manifest["requested"], manifest["paid"], manifest["kept"], manifest["rejected"]) == (3, 2, 2, {"verify": 1})
    assert (manifest["responses"], manifest["accepted"], Summary.of(manifest).pass_rate) == (2, 2, 1.0)
    assert manifest["by_teacher"]["t"]["pass_rate"] == 1.0
    assert "1 prompt is rejected at the stage 'verify' before anything is bought" in said


async def test_all(path: Path, lake: Lake):
    """Where no prompt has it, plan and build say so in a line that names what is missing, and where it is named."""
    _write(path.with_name("p.jsonl"), [{"id": f"p{i}", "prompt": f"Case {i}?", "answer": "4"} for i in range(3)])
    told = "verify: none of 3 prompts has a reference, without which nothing could pass exact_match: name the column by prompts"
    with pytest.raises(SpecError, match=told):
        await _planned(path, lake, [])
    with pytest.raises(SpecError, match=told):
        await _built(path, lake, [])


async def test_others_decide(path: Path, lake: Lake):
    """Where another verifier may accept them, they are bought, and a line says of how many one decides nothing."""
    _spec(path.parent, {"use": "length", "min_chars": 1})
    said: list[str] = []
    assert (await _planned(path, lake, said)).barred == {}
    assert "prompts without a reference: 1; what answers them is decided by length alone, and not by exact_match" in said
    assert (await _built(path, lake, []))["kept"] == 3


async def test_a_kind_that_references_are_not_of(path: Path, lake: Lake):
    """A plan tries verifiers that run no code on some references, and says what they can't read."""
    said: list[str] = []
    await _planned(path, lake, said)
    assert not any("tried" in line for line in said)
    _spec(path.parent, verify=[{"use": "all", "of": [{"use": "exact_match", "kind": "choice"}, {"use": "unit_tests"}]}])
    _write(path.with_name("p.jsonl"), [{"id": "p0", "prompt": "Case?", "reference": "4", "tests": "assert True"}])
    await _planned(path, lake, said)
    (line,) = said
    assert line.startswith("tried on the references of 1 prompt, all: exact_match can't decide 1 time of 1: the reference can't")
    assert line.endswith("no choice found (prompt p0); see `stillhouse verify --self-test`")
