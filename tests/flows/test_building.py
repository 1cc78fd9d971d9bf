"""What a run does with what a lost worker has left, and with what an earlier build asked for in vain."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from flows.building import Run
from flows.loading import load_spec
from flows.plan import plan
from flows.working import work_shards
from storage.errors import QuotaSpent, SpecError
from storage.lake import Lake
from tasks import lapsed
from tests.e2e.teacher import LoopbackTeacher, completion


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


async def test_what_can_be_known_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A tokenizer is read and a store asked beside the loop, which hears of a signal meanwhile."""
    threads = []

    def check(*_: object) -> None:
        threads.append(threading.current_thread())
        raise SpecError("wrong")

    monkeypatch.setattr("flows.building.check", check)
    (tmp_path / "spec.yaml").write_text(
        "{dataset: d, prompts: [{source: p.jsonl}], teachers: [{name: t, provider: replay, model: m, path: a.jsonl}]}"
    )
    with pytest.raises(SpecError, match="wrong"):
        async with Run(load_spec(tmp_path / "spec.yaml"), tmp_path / "spec.yaml", Lake(tmp_path / "lake")):
            pass
    assert threads != [threading.main_thread()]


def _asked(teacher: LoopbackTeacher) -> int:
    """Return how often it was asked for a prompt's sample."""
    return sum(body["messages"][-1]["content"].startswith("Case") for body in teacher.bodies)


async def built(path: Path, lake: Path) -> dict[str, Any]:
    """Build a spec."""
    async with Run(load_spec(path), path, Lake(lake)) as run:
        await run.prepare()
        await work_shards(run, run.work)
        await run.judge_together()
        return await run.land(await run.curate())


@pytest.mark.parametrize("mended", [False, True])
async def test_what_failed_in_the_last_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mended: bool):
    """A hundred are asked for again; the others only where these come, and else they end as before. New prompts are asked."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(lapsed, "LATER", 0)
    refused = range(150)

    def answer(body: dict[str, Any], sold: int) -> tuple[int, dict[str, Any]]:
        words = body["messages"][-1]["content"].split()
        if words[0] == "Case" and int(words[1]) in refused:
            return 400, {"error": {"message": "a filter"}}
        return 200, completion([f"No. {sold}"])

    def write(prompts: int) -> None:
        rows = [{"prompt": f"Case {n} ?"} for n in range(prompts)]
        (tmp_path / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    path, lake = tmp_path / "spec.yaml", tmp_path / "lake"
    with LoopbackTeacher(answer) as teacher:
        entry = {"name": "t", "provider": "openai", "model": "m", "base_url": teacher.url, "license": "Apache-2.0"}
        prompts = [{"source": str(tmp_path / "p.jsonl"), "license": "MIT"}]
        path.write_text(json.dumps({"dataset": "d", "prompts": prompts, "teachers": [entry], "dedup": {"exact": False}}))
        write(160)
        first = await built(path, lake)
        assert (first["kept"], first["failed"], _asked(teacher)) == (10, 150, 160)
        write(165)
        if mended:
            refused = range(0)
        foreseen = await plan(load_spec(path), path, Lake(lake), lambda _: None)
        assert (foreseen.missing, foreseen.expected, foreseen.teachers[0].requests) == (155, 5, 5)
        for kept, asked in ((165, 155), (165, 0)) if mended else ((15, 105), (15, 100)):
            teacher.bodies.clear()
            again = await built(path, lake)
            assert (again["kept"], again["failed"], _asked(teacher)) == (kept, 165 - kept, asked)
    outcomes = Lake(lake).snapshot("outcomes", "d", again["build_id"]) / "part-00000.parquet"
    told = {row["reason"] for row in pq.read_table(outcomes, partitioning=None).to_pylist() if row["outcome"] == "failed"}
    assert len(told) == (not mended)
