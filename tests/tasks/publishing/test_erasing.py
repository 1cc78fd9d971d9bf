"""Prompt erasing: every form shows prompts without what told the teacher how to answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from storage.lake import Lake, Manifest
from storage.records import Message
from tasks.export import ExportOptions, export
from tasks.teachers.protocol import Completion, Request
from tasks.templates import TemplateOptions
from tests.fakes import FakeTeacher, completion, make_prompt, named, user
from tests.tasks.exporters import students
from tests.tasks.house import Spec, build

TEMPLATE = {
    "user": "{{ prompt }} ({{ tags.topic }})",
    "strategies": [
        {"name": "steps", "system": "SECRET steps."},
        {"name": "code", "system": "SECRET code.", "user": "SECRET program: {{ prompt }}", "when": {"topic": "sums"}},
        {"name": "bare", "user": "SECRET bare: {{ prompt }}", "when": {"topic": "talk"}},
    ],
}
OWN = Message(role="system", content="You are Ann.")
TALK = make_prompt(
    "Last?", messages=(OWN, *user("First?"), Message(role="assistant", content="Yes."), *user("Last?")), tags={"topic": "talk"}
)
PROMPTS = [make_prompt("Add.", tags={"topic": "sums"}), TALK, make_prompt("Mend.", tags={"topic": "odd"})]
ASKED = {
    "Add.": [{"role": "user", "content": "Add. (sums)"}],
    "Mend.": [{"role": "user", "content": "Mend. (odd)"}],
    "Last?": [
        {"role": "user", "content": "First?"},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "Last? (talk)"},
    ],
}
"""What is left of each prompt."""


def answer(request: Request) -> Completion:
    """Answer otherwise to each strategy, and badly once of two times."""
    texts = str(request.messages)
    way = "code" if "SECRET program" in texts else "bare" if "SECRET bare" in texts else "steps"
    indices = range(request.sample_index, request.sample_index + request.n)
    return completion(*(f"{'bad' if index % 2 else 'good'} {way} of {request.prompt_id}" for index in indices))


async def land(lake: Lake, folder: Path, template: dict[str, Any] = TEMPLATE) -> Manifest:
    """Land a build of three prompts and their strategies, of whose samples every other one is refuted."""
    made = Spec(
        prompts=PROMPTS,
        template=TemplateOptions.model_validate(template),
        teachers={"smol": FakeTeacher(answer=answer)},
        verifiers=[named(judge=lambda prompt, sample: sample.response.startswith("good"))],
        k=2,
    )
    built = await build(lake, made, run="b1", copy_to=folder)
    teachers = [{"name": "smol", "provider": "fake", "model": "m", "license": "MIT"}]
    spec = {"dataset": "d", "template": template, "teachers": teachers}
    counts = {"requested": built.counts["requested"], "kept": built.counts["kept"], "rejected": {}, "failed": 0}
    about = {"dataset": "d", "build_id": "b1", "created_at": "2026-01-01T00:00:00+00:00", "version": "0", "spec_hash": "h"}
    lake.land(about | counts | {"spec": spec}, folder)
    return lake.build("d", "b1")


def exported(lake: Lake, build: Manifest, to: Path, **options: Any) -> list[dict[str, Any]]:
    """Export, and return the rows."""
    with lake.writing(print):
        export(lake, build, ExportOptions(to=str(to), **options))
    return [row for shard in sorted(to.glob("*.parquet")) for row in pq.read_table(shard, partitioning=None).to_pylist()]


async def test_messages(lake: Lake, tmp_path: Path):
    """Each trace shows its prompt as the plain template puts it, whatever its strategy said."""
    rows = exported(lake, await land(lake, tmp_path), tmp_path / "out", erase_system=True)
    assert [row["prompt_id"] for row in rows] == ["Add."] * 2 + ["Last?"] * 2 + ["Mend."]
    for row in rows:
        *asked, answered = row["messages"]
        # What was sent by `bare` had the prompt's own system text, as the template has none.
        own = [{"role": "system", "content": OWN.content}] if answered["content"].startswith("good bare") else []
        assert asked == own + ASKED[row["prompt_id"]]


async def test_a_neutral_text(lake: Lake, tmp_path: Path):
    """A text goes where a system text was, and where there is none; a prompt's own that was sent stays."""
    rows = exported(lake, await land(lake, tmp_path), tmp_path / "out", erase_system="You are an assistant.")
    systems = {row["messages"][-1]["content"]: row["messages"][0]["content"] for row in rows}
    assert {system for answered, system in systems.items() if "bare" not in answered} == {"You are an assistant."}
    assert systems["good bare of Last?"] == OWN.content
    assert all([turn["role"] for turn in row["messages"]].count("system") == 1 for row in rows)


