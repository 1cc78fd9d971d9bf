"""`stillhouse contaminated`: what of held-out benchmarks stands in a landed build, and the options that name them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from flows import cli
from flows.contaminated import benchmark_of, contaminated
from flows.loading import load_spec
from storage.errors import SourceError, SpecError, StorageError
from storage.lake import Lake
from storage.parquet import write_rows
from storage.schemas import TABLES
from tasks.heldout.benchmarks import Benchmark
from tests.tasks.benchmarks import prose

ITEMS = [prose("first", 20), prose("second", 20), "What is the capital of France?"]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Give a lake with a build of three prompts and three traces: one prompt has an item, and two responses do."""
    made = Lake(tmp_path / "lake")
    made.mend()
    texts = {"a": f"Solve: {ITEMS[0]}", "b": "Clean.", "c": "Clean, too."}
    prompts = [
        {"prompt_id": name, "messages": [{"role": "user", "content": text}], "prompt": text} for name, text in texts.items()
    ]
    traces = [
        {"sample_id": "s1", "prompt_id": "a", "response": "4"},
        {"sample_id": "s2", "prompt_id": "b", "response": f"{prose(1, 50)} {ITEMS[0]}"},
        {"sample_id": "s3", "prompt_id": "c", "response": "Paris", "reasoning": f"They ask: {ITEMS[2]}"},
        {"sample_id": "s4", "prompt_id": "c", "response": "5"},
    ]
    staged = tmp_path / "staged"
    for table, rows in {"prompts": prompts, "traces": traces, "outcomes": []}.items():
        write_rows(staged / table / "part.parquet", TABLES[table], rows)
    made.land({"dataset": "d", "build_id": "b1", "created_at": "2026-01-01"}, staged)
    return made


@pytest.fixture
def exam(tmp_path: Path) -> Path:
    """Give a benchmark's file whose column isn't called prompt."""
    path = tmp_path / "exam.jsonl"
    path.write_text("".join(json.dumps({"id": f"q{n}", "question": text}) + "\n" for n, text in enumerate(ITEMS)))
    return path


def entry(exam: Path, **given: Any) -> str:
    """Return the benchmark as an entry of `decontaminate`."""
    return json.dumps({"source": str(exam), "fields": {"prompt": "question"}} | given)


def test_report(lake: Lake, exam: Path):
    """Items, prompts and responses are counted, and each overlap is told; traces of a contaminated prompt count as well."""
    found = contaminated(lake, "d", [benchmark_of(entry(exam))], build_id=None)
    assert (found.build_id, found.prompts, found.traces, found.contaminated) == ("b1", 3, 4, 3)
    assert [(each.benchmark, each.items, each.hit, each.prompts, each.responses) for each in found.benchmarks] == [
        ("exam", 3, 2, 1, 2)
    ]
    assert [(hit.item, hit.prompt_id, hit.sample_id, hit.where) for hit in found.hits] == [
        ("q0", "a", None, "prompt"),
        ("q0", "b", "s2", "response"),
        ("q2", "c", "s3", "reasoning"),
    ]
    assert ITEMS[0].startswith(found.hits[0].overlap.removesuffix("…"))


def test_what_the_template_added(lake: Lake, exam: Path, tmp_path: Path):
    """What was sent beside the prompt's own turns, such as a context from a tag, is looked at in the traces."""
    sent = [{"role": "user", "content": f"Context: {ITEMS[1]}"}]
    rows = [{"sample_id": "s1", "prompt_id": "a", "response": "4", "messages": sent}]
    staged = tmp_path / "more"
    prompt = {"prompt_id": "a", "messages": [{"role": "user", "content": "Sum up."}], "prompt": "Sum up."}
    for table, each in {"prompts": [prompt], "traces": rows, "outcomes": []}.items():
        write_rows(staged / table / "part.parquet", TABLES[table], each)
    spec = {"template": {"user": "Context: {{ tags.context }}"}}
    lake.land({"dataset": "e", "build_id": "b2", "created_at": "2026-01-01", "spec": spec}, staged)
    found = contaminated(lake, "e", [benchmark_of(entry(exam))], build_id=None)
    assert [(hit.item, hit.where, found.contaminated) for hit in found.hits] == [("q1", "prompt", 1)]


def test_nothing_found(lake: Lake, tmp_path: Path):
    """A clean build says so."""
    (tmp_path / "b.jsonl").write_text(json.dumps({"prompt": prose("other", 30)}) + "\n")
    found = contaminated(lake, "d", [benchmark_of(str(tmp_path / "b.jsonl"))], build_id="b1")
    assert (found.contaminated, found.hits) == (0, [])
    assert dict(found.lines()) == {
        "build": "d b1: 3 prompts, 4 traces",
        "b": "0 of 1 item found",
        "contaminated": "0 of 4 traces",
    }


