"""Second chance: dedup, decontaminate and select together don't cost a text that is wanted."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from storage.lake import Lake
from storage.records import Message, Prompt
from tasks.decontaminate import Decontamination
from tasks.duplicates.options import DedupOptions
from tasks.heldout.benchmarks import Benchmark
from tasks.select import SelectOptions
from tests.fakes import FakeTeacher, completion, make_prompt, named
from tests.tasks.benchmarks import prose
from tests.tasks.duplicates.test_semantic import MEANINGS, WORDS
from tests.tasks.embedding import save_model
from tests.tasks.house import Built, Spec, build
from verifiers.protocol import Finding

ITEM = prose("held out", 20)
LONG = prose("a solution", 200).split()
NEAR = DedupOptions(near=True)


@pytest.fixture
def held(tmp_path: Path) -> Decontamination:
    """Give a benchmark of one item."""
    path = tmp_path / "exam.jsonl"
    path.write_text(json.dumps({"id": "q1", "prompt": ITEM}) + "\n")
    return Decontamination([Benchmark(source=str(path))], seed=0)


def saying(end: str, *, with_item: bool, of: list[str] = LONG) -> str:
    """Return the same long text with another end, and with the held-out item in it or not: all of these are near."""
    return " ".join([*of, *([ITEM] if with_item else []), end])


async def tried(
    lake: Lake, held: Decontamination, dedup: DedupOptions, texts: Mapping[str, str], *, run: str = "run", **given: Any
) -> Built:
    """Build prompts whose only responses these are; earlier ones have better verdicts."""
    order = list(texts)
    teacher = FakeTeacher(answer=lambda request: completion(texts[request.prompt_id]))
    scores = named(judge=lambda prompt, sample: Finding(passed=True, score=1 - order.index(sample.prompt_id) / 100))
    prompts = given.pop("prompts", [make_prompt(name) for name in texts])
    spec = Spec(prompts=prompts, teachers={"smol": teacher}, verifiers=[scores], dedup=dedup, heldout=held, **given)
    return await build(lake, spec, run=run)


def asking(text: str, *, prompt_id: str) -> Prompt:
    """Return a prompt of this user's text whose samples are its own: prompts that ask the very same share them."""
    turns = (Message(role="system", content=prompt_id), Message(role="user", content=text))
    return make_prompt(text, prompt_id=prompt_id, messages=turns)


def ends(built: Built) -> dict[str, str | None]:
    """Return each prompt's stage."""
    return {prompt: stage for (prompt, _), (_, stage) in built.outcomes.items()}


def told(built: Built) -> dict[str, str]:
    """Return each prompt's reason, with prompts for samples."""
    names = {row["sample_id"]: row["prompt_id"] for row in built.tables["outcomes"]}
    found = {}
    for row in built.tables["outcomes"]:
        words = (row["reason"] or "").split(" (")[0].split()
        found[row["prompt_id"]] = " ".join(names.get(word, word) for word in words)
    return found


async def test_a_clean_double_comes_back(lake: Lake, held: Decontamination):
    """Of near-duplicates, the best has an item in it: it is told as contaminated, and the best clean one is kept."""
    texts = {
        "a": saying("one", with_item=True),
        "b": saying("two", with_item=True),
        "c": saying("three", with_item=False),
        "d": saying("four", with_item=False),
    }
    built = await tried(lake, held, NEAR, texts)
    assert ends(built) == {"a": "decontaminate", "b": "dedup", "c": None, "d": "dedup"}
    assert told(built)["b"] == "near-duplicates a"
    assert told(built)["d"] == "near-duplicates c"
    assert built.counts == {"requested": 4, "reused": 0, "kept": 1, "rejected": {"decontaminate": 1, "dedup": 2}, "failed": 0}


