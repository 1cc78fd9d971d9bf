"""Mix: what people wrote, at a stated share of an export."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from storage.errors import LicenseRefused, SourceError, SpecError
from storage.schemas import TRACES
from tasks.decontaminate import Decontamination
from tasks.exports.mix import Mix, check_mix, licensed, plan
from tasks.exports.mix_sources import MixSource
from tasks.heldout.benchmarks import Benchmark
from tasks.license import LicenseOptions, gate


def traces(number: int, *, split: str = "train") -> list[dict[str, Any]]:
    """Return traces."""
    return [
        dict.fromkeys(TRACES.names) | {"sample_id": f"t{n}", "split": split, "dataset": "d", "build_id": "b"}
        for n in range(number)
    ]


def human(folder: Path, number: int, name: str = "human.jsonl", **more: Any) -> str:
    """Write a source and return its path."""
    rows = [{"prompt": f"{name} question {n}?", "response": f"answer {n}"} | more for n in range(number)]
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def options(source: str, share: float = 0.2, **given: Any) -> MixSource:
    """Return an entry of `mix`."""
    return MixSource(**({"source": source, "share": share, "license": "CC-BY-4.0"} | given))


def mixed(mix: Mix, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what comes of mixing."""
    return [dict(row) for row in mix.mixed(iter(rows))]


def test_share(tmp_path: Path):
    """The share is of the export's rows, the traces stay in their order, and the added rows stand evenly between them."""
    mix = plan([options(human(tmp_path, 100))], traces=80, seed=1)
    rows = mixed(mix, traces(80))
    assert (mix.rows, len(rows), mix.lines()) == (20, 100, [])
    assert [row["sample_id"] for row in rows if row["generation"] is None] == [f"t{n}" for n in range(80)]
    assert {sum(row["generation"] == 0 for row in rows[n : n + 5]) for n in range(0, 100, 5)} == {1}
    (facts,) = mix.facts()
    assert (facts.share, facts.reached, facts.rows, facts.available) == (0.2, 0.2, 20, 100)


def test_row(tmp_path: Path):
    """A row is a trace of generation 0 under its own licence; what would be a teacher's is null; Arrow takes it."""
    rows = mixed(plan([options(human(tmp_path, 1), 0.5)], traces=1, seed=0), traces(1))
    (row,) = [row for row in rows if row["generation"] == 0]
    assert (row["prompt"], row["response"], row["license"]) == ("human.jsonl question 0?", "answer 0", "CC-BY-4.0")
    assert row["messages"] == [{"role": "user", "content": "human.jsonl question 0?"}]
    assert (row["train_use"], row["split"], row["dataset"], row["build_id"]) == ("allowed", "train", "d", "b")
    assert {name for name, value in row.items() if value is None} >= {"teacher", "model", "score", "reasoning", "teacher_license"}
    pa.RecordBatch.from_pylist([row], schema=TRACES)


def test_choice(tmp_path: Path):
    """The choice is the seed's, the same each time, and doesn't hang on the source's order."""
    path = Path(human(tmp_path, 200))

    def chosen(seed: int) -> set[str]:
        return {row["response"] for row in mixed(plan([options(str(path))], traces=80, seed=seed), traces(80)) if row["response"]}

    first = chosen(1)
    assert (len(first), chosen(1) == first, chosen(2) == first) == (20, True, False)
    path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))
    assert chosen(1) == first


def test_too_few(tmp_path: Path):
    """A source with too few rows gives all of them, and says so with the share reached; another one keeps its own share."""
    few, many = human(tmp_path, 10, "few.jsonl"), human(tmp_path, 500, "many.jsonl")
    mix = plan([options(few, 0.2), options(many, 0.3)], traces=100, seed=0)
    rows = mixed(mix, traces(100))
    counted = Counter(row["prompt_source"] for row in rows)
    assert counted == {None: 100, few: 10, many: 47}
    assert [each.reached for each in mix.facts()] == [round(10 / 157, 6), round(47 / 157, 6)]
    (line,) = mix.lines()
    assert "few.jsonl has only 10 different rows, so its share is 6.4% and not 20.0%" in line


