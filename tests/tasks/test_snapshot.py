"""Snapshots: a build's rows in an order, and with content, that depend on the spec and the store alone."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from storage.identity import request_key, sample_id
from storage.lake import Lake
from storage.records import Message
from storage.schemas import SNAPSHOTS, TABLES
from storage.workspace import MEMORY, SPARED, Workspace
from tasks import snapshot, stretches
from tasks.duplicates.options import DedupOptions
from tests.fakes import FakeTeacher, completion, make_prompt, named, user
from tests.tasks.house import Spec, build
from verifiers.protocol import Finding

LARGE = 200_000
"""Slots of a build whose outcomes don't fit into memory at once."""
MANY = [make_prompt(f"p{n:02}") for n in range(23)]


def files(folder: Path) -> dict[str, bytes]:
    """Return every file of a snapshot."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


@pytest.mark.parametrize("bucket", [1, 4, 7, 10_000], ids="buckets of {}".format)
async def test_order(lake: Lake, monkeypatch: pytest.MonkeyPatch, bucket: int):
    """Traces stand in the order of prompts, teachers and indices, however many buckets they are dealt into."""
    monkeypatch.setattr(snapshot, "BUCKET_ROWS", bucket)
    teachers = {
        "smol": FakeTeacher(),
        "big": FakeTeacher(answer=lambda request: completion(f"{request.prompt_id} {request.sample_index} by big")),
    }
    built = await build(lake, Spec(prompts=MANY, k=2, teachers=teachers))
    texts = {"smol": "{} #{}", "big": "{} {} by big"}
    expected = [
        (prompt.prompt_id, name, text.format(prompt.prompt_id, n))
        for prompt in MANY
        for name, text in texts.items()
        for n in range(2)
    ]
    assert [(row["prompt_id"], row["teacher"], row["response"]) for row in built.tables["traces"]] == expected
    assert [(row["prompt_id"], row["teacher"]) for row in built.tables["outcomes"]] == [each[:2] for each in expected]
    assert [row["prompt_id"] for row in built.tables["prompts"]] == [prompt.prompt_id for prompt in MANY]


@pytest.mark.parametrize("all_barred", [False, True], ids=["some barred", "all barred"])
async def test_in_stretches(lake: Lake, monkeypatch: pytest.MonkeyPatch, all_barred: bool):
    """However few slots are joined at a time, the snapshot is the same, and has the prompts that were barred, at its ends too."""
    query = "SELECT ord, 'no' AS reason FROM prompt_ids" + ("" if all_barred else " WHERE ord IN (0, 1, 9, 21, 22)")
    spec = Spec(
        prompts=MANY, k=2, verifiers=[named(judge=lambda _, sample: sample.sample_index == 0)], barred=[("license", query)]
    )
    await build(lake, spec, run="first")
    whole = await build(lake, spec, run="again")
    monkeypatch.setattr(stretches, "SLOTS", 5)
    assert (await build(lake, spec, run="again")).tables == whole.tables
    assert len(whole.tables["outcomes"]) == 2 * len(MANY)
    assert len(whole.tables["traces"]) == (0 if all_barred else len(MANY) - 5)


def test_many_outcomes_in_little_memory(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """However many samples are rejected, each for a reason of its own, outcomes come with what DuckDB may hold in a small build."""
    monkeypatch.setenv("STILLHOUSE_DUCKDB_MEMORY", f"{MEMORY - SPARED}MB")
    with Workspace(lake, tmp_path / "work") as workspace:
        for table, columns in {
            "slots": "i AS ord, 0::SMALLINT AS arm, 0 AS sample_index, md5(i::VARCHAR) AS sample_id, md5('k' || i) AS key",
            "candidates": "i AS ord, 0::SMALLINT AS arm, 0 AS sample_index, md5(i::VARCHAR) AS sample_id, 0.0 AS score, "
            "'verify' AS stage, NULL::VARCHAR AS reason",
            "reasons": "i AS ord, 0::SMALLINT AS arm, 0 AS sample_index, 'exact_match: ' || i || ' is not ' || i * i AS reason, "
            "'exact_match' AS refuted_by",
            "prompt_ids": "i AS ord, 'p' || i AS prompt_id, sha256(i::VARCHAR) AS prompt_digest",
        }.items():
            workspace.execute(f"CREATE TABLE {table} AS SELECT {columns} FROM range({LARGE}) AS indices(i)")
        workspace.execute("CREATE TABLE teachers AS SELECT 0::SMALLINT AS arm, 'smol' AS name, NULL::VARCHAR AS strategy")
        found = 0
        for batch in snapshot.outcome_rows(workspace):
            assert batch["prompt_id"].to_pylist() == [f"p{found + n}" for n in range(len(batch))]
            found += len(batch)
    assert found == LARGE


async def test_few_buckets(lake: Lake, monkeypatch: pytest.MonkeyPatch):
    """No more than BUCKETS files are open at a time: buckets grow instead."""
    monkeypatch.setattr(snapshot, "BUCKET_ROWS", 1)
    monkeypatch.setattr(snapshot, "BUCKETS", 3)
    built = await build(lake, Spec(prompts=MANY))
    assert [row["prompt_id"] for row in built.tables["traces"]] == [prompt.prompt_id for prompt in MANY]


async def test_several_parts(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A long table has several files, whose names are in the order of their rows."""
    monkeypatch.setattr(snapshot, "PART_ROWS", 5)
    monkeypatch.setattr(snapshot, "BUCKET_ROWS", 4)
    await build(lake, Spec(prompts=MANY), copy_to=tmp_path)
    parts = sorted((tmp_path / "traces").glob("*.parquet"))
    assert len(parts) > 1
    assert [row for part in parts for row in pq.read_table(part)["prompt_id"].to_pylist()] == [
        prompt.prompt_id for prompt in MANY
    ]