def test_command(lake: Lake, exam: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """It prints the counts and some overlaps, or with --json one object with all of them; it exits 0."""
    command = ["stillhouse", "contaminated", "d", "--lake", str(lake.root), "--against", entry(exam)]
    for more in (["-n", "1"], ["--json"]):
        monkeypatch.setattr("sys.argv", [*command, *more])
        with pytest.raises(SystemExit) as done:
            cli.main()
        assert not done.value.code
        said = capsys.readouterr().out
        if more == ["--json"]:
            assert len(json.loads(said)["hits"]) == 3
        else:
            assert "2 of 3 items found in 1 prompt and 2 responses" in said
            assert "… and 2 more" in said


SAID = {
    "a path": ("exam.jsonl", "exam"),
    "an entry": ("{source: exam.jsonl, name: sums}", "sums"),
    "a glob": ("data/*.jsonl", "data/*.jsonl"),
}


@pytest.mark.parametrize(("said", "title"), SAID.values(), ids=SAID)
def test_benchmarks_are_named(said: str, title: str):
    """--against takes a path, or what `decontaminate` takes, in one line of YAML."""
    assert benchmark_of(said).title == title


WRONG = {
    "an unknown key": ("{source: a.jsonl, fild: 1}", "--against: fild: unknown key; did you mean 'fields'?"),
    "not YAML": ("{source: a.jsonl", "isn't YAML"),
    "out of range": ("{source: a.jsonl, ngram: 2}", "--against: ngram: must be greater than or equal to 5"),
    "exempt": ("{source: a.jsonl, decontaminate: false}", "a benchmark has no `decontaminate`"),
}


@pytest.mark.parametrize(("said", "expected"), WRONG.values(), ids=WRONG)
def test_wrong_benchmarks(said: str, expected: str):
    """What is wrong with one is one line."""
    with pytest.raises(SpecError) as caught:
        benchmark_of(said)
    assert expected in str(caught.value)


def test_wrong_places(lake: Lake, exam: Path):
    """So is a dataset, a build or a file that isn't there, and a name that two benchmarks have."""
    twice = [Benchmark(source=str(exam))] * 2
    with pytest.raises(SpecError, match=r"^--against\[1\]: two benchmarks are called 'exam'"):
        contaminated(lake, "d", twice, build_id=None)
    with pytest.raises(StorageError, match="no build of 'e'"):
        contaminated(lake, "e", twice[:1], build_id=None)
    with pytest.raises(SourceError, match=r"benchmark exam: .*no column 'prompt'"):
        contaminated(lake, "d", twice[:1], build_id=None)


SPEC: Mapping[str, Any] = {
    "dataset": "d",
    "prompts": [{"source": "p.jsonl", "license": "MIT"}],
    "teachers": [{"name": "t", "provider": "replay", "model": "m", "path": "a.jsonl", "license": "MIT"}],
}
SPECS = {
    "two of one name": (
        {"decontaminate": [{"source": "a/x.jsonl"}, {"source": "b/x.jsonl"}]},
        "decontaminate[1]: two benchmarks",
    ),
    "an unknown key": ({"decontaminate": [{"source": "x.jsonl", "ngrams": 8}]}, "did you mean 'ngram'?"),
    "near": ({"decontaminate": [{"source": "x.jsonl", "near": 0.2}]}, "decontaminate[0].near"),
    "a source that is exempt and isn't": (
        {"prompts": [*SPEC["prompts"], {"source": "p.jsonl", "license": "MIT", "decontaminate": False}]},
        "prompts[0].decontaminate: prompts[1] has the same source",
    ),
}


@pytest.mark.parametrize(("given", "said"), SPECS.values(), ids=SPECS)
def test_specs(tmp_path: Path, given: dict[str, Any], said: str):
    """What a spec says wrongly of benchmarks is one line that names the place."""
    (tmp_path / "s.yaml").write_text(json.dumps({**SPEC, **given}))
    with pytest.raises(SpecError) as caught:
        load_spec(tmp_path / "s.yaml")
    assert said in str(caught.value)


def test_a_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """A plan counts contaminated prompts, and neither their samples nor their cost; it says what is held out."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.jsonl").write_text("".join(json.dumps({"prompt": text}) + "\n" for text in ["Clean?", f"Solve: {ITEMS[0]}"]))
    (tmp_path / "a.jsonl").write_text(json.dumps({"prompt": "Clean?", "responses": ["Yes."]}) + "\n")
    (tmp_path / "exam.jsonl").write_text(json.dumps({"prompt": ITEMS[0]}) + "\n")
    (tmp_path / "s.yaml").write_text(json.dumps({**SPEC, "decontaminate": [{"source": "exam.jsonl"}]}))
    monkeypatch.setattr("sys.argv", ["stillhouse", "plan", "s.yaml", "--json"])
    with pytest.raises(SystemExit) as done:
        cli.main()
    assert not done.value.code
    said = capsys.readouterr()
    plan = json.loads(said.out)
    assert (plan["prompts"], plan["slots"], plan["barred"]) == (2, 1, {"decontaminate": 1})
    assert "decontaminate: exam: 1 held-out item\n" in said.err
