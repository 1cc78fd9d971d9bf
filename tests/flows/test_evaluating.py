"""An evaluation's run, on recorded answers: every sample gets one grade, and the rates are those of the grades."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from flows.evaluated import contamination, markdown
from flows.evaluating import Contest, ContestOptions
from flows.loading import load_spec
from flows.working import work_shards
from storage.errors import SourceError, SpecError, StorageError
from storage.lake import Lake
from storage.parquet import write_rows
from storage.schemas import TABLES
from tasks import lapsed
from tests.e2e.teacher import LoopbackTeacher, completion
from tests.tasks.benchmarks import prose
from tests.tasks.landed import trace

RIGHT, WRONG, CHATTY = "The answer is 4.", "The answer is 5.", "Certainly! The answer is 4. I hope this helps."
PROMPTS = 12


@pytest.fixture
def spec(tmp_path: Path) -> dict[str, Any]:
    """Give a spec of twelve prompts and two recorded contestants: base passes half of its samples, student all; one lacks one."""
    rows = [
        {"id": f"p{n}", "prompt": prose(f"question {n}", 20), "reference": "4", "tags": {"kind": "odd" if n % 2 else "even"}}
        for n in range(PROMPTS)
    ]
    write(tmp_path / "exam.jsonl", rows)
    write(tmp_path / "base.jsonl", [{"prompt_id": row["id"], "responses": [RIGHT, WRONG]} for row in rows])
    write(tmp_path / "student.jsonl", [{"prompt_id": row["id"], "responses": [CHATTY, CHATTY]} for row in rows])
    return {
        "dataset": "exam",
        "prompts": [{"source": str(tmp_path / "exam.jsonl")}],
        "teachers": [
            {"name": name, "provider": "replay", "model": name, "path": str(tmp_path / f"{name}.jsonl")}
            for name in ("base", "student")
        ],
        "sampling": {"k": 2},
        "verify": [{"use": "exact_match", "kind": "number"}],
    }


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows as JSONL."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def evaluate(folder: Path, spec: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Run an evaluation to its end, without Prefect."""
    path = folder / "spec.yaml"
    path.write_text(json.dumps(spec))

    async def run() -> dict[str, Any]:
        lake = Lake(folder / "lake")
        async with Contest(load_spec(path), path, lake, ContestOptions.of({"resamples": 200} | options)) as contest:
            await contest.prepare()
            await contest.judge_stored()
            await work_shards(contest, contest.work)
            await contest.judge_together()
            return await contest.compare()

    return asyncio.run(run())


