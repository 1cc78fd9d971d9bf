"""Kept and refuted samples, prompt by prompt, as they lie in a lake that real steps built."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from storage.errors import StorageError
from storage.lake import Lake
from storage.records import Prompt, Sample
from storage.schemas import TRACES
from tasks import snapshot
from tasks.decontaminate import Decontamination
from tasks.heldout.benchmarks import Benchmark
from tasks.publishing import refuted
from tasks.publishing.refuted import PromptSamples, pairs_source
from tests.fakes import FakeTeacher, completion, make_prompt, named
from tests.tasks.house import Spec, build
from verifiers.protocol import Finding

PROMPTS = [make_prompt(f"p{n:02}") for n in range(12)]


def judge(prompt: Prompt, sample: Sample) -> Finding | None:
    """Pass, fail or be undecided by the sample's index; fail all of the prompt p03, pass all of p04."""
    if prompt.prompt_id in {"p03", "p04"}:
        return Finding(passed=prompt.prompt_id == "p04")
    return None if sample.sample_index == 3 else Finding(passed=sample.sample_index % 2 == 0, score=0.25 * sample.sample_index)


def spec(**given: Any) -> Spec:
    """Return a spec of two teachers and four samples."""
    teachers = {
        "smol": FakeTeacher(),
        "big": FakeTeacher(answer=lambda request: completion(f"{request.prompt_id} {request.sample_index} by big")),
    }
    return Spec(**({"prompts": PROMPTS, "k": 4, "teachers": teachers, "verifiers": [named(judge=judge)]} | given))


async def land(lake: Lake, folder: Path, one: Spec, *, run: str = "run", **manifest: Any) -> None:
    """Build and land."""
    await build(lake, one, run=run, copy_to=folder)
    counts = dict.fromkeys(("requested", "kept", "failed"), 0)
    lake.land({"dataset": "d", "build_id": run, "created_at": "2026-01-01T00:00:00+00:00"} | counts | manifest, folder)


def told(found: list[PromptSamples]) -> list[tuple[str, list[str], list[str]]]:
    """Return prompts with the responses that were kept and refuted."""
    return [(each.prompt_id, [row["response"] for row in each.kept], [row["response"] for row in each.refuted]) for each in found]


@pytest.mark.parametrize("bucket", [1, 3, 10_000], ids="buckets of {}".format)
async def test_prompt_by_prompt(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bucket: int):
    """Each prompt that has a trace comes once, in order, with what was refuted of it, and nothing that was undecided."""
    monkeypatch.setattr(refuted, "BUCKET_ROWS", bucket)
    monkeypatch.setattr(refuted, "BATCH_ROWS", 2)
    monkeypatch.setattr(snapshot, "PART_ROWS", 7)  # several files, and prompts that lie in two of them
    monkeypatch.setattr(snapshot, "BUCKET_ROWS", 6)
    await land(lake, tmp_path, spec())
    expected = [
        (
            (name := prompt.prompt_id),
            [f"{name} #0", f"{name} #2", f"{name} 0 by big", f"{name} 2 by big"],
            [f"{name} #1", f"{name} 1 by big"],
        )
        for prompt in PROMPTS
    ]
    whole = ["p04 #0", "p04 #1", "p04 #2", "p04 #3", *(f"p04 {n} by big" for n in range(4))]
    expected[3:5] = [("p04", whole, [])]
    assert len(list(lake.snapshot("traces", "d", "run").glob("*.parquet"))) > 3
    with lake.writing(print):
        assert told(list(pairs_source(lake, "d", "run"))) == expected


async def test_as_a_trace(lake: Lake, tmp_path: Path):
    """A refuted sample has the columns of a trace: its own, its prompt's, its teacher's, and its score."""
    await land(lake, tmp_path, spec())
    with lake.writing(print):
        first = next(iter(pairs_source(lake, "d", "run")))
    assert first.split == "train"
    kept, against = first.kept[2], first.refuted[1]
    assert list(kept) == TRACES.names
    assert set(against) == set(kept)
    alike = ("prompt_id", "dataset", "build_id", "teacher", "model", "messages", "prompt", "license", "generation", "split")
    assert [kept[name] for name in alike] == [against[name] for name in alike]
    assert (against["teacher"], against["model"], against["score"], against["answer"]) == ("big", "big-1", 0.25, None)
    assert against["sample_id"] != kept["sample_id"]