async def test_what_is_still_there_goes_first(lake: Lake, held: Decontamination):
    """What comes back is dropped again where it duplicates one that had stayed, however much better its verdict is."""
    half = [*LONG[:186], *prose("another end", 14).split()]  # near to what is between the two, and not to the first
    between = [*LONG[:193], *half[186:193]]
    texts = {
        "a": saying("one", with_item=True),
        "b": saying("two", with_item=False, of=between),
        "c": saying("three", with_item=False, of=half),
    }
    near = DedupOptions(near={"threshold": 0.81})
    built = await tried(lake, held, near, texts)
    assert ends(built) == {"a": "decontaminate", "b": "dedup", "c": None}
    assert told(built)["b"] == "near-duplicates c"


async def test_again_it_is_the_same(lake: Lake, held: Decontamination):
    """A build again has the same outcomes and the same traces."""
    texts = {name: saying(name, with_item=name < "m") for name in "abcxyz"}
    first, again = await tried(lake, held, NEAR, texts), await tried(lake, held, NEAR, texts, run="again")
    assert first.tables["outcomes"] == again.tables["outcomes"]
    assert [row["prompt_id"] for row in first.tables["traces"]] == ["x"]


async def test_exactly_the_same(lake: Lake, held: Decontamination):
    """What says exactly the same is contaminated too, unless its source is exempt: then it comes back."""
    texts = dict.fromkeys("abcd", saying("end", with_item=True))
    prompts = [make_prompt(name, source="own.jsonl" if name in "cd" else "p.jsonl") for name in texts]
    built = await tried(lake, held, DedupOptions(), texts, prompts=prompts, exempt={"own.jsonl"})
    assert ends(built) == {"a": "decontaminate", "b": "dedup", "c": None, "d": "dedup"}
    assert told(built) | {"a": ""} == {"a": "", "b": "duplicates a", "c": "", "d": "duplicates c"}


@pytest.mark.parametrize("near", [None, True])
async def test_prompts_that_are_the_same(lake: Lake, held: Decontamination, near: bool | None):
    """By prompt, one that has no clean sample gives way to another; one that has some stays."""
    prompts = [asking(prose("a question" if name in "abc" else "another", 30), prompt_id=name) for name in "abcxy"]
    texts = {
        ("a", 0): f"1 {ITEM}",
        ("a", 1): f"2 {ITEM}",
        ("b", 0): "3",
        ("b", 1): f"4 {ITEM}",
        ("c", 0): "5",
        ("c", 1): "6",
        ("x", 0): f"7 {ITEM}",
        ("x", 1): "8",
        ("y", 0): "9",
        ("y", 1): "10",
    }
    teacher = FakeTeacher(answer=lambda request: completion(texts[request.prompt_id, request.sample_index]))
    scores = named(judge=lambda prompt, sample: Finding(passed=True, score=1 - int(sample.response.split()[0]) / 100))
    dedup = DedupOptions(by="prompt", near=near)
    spec = Spec(prompts=prompts, teachers={"smol": teacher}, verifiers=[scores], k=2, dedup=dedup, heldout=held)
    built = await build(lake, spec)
    stages = {key: stage for key, (_, stage) in built.outcomes.items()}
    assert stages == {
        ("a", 0): "decontaminate",
        ("a", 1): "decontaminate",
        ("b", 0): None,
        ("b", 1): "dedup",
        ("c", 0): "dedup",
        ("c", 1): "dedup",
        ("x", 0): "decontaminate",
        ("x", 1): None,
        ("y", 0): "dedup",
        ("y", 1): "dedup",
    }


async def test_a_chain_of_doubles(lake: Lake, held: Decontamination, tmp_path: Path):
    """What was dropped for one that was itself dropped, as a semantic double of a contaminated one, comes back as well."""
    model = save_model(tmp_path / "model", WORDS, MEANINGS)
    texts = {
        "a": f"{prose('one', 200)} large cat rests {ITEM}",
        "b": f"{prose('other', 200)} big cat sleeps {ITEM}",
        "c": f"{prose('other', 200)} big cat sleeps and sleeps",
    }
    options = DedupOptions(near=True, semantic={"model": model, "threshold": 0.95})
    built = await tried(lake, held, options, texts)
    assert ends(built) == {"a": "decontaminate", "b": "dedup", "c": None}
    assert told(built)["b"] == "semantically duplicates a"