def contestants(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the contestants by name."""
    return {each["name"]: each for each in found["contestants"]}


def grades(one: dict[str, Any]) -> list[int]:
    """Return how many samples have each grade."""
    return [one[name] for name in ("asked", "passed", "refuted", "undecided", "unusable", "missing")]


def test_rates(tmp_path: Path, spec: dict[str, Any]):
    """Rates, differences and sums are those of the recorded answers, by tag too; a rerun buys nothing and finds the same."""
    found = evaluate(tmp_path, spec)
    base, student = contestants(found).values()
    assert (base["pass_at"]["1"]["value"], base["pass_at"]["2"]["value"]) == (0.5, 1.0)
    assert (student["pass_at"]["1"]["value"], student["difference"]["1"]["value"]) == (1.0, 0.5)
    assert student["difference"]["1"]["excludes_zero"]
    assert not student["difference"]["2"]["excludes_zero"]
    assert base["difference"] is None
    assert grades(base) == [24, 12, 12, 0, 0, 0]
    assert grades(student) == [24, 24, 0, 0, 0, 0]
    assert [(part["tag"], part["value"], part["prompts"]) for part in found["by_tag"]] == [
        ("kind", "even", 6),
        ("kind", "odd", 6),
    ]
    assert found["paid"] == 48
    again = evaluate(tmp_path, spec)
    assert again["paid"] == 0
    changing = {"evaluation_id", "created_at", "elapsed_s", "stored", "paid", "contamination"}
    assert {name for name in found if found[name] != again[name]} <= changing
    assert json.loads(Path(again["stored"]).read_text()) == again


def test_what_failed_before(tmp_path: Path, spec: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    """What failed in an earlier evaluation is asked for again a few at first, and keeps its error where that is in vain."""

    def refusing(body: dict[str, Any], sold: int) -> tuple[int, dict[str, Any]]:
        if body["messages"][-1]["content"] in refused:
            return 400, {"error": {"message": "a filter"}}
        return 200, completion([RIGHT])

    monkeypatch.setattr(lapsed, "FREE", 3)
    monkeypatch.setattr(lapsed, "LATER", 0)
    refused = {json.loads(line)["prompt"] for line in (tmp_path / "exam.jsonl").read_text().splitlines()[::2]}
    asked = []
    spec["sampling"] = {"k": 1}
    with LoopbackTeacher(refusing) as teacher:
        spec["teachers"] = [{"name": "t", "provider": "openai", "model": "m", "base_url": teacher.url}]
        for _ in range(3):
            found = evaluate(tmp_path, spec)
            asked.append(len(teacher.bodies))
            assert grades(found["contestants"][0]) == [12, 6, 0, 0, 0, 6]
        refused.clear()
        assert grades(evaluate(tmp_path, spec)["contestants"][0]) == [12, 12, 0, 0, 0, 0]
    assert asked == [12, 15, 18]
    noted = Lake(tmp_path / "lake").failed_in_evaluations()
    assert (len(noted), {"a filter" in why for why in noted.values()}) == (6, {True})


def test_a_damaged_note(tmp_path: Path, spec: dict[str, Any]):
    """A note of what failed that can't be read is one line that names it."""
    evaluate(tmp_path, spec)
    (tmp_path / "lake" / "evaluations" / "x.failed.json").write_text("{")
    with pytest.raises(StorageError, match=r"x\.failed\.json: damaged"):
        evaluate(tmp_path, spec)


def test_markdown(tmp_path: Path, spec: dict[str, Any]):
    """All of it stands in Markdown's tables, whatever the contestants' names and tags have in them."""
    rows = [json.loads(line) | {"tags": {"kind": "a|b"}} for line in (tmp_path / "exam.jsonl").read_text().splitlines()]
    write(tmp_path / "exam.jsonl", rows)
    shown = markdown(evaluate(tmp_path, spec))
    assert "| student | 1 | 100.0% [" in shown
    assert "| kind: a\\|b | 12 | base | 50.0% [" in shown
    assert "- trained on: nobody looked" in shown
    tables = [part.splitlines() for part in shown.split("\n\n") if part.startswith("|")]
    assert len(tables) == 4
    for table in tables:
        assert len({line.replace("\\|", "").count("|") for line in table}) == 1


def test_style(tmp_path: Path, spec: dict[str, Any]):
    """What the student learnt of manner is measured beside what it learnt of skill."""
    found = evaluate(tmp_path, spec)
    base, student = found["style"]
    assert (base["style"]["opening"], student["style"]["opening"]) == (0.0, 1.0)
    assert student["change"]["length"]["value"] == pytest.approx(len(CHATTY) / len(RIGHT) - 1, abs=1e-5)
    (said,) = found["statements"]
    assert said.startswith("student against base: skill rose")
    assert "style moved (length" in said


def test_what_is_open(tmp_path: Path, spec: dict[str, Any]):
    """What nobody could judge, and what never came, is no pass; both bounds say what it could have been."""
    rows = [json.loads(line) for line in (tmp_path / "exam.jsonl").read_text().splitlines()]
    rows[0]["reference"] = "no number"
    write(tmp_path / "exam.jsonl", rows)
    answers = [{"prompt_id": f"p{n}", "responses": [RIGHT, RIGHT] if n > 1 else [RIGHT]} for n in range(PROMPTS)]
    write(tmp_path / "student.jsonl", answers)
    found = evaluate(tmp_path, spec)
    base, student = contestants(found).values()
    assert grades(base) == [24, 11, 11, 2, 0, 0]
    assert grades(student) == [24, 21, 0, 1, 0, 2]
    rate = student["pass_at"]["1"]
    assert (rate["value"], rate["at_most"]) == (pytest.approx(21 / 24), 1.0)
    gap = student["difference"]["1"]
    assert (gap["at_least"], gap["at_most"]) == (pytest.approx(21 / 24 - 13 / 24, abs=1e-6), pytest.approx(1 - 11 / 24, abs=1e-6))
    assert any("student: of 12.5% of its samples nobody knows" in line for line in found["warnings"])


def test_what_cannot_be_judged(tmp_path: Path, spec: dict[str, Any]):
    """A prompt without what the verifiers go by is asked of nobody; where all are, that is refused."""
    rows = [json.loads(line) for line in (tmp_path / "exam.jsonl").read_text().splitlines()]
    del rows[0]["reference"]
    write(tmp_path / "exam.jsonl", rows)
    base, _ = contestants(evaluate(tmp_path, spec)).values()
    assert grades(base) == [22, 11, 11, 0, 0, 0]
    write(tmp_path / "exam.jsonl", [{"prompt": row["prompt"]} for row in rows])
    with pytest.raises(SpecError, match="none of 12 prompts has a reference, without which nothing could pass exact_match"):
        evaluate(tmp_path, spec)


def test_what_is_rejected(tmp_path: Path, spec: dict[str, Any]):
    """A response that the spec rejects, since it was cut off, is counted apart, and is no pass by either bound."""
    answers = [{"prompt_id": f"p{n}", "responses": [{"response": RIGHT, "finish_reason": "length"}] * 2} for n in range(PROMPTS)]
    write(tmp_path / "student.jsonl", answers)
    spec["teachers"][1]["retry"] = {"length": "reject"}
    student = contestants(evaluate(tmp_path, spec))["student"]
    assert grades(student) == [24, 0, 0, 0, 24, 0]
    assert student["pass_at"]["1"]["at_most"] == 0


def test_an_empty_answer(tmp_path: Path, spec: dict[str, Any]):
    """A contestant that says nothing has answered, and not passed: nobody may say that it might have."""
    write(tmp_path / "student.jsonl", [{"prompt_id": f"p{n}", "responses": ["", RIGHT]} for n in range(PROMPTS)])
    spec["teachers"][1]["retry"] = {"empty": "reject"}
    student = contestants(evaluate(tmp_path, spec))["student"]
    assert grades(student) == [24, 12, 0, 0, 12, 0]
    assert student["pass_at"]["1"]["at_most"] == 0.5


def test_who_takes_part(tmp_path: Path, spec: dict[str, Any]):
    """--models and --baseline choose; who isn't there is an error with the nearest name."""
    found = evaluate(tmp_path, spec, baseline="student")
    assert contestants(found)["base"]["difference"]["1"]["value"] == -0.5
    assert list(contestants(evaluate(tmp_path, spec, models=["student"]))) == ["student"]
    for options, told in (({"models": ["studnt"]}, "did you mean"), ({"baseline": "x"}, "--baseline"), ({"ks": [3]}, "pass@3")):
        with pytest.raises(SpecError, match=told):
            evaluate(tmp_path, spec, **options)
    with pytest.raises(SpecError, match="resamples"):
        evaluate(tmp_path, spec, resamples=1)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"verify": []}, "needs a verifier"),
        ({"sampling": {"k": 2, "adaptive": {"accept": 1}}}, r"sampling\.adaptive: it decides"),
        ({"sampling": {"k": 2, "cascade": ["base", "student"]}}, r"sampling\.cascade: it decides"),
    ],
)
def test_what_would_flatter(tmp_path: Path, spec: dict[str, Any], change: dict[str, Any], told: str):
    """A spec whose rates would say nothing is refused before anything is asked."""
    with pytest.raises(SpecError, match=told):
        evaluate(tmp_path, spec | change)