async def test_same_bytes(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The same spec on the same store gives the same files, byte for byte."""
    monkeypatch.setattr(snapshot, "BUCKET_ROWS", 4)
    spec = Spec(
        prompts=MANY, k=3, verifiers=[named(judge=lambda prompt, sample: Finding(passed=sample.sample_index != 1, answer="4"))]
    )
    await build(lake, spec, run="first")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        await build(lake, spec, run="again", copy_to=tmp_path / name)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert len(files(tmp_path / "one")) == len(SNAPSHOTS) - 1  # nothing was grown


async def test_trace(lake: Lake):
    """A trace has all that its prompt, its sample, its verdicts and its licences say."""
    messages = (Message(role="system", content="Be brief."), *user("2 + 2?"))
    prompt = make_prompt("2 + 2?", prompt_id="p", messages=messages, source="sums.jsonl", license="CC-BY-4.0", generation=1)
    checks = [
        named("x", lambda prompt, sample: Finding(passed=sample.sample_index == 0, score=0.5, answer="4")),
        named("y", lambda prompt, sample: Finding(passed=True, score=1.0)),
    ]
    built = await build(lake, Spec(prompts=[prompt], k=4, verifiers=checks), run="b7")
    (row,) = built.tables["traces"]
    key = request_key(provider="fake", model="smol-1", messages=messages, parameters={}, identity={})
    created_at = row.pop("created_at")
    assert created_at.tzinfo is not None
    assert row == {
        "sample_id": sample_id(key, 0),
        "prompt_id": "p",
        "dataset": "d",
        "build_id": "b7",
        "teacher": "smol",
        "model": "smol-1",
        "strategy": None,
        "system": "Be brief.",
        "prompt": "2 + 2?",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}],
        "response": "2 + 2? #0",
        "reasoning": None,
        "finish_reason": "stop",
        "answer": "4",
        "score": 0.75,
        "pass_rate": 0.25,
        "tokens_in": 10,
        "tokens_out": 10,
        "prompt_source": "sums.jsonl",
        "prompt_license": "CC-BY-4.0",
        "teacher_license": "MIT",
        "license": "CC-BY-4.0 AND MIT",
        "train_use": "allowed",
        "terms": None,
        "acknowledgement": None,
        "generation": 1,
        "split": "train",
    }


@pytest.mark.parametrize(("barred", "generations"), [((), [2, 2, 1]), (["generation = 2"], [0, 1])])
async def test_the_latest_generation(lake: Lake, barred: list[str], generations: list[int]):
    """What two sources' prompts ask alike is of the latest generation of both; of a prompt that is left out nothing is made."""
    prompts = [
        make_prompt("a", prompt_id="human", generation=0),
        make_prompt("a", prompt_id="model", generation=2, tags={"topic": "x"}),
        make_prompt("b", generation=1),
    ]
    barring = [("license", f"SELECT ord, 'no' AS reason FROM prompts WHERE {each}") for each in barred]
    built = await build(lake, Spec(prompts=prompts, dedup=DedupOptions(exact=False), barred=barring))
    assert [row["generation"] for row in built.tables["traces"]] == generations
    assert [row["generation"] for row in built.tables["prompts"]] == [0, 2, 1]


async def test_licenses_by_prompt(lake: Lake):
    """Each trace has the licence of its own prompt."""
    prompts = [make_prompt("a", license="MIT"), make_prompt("b", license="CC-BY-NC-4.0")]
    built = await build(lake, Spec(prompts=prompts))
    assert [(row["license"], row["train_use"]) for row in built.tables["traces"]] == [
        ("MIT", "allowed"),
        ("CC-BY-NC-4.0 AND MIT", "restricted"),
    ]


async def test_folded_prompts_are_left_out(lake: Lake):
    """Of prompts that repeat another's content, the first is in the snapshot."""
    prompts = [make_prompt(text) for text in "abab"]
    built = await build(lake, Spec(prompts=prompts, given=False))
    assert [row["prompt_id"] for row in built.tables["prompts"]] == ["a", "b"]
    assert len(built.tables["traces"]) == 2


async def test_nothing_kept(lake: Lake, tmp_path: Path):
    """A build that keeps nothing has all three tables, with their columns."""
    built = await build(lake, Spec(verifiers=[named(judge=lambda prompt, sample: False)]), copy_to=tmp_path)
    assert (built.tables["traces"], len(built.tables["outcomes"])) == ([], 3)
    for table in SNAPSHOTS[:3]:
        (path,) = (tmp_path / table).glob("*.parquet")
        assert pq.read_schema(path).equals(TABLES[table])