async def test_in_doubt_it_is_contaminated(lake: Lake, held: Decontamination):
    """A dozen doubles of a contaminated sample don't make a held-out item a form of words of the dataset."""
    some = " ".join(ITEM.split()[:14])  # of which not even half would be needed, were it common
    texts = {f"p{number:02}": f"{saying(str(number), with_item=False)} {some}" for number in range(14)}
    built = await tried(lake, held, NEAR, texts)
    assert ends(built) == {name: "dedup" if number else "decontaminate" for number, name in enumerate(texts)}


async def chosen(lake: Lake, said: Mapping[tuple[str, int], str], *, run: str = "run", **given: Any) -> Built:
    """Build prompts whose samples these are; shorter ones have better verdicts."""
    teacher = FakeTeacher(answer=lambda request: completion(said[request.prompt_id, request.sample_index]))
    prompts = given.pop("prompts", [make_prompt(name) for name in dict.fromkeys(name for name, _ in said)])
    k = 1 + max(number for _, number in said)
    return await build(lake, Spec(prompts=prompts, k=k, teachers={"smol": teacher}, **given), run=run)


def stages(built: Built) -> dict[tuple[str, int], str | None]:
    """Return the stage of each slot."""
    return {key: stage for key, (_, stage) in built.outcomes.items()}


async def test_none_is_a_double_of_what_is_out_of_the_band(lake: Lake):
    """A hard prompt keeps a text that an easy one has as well."""
    said = {("easy", 0): "same", ("easy", 1): "other", ("hard", 0): "Same", ("hard", 1): "wrong"}
    right = [named(judge=lambda prompt, sample: sample.response != "wrong")]
    built = await chosen(lake, said, verifiers=right, select=SelectOptions(pass_rate=(0.1, 0.9)))
    assert stages(built) == {("easy", 0): "select", ("easy", 1): "select", ("hard", 0): None, ("hard", 1): "verify"}


@pytest.mark.parametrize("prefer", ["longest", "diverse"])
async def test_a_double_of_what_is_left_out_comes_back(lake: Lake, prefer: Any):
    """Where a prompt prefers another sample than the one that is kept of its doubles, one of these is kept in its place."""
    best = "a" if prefer == "diverse" else "a much longer text"
    said = {
        ("p", 0): "same text",
        ("p", 1): best,
        ("q", 0): "Same text",
        ("q", 1): "Same  text",
        ("r", 0): "SAME text",
        ("r", 1): "b",
    }
    built = await chosen(lake, said, select=SelectOptions(per_prompt=1, prefer=prefer))
    kept = {key for key, stage in stages(built).items() if stage is None}
    assert len(kept) == 3
    assert kept & {("q", 0), ("q", 1)}
    assert ("p", 1) in kept


async def test_a_double_of_what_a_cap_leaves_out_comes_back(lake: Lake):
    """So it is with caps."""
    said = {(name, 0): "same" if name < "q" else name for name in "abcdpqrs"}
    prompts = [make_prompt(name, source="few" if name in "aqrs" else "many") for name, _ in said]
    for seed in range(3):
        built = await chosen(
            lake, said, prompts=prompts, select=SelectOptions(cap={"by": "source", "at": 1}), seed=seed, run=f"seed{seed}"
        )
        assert sorted(row["prompt_source"] for row in built.tables["traces"]) == ["few", "many"]