def test_what_was_trained_on(tmp_path: Path, spec: dict[str, Any]):
    """Prompts that stand in the training data are listed first, and the rates are told without them."""
    seen = [json.loads(line)["prompt"] for line in (tmp_path / "exam.jsonl").read_text().splitlines()][:3]
    write(tmp_path / "train.jsonl", [{"text": text} for text in seen])
    answers = [{"prompt_id": f"p{n}", "responses": [RIGHT if n < 3 else WRONG] * 2} for n in range(PROMPTS)]
    write(tmp_path / "student.jsonl", answers)
    told = evaluate(tmp_path, spec, against=[str(tmp_path / "train.jsonl")])["contamination"]
    assert told["prompts"] == 3
    assert [each["prompt_id"] for each in told["matched"]] == ["p0", "p1", "p2"]
    rates = {each["name"]: each["pass_at"]["1"]["value"] for each in told["without"]}
    assert rates == {"base": 0.5, "student": 0.0}
    assert not any("none is left" in line for line in contamination({"prompts": PROMPTS, "contamination": told}))
    whole = evaluate(tmp_path, spec, against=[str(tmp_path / "ex*.jsonl")])
    assert whole["contamination"]["without"] is None
    assert "none is left without them" in [*contamination(whole)][-1]
    with pytest.raises(StorageError, match="no build of 'nothing'"):
        evaluate(tmp_path, spec, against=["nothing"])
    with pytest.raises(SourceError, match=r"train\.jsonl: no such file"):
        evaluate(tmp_path, spec, against=["nowhere/train.jsonl"])
    with pytest.raises(SpecError, match="pass@0 means nothing"):
        evaluate(tmp_path, spec, ks=[0])