def test_no_more_than_its_share(tmp_path: Path):
    """What another source lacks makes the export smaller, and no source larger than the share that it was to have."""
    some, few = human(tmp_path, 50, "some.jsonl"), human(tmp_path, 1, "few.jsonl")
    mix = plan([options(some, 0.28), options(few, 0.64)], traces=17, seed=0)
    assert [(each.rows, each.reached) for each in mix.facts()] == [(7, 0.28), (1, 0.04)]


def test_rows_that_stand_twice(tmp_path: Path):
    """A row that stands twice counts once."""
    path = Path(human(tmp_path, 5))
    path.write_text(path.read_text() * 3)
    mix = plan([options(str(path), 0.5)], traces=50, seed=0)
    assert (mix.rows, len(mixed(mix, traces(50)))) == (5, 55)


def test_rows_that_two_sources_have(tmp_path: Path):
    """A row that two sources have is the first one's, and stands in the export once."""
    first = Path(human(tmp_path, 10))
    second = tmp_path / "more.jsonl"
    second.write_text(first.read_text() + Path(human(tmp_path, 3, "own.jsonl")).read_text())
    mix = plan([options(str(first), 0.3), options(str(second), 0.3, license="MIT")], traces=10, seed=0)
    rows = mixed(mix, traces(10))
    assert [(each.available, each.repeated, each.rows) for each in mix.facts()] == [(10, 0, 6), (3, 10, 3)]
    assert Counter(row["license"] for row in rows) == {None: 10, "CC-BY-4.0": 6, "MIT": 3}
    assert len({row["sample_id"] for row in rows}) == len(rows)
    assert mix.lines()[0] == f"mix: 10 rows of {second} left out, which an earlier source has"


def test_other_splits(tmp_path: Path):
    """Only the train split is mixed into."""
    mix = plan([options(human(tmp_path, 100), 0.5)], traces=4, seed=0)
    rows = mixed(mix, [*traces(4), *traces(6, split="validation")])
    assert [row["split"] for row in rows if row["generation"] == 0] == ["train"] * 4
    assert [row["sample_id"] for row in rows[8:]] == [f"t{n}" for n in range(6)]


def test_a_share_of_no_row(tmp_path: Path):
    """A share that is less than half a row is said to be none."""
    mix = plan([options(human(tmp_path, 5), 0.01)], traces=4, seed=0)
    assert (mix.rows, len(mix.lines())) == (0, 1)
    assert mix.lines()[0].endswith(": 1.00% beside 4 traces is no row, and none is mixed in")


def test_none(tmp_path: Path):
    """Without traces there is nothing to mix into, and a line says so."""
    mix = plan([options(human(tmp_path, 10))], traces=0, seed=0)
    assert (mix.rows, mixed(mix, [])) == (0, [])
    assert mix.lines() == ["mix: nothing is mixed in, since there is no trace in the split 'train'"]


def test_held_out(tmp_path: Path):
    """A row with an item of a held-out benchmark in its prompt or its response is never taken, and is counted."""
    item = "A train with seven coaches of sixty seats each leaves the station half full on a rainy Monday morning in May."
    (tmp_path / "held.jsonl").write_text(json.dumps({"prompt": item}) + "\n")
    path = Path(human(tmp_path, 20))
    bad = [{"prompt": item.upper(), "response": "210"}, {"prompt": "Make one up.", "response": f"Here is one: {item} How many?"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in bad) + path.read_text())
    heldout = Decontamination([Benchmark(source=str(tmp_path / "held.jsonl"), name="held")], seed=0)
    mix = plan([options(str(path), 0.5)], traces=100, seed=0, heldout=heldout)
    rows = mixed(mix, traces(100))
    assert [(each.rows, each.available, each.contaminated) for each in mix.facts()] == [(20, 20, 2)]
    assert "2 rows of" in mix.lines()[0]
    assert not any("coaches" in f"{row['prompt']} {row['response']}".lower() for row in rows)


def test_of_a_lake():
    """What a model wrote can't pass for what people wrote."""
    with pytest.raises(ValidationError, match="a lake's traces were written by a model"):
        options("lake:./lake#other")