async def test_held_out(lake: Lake, tmp_path: Path):
    """A refuted sample with an item of a held-out benchmark in it is left out and told, but for an exempt source's."""
    item = "A train with seven coaches of sixty seats each leaves the station half full on a rainy Monday in May."
    teacher = FakeTeacher(answer=lambda request: completion(item if request.sample_index == 1 else f"{request.prompt_id} right"))
    (tmp_path / "held.jsonl").write_text(json.dumps({"prompt": item}) + "\n")
    heldout = Decontamination([Benchmark(source=str(tmp_path / "held.jsonl"))], seed=0)
    one = spec(teachers={"smol": teacher}, k=2, prompts=PROMPTS[:3])
    (tmp_path / "made").mkdir()
    await land(lake, tmp_path / "made", one)
    left_out: set[str] = set()
    with lake.writing(print):
        found = list(pairs_source(lake, "d", "run", heldout=heldout, left_out=left_out))
        assert [len(each.refuted) for each in pairs_source(lake, "d", "run")] == [1, 1, 1]
    assert [(len(each.kept), len(each.refuted)) for each in found] == [(1, 0)] * 3
    assert len(left_out) == 3
    (tmp_path / "again").mkdir()
    exempt = [{"source": PROMPTS[0].source, "decontaminate": False}]
    await land(lake, tmp_path / "again", one, run="again", spec={"prompts": exempt})
    with lake.writing(print):
        assert [len(each.refuted) for each in pairs_source(lake, "d", "again", heldout=heldout)] == [1, 1, 1]


async def test_a_teacher_that_is_always_wrong(lake: Lake, tmp_path: Path):
    """What a teacher without a single trace may be used for, the spec says."""
    one = spec(verifiers=[named(judge=lambda prompt, sample: sample.model == "big-1")])
    teachers = [{"name": "smol", "license": "MIT"}, {"name": "big", "license": "Apache-2.0"}]
    await land(lake, tmp_path, one, spec={"teachers": teachers})
    with lake.writing(print):
        found = list(pairs_source(lake, "d", "run"))
    rows = [row for each in found for row in each.refuted]
    assert {(row["teacher"], row["license"], row["teacher_license"], row["terms"]) for row in rows} == {
        ("smol", "CC0-1.0 AND MIT", "MIT", None)
    }
    assert len(rows) == 4 * len(PROMPTS)


async def test_two_prompts_that_share_their_samples(lake: Lake, tmp_path: Path):
    """What was refuted of one prompt may be kept of another that asked the very same."""
    twin = dataclasses.replace(PROMPTS[0], prompt_id="twin", reference="another")

    def odd(prompt: Prompt, sample: Sample) -> bool:
        return sample.sample_index % 2 == (prompt.prompt_id == "twin")

    await land(lake, tmp_path, spec(prompts=[PROMPTS[0], twin], k=2, verifiers=[named(judge=odd)]))
    with lake.writing(print):
        first, second = pairs_source(lake, "d", "run")
    assert [row["sample_id"] for row in first.kept] == [row["sample_id"] for row in second.refuted]
    assert [row["sample_id"] for row in first.refuted] == [row["sample_id"] for row in second.kept]
    assert {row["prompt_id"] for row in second.refuted} == {"twin"}


async def test_nothing_kept(lake: Lake, tmp_path: Path):
    """A build without traces has no prompt to show."""
    await land(lake, tmp_path, spec(verifiers=[named(judge=lambda prompt, sample: False)]))
    with lake.writing(print):
        assert list(pairs_source(lake, "d", "run")) == []


async def test_an_earlier_version(lake: Lake, tmp_path: Path):
    """A build that doesn't say what refuted a sample is one line that says what to do."""
    await land(lake, tmp_path, spec())
    (part,) = lake.snapshot("outcomes", "d", "run").glob("*.parquet")
    pq.write_table(pq.read_table(part, partitioning=None).drop_columns(["refuted_by", "score"]), part)
    with lake.writing(print), pytest.raises(StorageError, match="build the spec again, which buys nothing"):
        list(pairs_source(lake, "d", "run"))


async def test_nothing_is_left(lake: Lake, tmp_path: Path):
    """What was dealt is gone once it was read, also by one who stops half-way."""
    await land(lake, tmp_path, spec())
    with lake.writing(print):
        source = pairs_source(lake, "d", "run")
        next(source)
        assert list(lake.staging.glob("*"))
        source.close()
        assert not list(lake.staging.glob("*"))
