"""Decontaminate: nothing is bought for a contaminated prompt, and a contaminated response is rejected by itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from storage.errors import SourceError, SpecError
from storage.lake import Lake
from storage.records import Message
from tasks.decontaminate import Decontamination
from tasks.heldout.benchmarks import Benchmark
from tasks.heldout.index import COMMON
from tasks.teachers.protocol import Choice, Completion, Request
from tasks.templates import TemplateOptions
from tests.fakes import FakeTeacher, completion, make_prompt
from tests.tasks.benchmarks import prose
from tests.tasks.house import Spec, build

EXAM = [
    {"id": "q1", "prompt": "Natalia sold clips to 48 of her friends in April, and then half as many in May: how many in all?"},
    {"id": "q2", "prompt": prose("second", 30), "reference": prose("worked", 30)},
]
FIRST, SECOND = (str(item["prompt"]) for item in EXAM)


@pytest.fixture
def held(tmp_path: Path) -> Decontamination:
    """Give a benchmark of two items, read from a file."""
    path = tmp_path / "exam.jsonl"
    path.write_text("".join(json.dumps(item) + "\n" for item in EXAM))
    return Decontamination([Benchmark(source=str(path))], seed=0)


def answering(texts: Mapping[tuple[str, int], str | Choice]) -> FakeTeacher:
    """Return a teacher that says these, by prompt and index, and else something clean."""

    def answer(request: Request) -> Completion:
        return completion(
            texts.get((request.prompt_id, request.sample_index), prose((request.prompt_id, request.sample_index), 9))
        )

    return FakeTeacher(answer=answer)


async def test_a_contaminated_prompt(lake: Lake, held: Decontamination):
    """Nothing is asked of it, and each of its slots is rejected; the reason names benchmark, item and overlap."""
    prompts = [make_prompt("a"), make_prompt(f"Now: {FIRST.upper()}", prompt_id="b")]
    built = await build(lake, Spec(prompts=prompts, k=2, heldout=held))
    assert {prompt for prompt, _ in built.asked} == {"a"}
    assert built.counts == {"requested": 4, "reused": 0, "kept": 2, "rejected": {"decontaminate": 2}, "failed": 0}
    assert built.prepared.slots == 2
    (reason,) = {row["reason"] for row in built.tables["outcomes"] if row["prompt_id"] == "b"}
    assert reason.startswith('exam, item q1: 21 words in a row in the prompt: "natalia sold clips to 48 of')


async def test_every_turn_is_looked_at(lake: Lake, held: Decontamination):
    """A conversation is contaminated by any of its turns."""
    turns = (
        Message(role="user", content=SECOND),
        Message(role="assistant", content="Hm."),
        Message(role="user", content="Go on."),
    )
    built = await build(lake, Spec(prompts=[make_prompt("Go on.", messages=turns)], heldout=held))
    assert built.outcomes == {("Go on.", 0): ("rejected", "decontaminate")}


async def test_what_the_template_adds(lake: Lake, held: Decontamination):
    """A prompt is contaminated by a tag that the template sends along, and not by one that nobody sees."""
    prompts = [make_prompt("a", tags={"context": SECOND}), make_prompt("b", tags={"context": prose(1, 30)})]
    for text, outcome in (("{{ tags.context }} {{ prompt }}", ("rejected", "decontaminate")), ("{{ prompt }}", ("kept", None))):
        built = await build(lake, Spec(prompts=prompts, heldout=held, template=TemplateOptions(user=text)), run=outcome[0])
        assert built.outcomes == {("a", 0): outcome, ("b", 0): ("kept", None)}


async def test_a_contaminated_response(lake: Lake, held: Decontamination):
    """It is rejected itself, by its response or its reasoning; its prompt's other samples stay."""
    teacher = answering({("a", 1): f"{prose(1, 99)} {SECOND}", ("b", 0): Choice(response="4", reasoning=f"So: {FIRST}")})
    built = await build(lake, Spec(teachers={"smol": teacher}, k=2, heldout=held))
    rejected = {(row["prompt_id"], row["sample_index"]): row["reason"] for row in built.tables["outcomes"] if row["stage"]}
    assert sorted(rejected) == [("a", 1), ("b", 0)]
    assert rejected["a", 1].startswith("exam, item q2: 30 words in a row in the response")
    assert rejected["b", 0].startswith("exam, item q1: 21 words in a row in the reasoning")
    assert built.counts["rejected"] == {"decontaminate": 2}


async def test_a_rerun_is_the_same(lake: Lake, held: Decontamination):
    """A build again buys nothing and has the same outcomes."""
    teacher = answering({("a", 0): FIRST, ("b", 1): f"{SECOND} {FIRST}"})
    spec = Spec(teachers={"smol": teacher}, k=2, heldout=held)
    first, again = await build(lake, spec), await build(lake, spec, run="again")
    assert (again.paid, again.tables["outcomes"]) == (0, first.tables["outcomes"])
    assert first.tables["outcomes"][0]["stage"] == "decontaminate"