async def test_prompts_that_are_the_same_as_one_left_out(lake: Lake):
    """By prompt, another one comes back where a cap leaves all samples of the first out."""
    prompts = [replace(asking("What is it?", prompt_id=name), source=source) for name, source in (("a", "full"), ("b", "own"))]
    prompts.append(make_prompt("x", source="full"))
    said = {("a", 0): "1", ("b", 0): "22", ("x", 0): "333"}
    found = set()
    for seed in range(6):
        cap = SelectOptions(cap={"by": "source", "at": 1})
        built = await chosen(lake, said, prompts=prompts, select=cap, dedup=DedupOptions(by="prompt"), seed=seed, run=f"s{seed}")
        found.add(tuple(sorted(row["prompt_id"] for row in built.tables["traces"])))
    assert found == {("a",), ("b", "x")}


async def test_what_comes_back_is_looked_at(lake: Lake, held: Decontamination):
    """What comes back and has a held-out item in it is told as contaminated."""
    said = {("p", 0): saying("one", with_item=False), ("p", 1): prose("longer", 300)}
    said |= {("q", number): saying(f"two {number}", with_item=True) for number in range(2)}
    select = SelectOptions(per_prompt=1, prefer="longest")
    built = await chosen(lake, said, select=select, dedup=NEAR, heldout=held)
    assert stages(built) == {("p", 0): "select", ("p", 1): None, ("q", 0): "decontaminate", ("q", 1): "decontaminate"}


@pytest.mark.parametrize("dedup", [DedupOptions(), NEAR, DedupOptions(by="both")], ids=["exact", "near", "both"])
@pytest.mark.parametrize("prefer", ["longest", "random", "diverse"])
async def test_who_is_dropped_duplicates_a_kept_one(lake: Lake, dedup: DedupOptions, prefer: Any):
    """Whatever is chosen, each double's outcome names a trace, and no prompt lacks what it might have."""
    rng = random.Random(f"{dedup}{prefer}")
    texts = [f"{prose(str(number), 3 + number % 5)}" for number in range(40)]
    said = {(f"p{number:02}", index): rng.choice(texts) for number in range(40) for index in range(4)}
    prompts = [make_prompt(f"p{number:02}", source=f"s{number % 3}") for number in range(40)]
    select = SelectOptions(per_prompt=2, prefer=prefer, cap={"by": "source", "at": 9})
    built = await chosen(lake, said, prompts=prompts, select=select, dedup=dedup)
    again = await chosen(lake, said, prompts=prompts, select=select, dedup=dedup, run="again")
    assert built.tables["outcomes"] == again.tables["outcomes"]
    kept = {row["sample_id"] for row in built.tables["traces"]}
    rows = built.tables["outcomes"]
    assert all(row["reason"].split(" (")[0].rpartition(" ")[2] in kept for row in rows if row["stage"] == "dedup")
    for row in rows:
        if row["stage"] == "select" and row["reason"].startswith("per_prompt"):
            assert sum(each["prompt_id"] == row["prompt_id"] and each["stage"] != "dedup" for each in rows) > 2


@pytest.mark.parametrize("near", [None, True])
async def test_a_prompt_is_named_by_what_it_keeps(lake: Lake, near: bool | None):
    """By prompt, the outcome names a sample that is kept, also where the prompt's best one is left out."""
    prompts = [asking(prose("a question", 30), prompt_id=name) for name in "ab"]
    said = {("a", 0): "1", ("a", 1): "longest of all", ("b", 0): "other", ("b", 1): "another"}
    select = SelectOptions(per_prompt=1, prefer="longest")
    built = await chosen(lake, said, prompts=prompts, select=select, dedup=DedupOptions(by="prompt", near=near))
    assert stages(built) == {("a", 0): "select", ("a", 1): None, ("b", 0): "dedup", ("b", 1): "dedup"}
    (kept,) = built.tables["traces"]
    told_ = {row["reason"].split(" (")[0].rpartition(" ")[2] for row in built.tables["outcomes"] if row["stage"] == "dedup"}
    assert told_ == {kept["sample_id"]}