def test_day(tmp_path: Path):
    """A row gets the day of the trace before it, since chat templates may write one."""
    given = [trace | {"created_at": number} for number, trace in enumerate(traces(4))]
    rows = mixed(plan([options(human(tmp_path, 10), 0.5)], traces=4, seed=0), given)
    assert [row["created_at"] for row in rows] == [0, 0, 1, 1, 2, 2, 3, 3]


def test_fields(tmp_path: Path):
    """Columns are named as for prompts."""
    path = tmp_path / "h.jsonl"
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}]
    path.write_text(json.dumps({"key": "k", "talk": turns, "human": "4"}) + "\n")
    fields = {"id": "key", "messages": "talk", "response": "human"}
    rows = mixed(plan([options(str(path), 0.5, fields=fields)], traces=1, seed=0), traces(1))
    assert (rows[1]["prompt_id"], rows[1]["system"], rows[1]["prompt"], rows[1]["response"]) == ("k", "Be brief.", "2 + 2?", "4")


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_whole_conversations(tmp_path: Path, ending: str):
    """Of a conversation that ends with the assistant's turn that turn is the response, whatever a column `prompt` holds."""
    path = tmp_path / f"talks.{ending}"
    turns = [("user", "2 + 2?"), ("assistant", "4"), ("user", "And 3 + 3?"), ("assistant", "6")]
    row = {"prompt": "2 + 2?", "messages": [{"role": role, "content": text} for role, text in turns]}
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist([row]), path)
    else:
        path.write_text(json.dumps(row) + "\n")
    (taken,) = [each for each in mixed(plan([options(str(path), 0.5)], traces=1, seed=0), traces(1)) if each["generation"] == 0]
    assert ([each["content"] for each in taken["messages"]], taken["response"]) == (["2 + 2?", "4", "And 3 + 3?"], "6")
    assert taken["prompt"] == "And 3 + 3?"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": "x"}, "'response'"),
        ({"prompt": "x", "response": " "}, "h.jsonl:1: has no response"),
        ({"messages": [{"role": "user", "content": "x"}]}, "h.jsonl:1: no column 'response', nor a conversation"),
        ({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": ""}]}, "h.jsonl:1: has no response"),
        ({"prompt": "x", "response": ["y"]}, "h.jsonl:1: response must be a text, and this is a list"),
        (
            {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": [{"type": "text", "text": "y"}]}]},
            "h.jsonl:1: the last turn of messages must be a text, and this is a list",
        ),
    ],
    ids=["no column", "empty", "no last turn", "empty last turn", "no text", "no text in the last turn"],
)
def test_no_response(tmp_path: Path, row: dict[str, Any], said: str):
    """A row without a response is one line that names its place."""
    path = tmp_path / "h.jsonl"
    path.write_text(json.dumps(row) + "\n")
    with pytest.raises(SourceError, match=said):
        plan([options(str(path))], traces=10, seed=0)


def test_shares_that_leave_nothing(tmp_path: Path):
    """Shares of 1 and more leave no room for the traces."""
    path = human(tmp_path, 1)
    check_mix([options(path, 0.5), options(path, 0.4)], where="exports[0].mix")
    with pytest.raises(SpecError, match=r"exports\[0\]\.mix: the shares add up to 1\.1"):
        check_mix([options(path, 0.6), options(path, 0.5)], where="exports[0].mix")


def test_what_is_not_there(tmp_path: Path):
    """A source that isn't there, or has other columns, is known before anything is spent."""
    with pytest.raises(SourceError, match=r"nowhere\.jsonl"):
        check_mix([options(str(tmp_path / "nowhere.jsonl"))], where="exports[0].mix")
    with pytest.raises(SourceError, match="'answer'"):
        check_mix([options(human(tmp_path, 1), fields={"response": "answer"})], where="exports[0].mix")


def test_gate(tmp_path: Path):
    """The licence gate judges what is mixed in like any other source."""
    path = human(tmp_path, 1)
    parts = licensed([options(path, license=None)], where="exports[0].mix")
    with pytest.raises(LicenseRefused, match=r"exports\[0\]\.mix\[0\] \(.*human\.jsonl\) has no license"):
        gate(parts, LicenseOptions())