async def test_the_largest_overlap_is_told(lake: Lake, held: Decontamination):
    """Of several items the outcome names the one of which most is there."""
    teacher = answering({("a", 0): f"{' '.join(SECOND.split()[:15])} {FIRST}"})
    built = await build(lake, Spec(prompts=[make_prompt("a")], teachers={"smol": teacher}, heldout=held))
    assert built.tables["outcomes"][0]["reason"].startswith("exam, item q1: ")


async def test_an_exempt_source(lake: Lake, held: Decontamination):
    """In the prompts of an exempt source, and in what is answered to them, nothing is looked for."""
    prompts = [make_prompt(FIRST, prompt_id="a", source="own.jsonl"), make_prompt(FIRST, prompt_id="b", license="MIT")]
    teacher = answering({("a", 0): SECOND})
    built = await build(lake, Spec(prompts=prompts, teachers={"smol": teacher}, heldout=held, exempt={"own.jsonl"}))
    assert built.outcomes == {("a", 0): ("kept", None), ("b", 0): ("rejected", "decontaminate")}


async def test_what_is_rejected_already(lake: Lake, held: Decontamination):
    """What an earlier stage rejected keeps its outcome."""
    teacher = answering({("a", 0): FIRST, ("b", 0): FIRST})
    built = await build(lake, Spec(prompts=[make_prompt("a"), make_prompt("b")], teachers={"smol": teacher}, heldout=held))
    assert sorted(stage for _, stage in built.outcomes.values()) == ["decontaminate", "dedup"]


async def test_what_was_looked_at_before(lake: Lake, tmp_path: Path):
    """What is common goes by the prompts of a look alone, whatever other ones were looked at before."""
    instruction = prose("instruction", 20)
    path = tmp_path / "exam.jsonl"
    path.write_text(json.dumps({"id": "q", "prompt": f"{instruction} {prose('item', 40)}"}) + "\n")
    held = Decontamination([Benchmark(source=str(path))], seed=0)
    many = [make_prompt(f"{instruction} {prose(n, 40)}", prompt_id=f"p{n}") for n in range(COMMON + 1)]
    for number, (prompts, outcome) in enumerate([(many, "kept"), (many[:2], "rejected")]):
        built = await build(lake, Spec(prompts=prompts, heldout=held), run=f"r{number}")
        assert {each for each, _ in built.outcomes.values()} == {outcome}


def test_a_contaminated_template(held: Decontamination):
    """An item in the template would be in every prompt: that is an error of the spec."""
    held.check_template({"template.user": "{{ prompt }}", "template.system": "Think step by step."}, where="s.yaml")
    with pytest.raises(SpecError, match=r"^s\.yaml: template\.user: every prompt would be contaminated, with exam, item q1: "):
        held.check_template({"template.user": f"Example: {FIRST}\n{{{{ prompt }}}}"}, where="s.yaml")


def test_what_is_held_out(tmp_path: Path):
    """A line for each benchmark says how many items it has, and how many are too short to be found in texts."""
    (tmp_path / "exam.jsonl").write_text("".join(json.dumps(item) + "\n" for item in [*EXAM, {"prompt": "2 + 2?"}]))
    held = Decontamination([Benchmark(source=str(tmp_path / "exam.jsonl"), name="sums")], seed=0)
    assert list(held.lines()) == [
        "sums: 3 held-out items; 1 of them have so few words that only a prompt which is the item counts"
    ]


ITEMS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "an id": ({"id": "x", "prompt": "p"}, ["x"]),
    "a place": ({"prompt": "p"}, ["{}:1"]),
}


@pytest.mark.parametrize(("row", "names"), ITEMS.values(), ids=ITEMS)
def test_items_are_named(tmp_path: Path, row: dict[str, Any], names: list[str]):
    """An item is called by its id where its row has one, and else by its place."""
    path = tmp_path / "b.jsonl"
    path.write_text(json.dumps(row) + "\n")
    held = Decontamination([Benchmark(source=str(path))], seed=0)
    assert [name for _, name in held.heldout.items] == [name.format(path) for name in names]


def test_all_texts_of_a_row(tmp_path: Path):
    """Question, earlier turns, answer, tests and tags are held out; with `answers: false` the question alone is."""
    turns = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    row = {"messages": turns, "reference": "r", "tests": "t", "tags": {"topic": "g"}}
    path = tmp_path / "b.jsonl"
    path.write_text(json.dumps(row) + "\n")
    for answers, texts in ((True, ["u", "s", "r", "t", "g"]), (False, ["u"])):
        held = Decontamination([Benchmark(source=str(path), answers=answers)], seed=0)
        assert [part.text for part in held.heldout.parts] == texts


def test_a_benchmark_that_cannot_be_read(tmp_path: Path):
    """The error names the benchmark."""
    with pytest.raises(SourceError, match=r"^benchmark exam: .*: no such file"):
        Decontamination([Benchmark(source=str(tmp_path / "none.jsonl"), name="exam")], seed=0)


async def test_a_run_that_stops(lake: Lake, held: Decontamination, monkeypatch: pytest.MonkeyPatch):
    """Looking through a large dataset ends when the run does."""

    def stop() -> None:
        raise SpecError("stop")

    monkeypatch.setattr(held, "_check", stop)
    with pytest.raises(SpecError, match="stop"):
        await build(lake, Spec(heldout=held))