def test_its_own_dataset(tmp_path: Path, spec: dict[str, Any]):
    """Without --against, a dataset that is built under the spec's name is looked through, but for its tests."""
    texts = [json.loads(line)["prompt"] for line in (tmp_path / "exam.jsonl").read_text().splitlines()]
    lake = Lake(tmp_path / "lake")
    lake.mend()
    turns = [[{"role": "user", "content": text}] for text in texts[:2]]
    rows = [trace(0, messages=turns[0]), trace(1, messages=turns[1], split="test")]
    for table, some in {"prompts": [], "traces": rows, "outcomes": []}.items():
        write_rows(tmp_path / "staged" / table / "part.parquet", TABLES[table], some)
    lake.land({"dataset": "exam", "build_id": "b1", "created_at": "2026-01-01"}, tmp_path / "staged")
    told = evaluate(tmp_path, spec)["contamination"]
    assert told["looked_in"] == ["exam b1"]
    assert [each["prompt_id"] for each in told["matched"]] == ["p0"]


def test_its_own_validation_split(tmp_path: Path, spec: dict[str, Any]):
    """Prompts of the split `validation` weren't trained on by standing there; with `--split train` all of them were."""
    spec["select"] = {"split": {"validation": 0.5}}
    texts = [json.loads(line)["prompt"] for line in (tmp_path / "exam.jsonl").read_text().splitlines()]
    lake = Lake(tmp_path / "lake")
    lake.mend()
    rows = [
        trace(n, messages=[{"role": "user", "content": text}], split="validation" if n % 2 else "train")
        for n, text in enumerate(texts)
    ]
    for table, some in {"prompts": [], "traces": rows, "outcomes": []}.items():
        write_rows(tmp_path / "staged" / table / "part.parquet", TABLES[table], some)
    lake.land({"dataset": "exam", "build_id": "b1", "created_at": "2026-01-01"}, tmp_path / "staged")
    odd = {f"p{n}" for n in range(1, PROMPTS, 2)}
    found = evaluate(tmp_path, spec, split="validation")["contamination"]
    assert not odd & {each["prompt_id"] for each in found["matched"]}
    assert odd & {each["prompt_id"] for each in evaluate(tmp_path, spec, split="all")["contamination"]["matched"]}


def test_a_split(tmp_path: Path, spec: dict[str, Any]):
    """With the training's own spec only the prompts are asked that its split keeps for tests; others by --split."""
    spec["select"] = {"split": {"test": 0.3, "validation": 0.4}}
    test, train, whole = (evaluate(tmp_path, spec, **options) for options in ({}, {"split": "train"}, {"split": "all"}))
    assert (test["split"], whole["prompts"]) == ("test", PROMPTS)
    assert 0 < test["prompts"] < PROMPTS
    assert test["prompts"] + train["prompts"] + evaluate(tmp_path, spec, split="validation")["prompts"] == PROMPTS
    with pytest.raises(SpecError, match="no split 'tset'"):
        evaluate(tmp_path, spec, split="tset")
    del spec["select"]
    with pytest.raises(SpecError, match=r"no `select: \{split: …\}`"):
        evaluate(tmp_path, spec, split="test")