@pytest.mark.parametrize("neutral", [True, "Plain."])
@pytest.mark.parametrize(
    ("form", "options", "number"),
    [
        ("messages", {}, 5),
        ("prompt_completion", {}, 5),
        ("prompt_completion", {"conversational": False}, 5),
        ("alpaca", {}, 5),
        ("sharegpt", {}, 5),
        ("preference", {}, 3),
        ("preference", {"pairs": "all"}, 7),
    ],
)
async def test_every_form(lake: Lake, tmp_path: Path, form: str, options: dict[str, Any], number: int, neutral: bool | str):
    """No form shows a text of a strategy; without the option, each does."""
    build = await land(lake, tmp_path)
    rows = exported(lake, build, tmp_path / "out", format=form, erase_system=neutral, **options)
    assert (len(rows), "SECRET" in str(rows), "Plain." in str(rows)) == (number, False, neutral is not True)
    assert "SECRET" in str(exported(lake, build, tmp_path / "kept", format=form, **options))


async def test_pairs_across_strategies(lake: Lake, tmp_path: Path):
    """A good answer of one strategy and a bad one of another are a pair only where both are shown the same prompt."""
    build = await land(lake, tmp_path)
    erased = exported(lake, build, tmp_path / "out", format="preference", pairs="all", erase_system=True)
    ways = {(row["chosen"][0]["content"].split()[1], row["rejected"][0]["content"].split()[1]) for row in erased}
    assert ways >= {("steps", "code"), ("code", "steps"), ("steps", "steps")}
    kept = exported(lake, build, tmp_path / "kept", format="preference", pairs="all")
    assert all(row["chosen"][0]["content"].split()[1] == row["rejected"][0]["content"].split()[1] for row in kept)


async def test_tokenized(lake: Lake, tmp_path: Path):
    """A student's tokens have nothing of a strategy's text either."""
    from transformers import AutoTokenizer

    folder = students.small(tmp_path / "student")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    build = await land(lake, tmp_path)
    for options, shown in (({"erase_system": True}, False), ({}, True)):
        rows = exported(lake, build, tmp_path / f"out-{shown}", format="tokenized", tokenizer=folder, **options)
        texts = [tokenizer.decode(row["input_ids"]) for row in rows]
        assert (len(rows), any("SECRET" in text for text in texts)) == (5, shown)


async def test_what_people_wrote(lake: Lake, tmp_path: Path):
    """A row that was mixed in keeps what its author wrote, and gets the neutral text as all others do."""
    people = tmp_path / "people.jsonl"
    people.write_text('{"prompt": "Why?", "response": "Because."}\n{"prompt": "How?", "response": "So."}\n')
    mix = [{"source": str(people), "share": 0.25, "license": "MIT"}]
    rows = exported(lake, await land(lake, tmp_path), tmp_path / "out", erase_system="Plain.", mix=mix)
    theirs = [row["messages"] for row in rows if row["teacher"] is None]
    assert [[turn["content"] for turn in turns] for turns in theirs] == [
        ["Plain.", "Why?", "Because."],
        ["Plain.", "How?", "So."],
    ]


async def test_without_strategies(lake: Lake, tmp_path: Path):
    """The template's own system text is erased as well; the manifest says what was done."""
    template = {"system": "SECRET.", "user": "{{ prompt }} ({{ tags.topic }})"}
    build = await land(lake, tmp_path, template)
    rows = exported(lake, build, tmp_path / "out", erase_system=True)
    assert [row["messages"][:-1] for row in rows] == [ASKED[row["prompt_id"]] for row in rows]
    assert '"erase_system": true' in (tmp_path / "out" / "manifest.json").read_text()


async def test_splits(lake: Lake, tmp_path: Path):
    """Every split is read from the first prompt on."""
    build = await land(lake, tmp_path)
    traces = lake.snapshot("traces", "d", "b1") / "part-00000.parquet"
    table = pq.read_table(traces, partitioning=None)
    names = ["validation" if prompt == "Last?" else "train" for prompt in table["prompt_id"].to_pylist()]
    pq.write_table(table.set_column(table.schema.get_field_index("split"), "split", [names]), traces)
    rows = exported(lake, build, tmp_path / "out", erase_system=True)
    assert (len(rows), "SECRET" in str(rows)) == (5, False)
