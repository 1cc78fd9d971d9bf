"""A cascade: the next teacher is asked only for the prompts that those before did not solve."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.errors import Interrupted, QuotaSpent, RequestRejected
from storage.lake import Lake
from storage.records import Prompt, Sample
from tasks.teachers.protocol import Completion, Request
from tests.fakes import FakeTeacher, completion, echo, make_prompt, named
from tests.tasks.house import Built, Spec, build, house

Slot = tuple[str, str, int]
"""Prompt, teacher, index."""
LADDER = {"cascade": ("cheap", "strong")}


def teacher(*good: tuple[str, int]) -> FakeTeacher:
    """Return a teacher whose samples of these prompts' texts and indices are good."""

    def answer(request: Request) -> Completion:
        text = request.messages[-1].content
        indices = range(request.sample_index, request.sample_index + request.n)
        return completion(*(f"{'good' if (text, n) in good else 'bad'} {text} {n}" for n in indices))

    return FakeTeacher(answer=answer)


def is_good(prompt: Prompt, sample: Sample) -> bool:
    """Judge by what the response says."""
    return sample.response.startswith("good")


def slots(built: Built) -> set[Slot]:
    """Return the slots that a build's outcomes are of."""
    rows = built.tables["outcomes"]
    found = {(row["prompt_id"], row["teacher"], row["sample_index"]) for row in rows}
    assert len(found) == len(rows) == built.counts["requested"]
    return found


def all_of(prompt: str, teacher: str, indices: Iterable[int]) -> set[Slot]:
    """Return the slots of one prompt and one teacher."""
    return {(prompt, teacher, index) for index in indices}


def two(cheap: FakeTeacher, strong: FakeTeacher, **given: Any) -> Spec:
    """Return a spec with a cascade of two."""
    sampling = LADDER | given.pop("sampling", {})
    return Spec(
        **({"teachers": {"cheap": cheap, "strong": strong}, "verifiers": [named(judge=is_good)], "k": 2} | given),
        sampling=sampling,
    )


async def test_the_strong_one_gets_what_is_left(lake: Lake):
    """A prompt that the cheap teacher solves never reaches the strong one; within each, all k are drawn."""
    built = await build(lake, two(teacher(("a", 1)), teacher(("b", 0))))
    cheap = {slot for prompt in "abc" for slot in all_of(prompt, "cheap", range(2))}
    assert slots(built) == cheap | all_of("b", "strong", range(2)) | all_of("c", "strong", range(2))
    assert built.paid == 10


async def test_the_order_is_the_cascades(lake: Lake):
    """Who goes first is what `cascade` says, wherever the teachers stand in the spec."""
    strong, cheap = teacher(), teacher(("a", 0), ("b", 0), ("c", 0))
    await build(lake, two(cheap, strong, teachers={"strong": strong, "cheap": cheap}))
    assert (len(cheap.requests), strong.requests) == (6, [])


async def test_enough_among_all(lake: Lake):
    """A prompt is solved by `accept` samples among all teachers so far; the next is asked for as many as are still lacking."""
    teachers = {"one": teacher(("a", 0)), "two": teacher(("a", 1), ("a", 2)), "three": teacher(("a", 0))}
    spec = Spec(
        prompts=[make_prompt("a")],
        teachers=teachers,
        k=3,
        sampling={"adaptive": {"accept": 2}, "cascade": tuple(teachers)},
        verifiers=[named(judge=is_good)],
    )
    built = await build(lake, spec)
    assert slots(built) == all_of("a", "one", range(3)) | all_of("a", "two", range(2))
    assert built.counts["kept"] == 2


async def test_adaptive_within(lake: Lake):
    """Where k is adaptive, a teacher is asked for no more than it needs before the next is thought of."""
    sampling = {"adaptive": {"accept": 1}}
    built = await build(lake, two(teacher(("a", 1)), teacher(("b", 0), ("c", 2)), k=4, sampling=sampling))
    expected = all_of("a", "cheap", range(2)) | all_of("b", "cheap", range(4)) | all_of("c", "cheap", range(4))
    assert slots(built) == expected | all_of("b", "strong", range(1)) | all_of("c", "strong", range(3))


async def test_without_verifiers(lake: Lake):
    """Without verifiers every response counts as accepted, so the strong teacher only fills in where none came."""

    def refusing(request: Request) -> Completion:
        if request.prompt_id == "b":
            raise RequestRejected("400")
        return echo(request)

    strong = FakeTeacher()
    built = await build(lake, two(FakeTeacher(answer=refusing), strong, verifiers=[]))
    assert sorted(strong.asked) == [("b", 0), ("b", 1)]
    assert (built.counts["failed"], built.counts["kept"]) == (2, 6)


async def test_a_rerun_buys_nothing(lake: Lake):
    """A rerun reaches the very same slots and asks nobody."""
    spec = two(teacher(("a", 1)), teacher(("b", 0)), sampling={"adaptive": {"accept": 1}})
    first = await build(lake, spec)
    second = await build(lake, spec, run="again")
    assert (second.asked, second.paid) == ([], 0)
    assert slots(second) == slots(first)


async def test_what_was_drawn_before_there_was_a_cascade(lake: Lake):
    """Stored samples that the cascade doesn't ask for are no outcome of it."""
    spec = two(teacher(("a", 0)), teacher(("b", 0)))
    await build(lake, replace(spec, sampling={}))
    built = await build(lake, spec, run="again")
    assert built.paid == 0
    assert not slots(built) & all_of("a", "strong", range(2))


@pytest.mark.parametrize("after", range(1, 10))
async def test_killed_half_way(lake: Lake, tmp_path: Path, after: int):
    """Whichever request a run dies at, the next one ends at the slots of a run that nothing happened to, and buys only the rest."""
    cheap, strong = teacher(("a", 1)), teacher(("b", 0))
    whole = await build(Lake(tmp_path / "whole"), two(cheap, strong))
    sent: list[Request] = []

    def dying(inner: FakeTeacher) -> FakeTeacher:
        def answer(request: Request) -> Completion:
            sent.append(request)
            if len(sent) > after:
                raise ZeroDivisionError("a defect")
            return inner.answer(request)

        return FakeTeacher(answer=answer)

    limits = {"limits": {"concurrency": 1}}
    with pytest.raises(ExceptionGroup):
        await build(lake, two(dying(cheap), dying(strong), options=limits))
    built = await build(lake, two(cheap, strong), run="again")
    assert slots(built) == slots(whole)
    assert built.paid + built.counts["reused"] == built.counts["requested"]
    assert built.counts["reused"] == after


async def test_a_day_that_is_used(lake: Lake):
    """Of a teacher whose day is used the next takes over what it did not solve, and nothing that it was not asked for."""
    cheap, strong = teacher(), teacher(("a", 0), ("b", 0))
    spec = two(cheap, strong, prompts=[make_prompt(text) for text in "abcd"], k=2)
    capped = replace(spec, own={"cheap": {"limits": {"requests_per_day": 5, "concurrency": 1}}})
    async with house(lake, capped) as one:
        await one.prepare()
        for number in await one.open():
            await one.work(number)
        one.stop.conclude()
        assert isinstance(one.stop.reason, QuotaSpent)
        await one.land_samples()
    assert sorted(cheap.asked) == [("a", 0), ("a", 1), ("b", 0), ("b", 1), ("c", 0)]
    assert sorted(strong.asked) == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    built = await build(lake, spec, run="tomorrow")
    assert built.paid == 7
    assert slots(built) == {slot for text in "abcd" for name in ("cheap", "strong") for slot in all_of(text, name, range(2))}


async def test_stopped(lake: Lake):
    """Where the run stops in the middle of the cheap teacher's samples, the strong one doesn't stand in for the rest."""
    strong = FakeTeacher()
    spec = two(FakeTeacher(), strong, k=3, options={"limits": {"concurrency": 1}}, verifiers=[named(judge=lambda *_: False)])
    async with house(lake, spec) as one:

        def answer(request: Request) -> Completion:
            if len(cheap.requests) == 4:
                one.stop.set(Interrupted("SIGINT"))
            return echo(request)

        cheap = spec.teachers["cheap"]
        cheap.answer = answer
        await one.prepare()
        (number,) = await one.open()
        await one.work(number)
    assert (len(cheap.requests), strong.requests) == (4, [])


def refusing(inner: FakeTeacher, failing: Iterable[tuple[str, int]]) -> FakeTeacher:
    """Return the teacher with requests for these prompts' texts and indices refused."""

    def answer(request: Request) -> Completion:
        if (request.messages[-1].content, request.sample_index) in failing:
            raise RequestRejected("400")
        return inner.answer(request)

    return FakeTeacher(answer=answer)


@pytest.mark.parametrize("adaptive", [True, False], ids=["adaptive", "all k"])
async def test_failed_slots_of_what_the_strong_one_solved(lake: Lake, adaptive: bool):
    """A rerun doesn't ask the cheap teacher again for slots that failed, where the strong one has solved the prompt since."""
    sampling = {"adaptive": {"accept": 1}} if adaptive else {}
    cheap, strong = teacher(("a", 0)), teacher(("a", 1))
    spec = two(refusing(cheap, [("a", 0)]), strong, prompts=[make_prompt("a")], sampling=sampling)
    first = await build(lake, spec)
    assert (first.counts["failed"], first.counts["kept"]) == (1, 1)
    second = await build(lake, two(cheap, strong, prompts=[make_prompt("a")], sampling=sampling), run="again")
    assert second.asked == []
    assert slots(second) == slots(first) - all_of("a", "cheap", range(1))


@st.composite
def worlds(draw: Any) -> dict[str, Any]:
    """Return a small random cascade: prompts (some of which ask alike), three teachers' good samples, k and rounds."""
    k = draw(st.integers(1, 3))
    pairs = st.tuples(st.sampled_from("abc"), st.integers(0, k - 1))
    return {
        "texts": draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=4)),
        "k": k,
        "good": [draw(st.sets(pairs)) for _ in range(3)],
        "accept": draw(st.none() | st.integers(1, k)),
        "failing": [draw(st.sets(pairs)) for _ in range(3)],
    }


Pairs = list[set[tuple[str, int]]]
"""By teacher: texts and indices."""


def wanted(texts: list[str], k: int, good: Pairs, accept: int | None, failing: Pairs, stored: Pairs) -> tuple[set[Slot], Pairs]:
    """Say one sample after the other which outcomes a cascade has, and what is stored then.

    A slot is asked for where the prompt lacks something, counting what is stored and good.
    """
    found: set[Slot] = set()
    after = [set(theirs) for theirs in stored]
    for place, text in enumerate(texts):
        solved = 0
        for number, theirs in enumerate(good):
            if solved >= (accept or 1):
                break
            goal = (accept or 1) - solved
            had = [sum((text, n) in stored[t] & good[t] for n in range(k)) for t in range(3)]
            own, behind, tried = had[number], sum(had[number + 1 :]), set()
            unsolved = own >= goal or own + behind < goal
            for index in range(k):
                if (text, index) in stored[number]:
                    continue
                if own + behind < goal if accept else unsolved:
                    tried.add(index)
                    own += (text, index) in theirs - failing[number]
            after[number] |= {(text, index) for index in tried} - failing[number]
            counted = 0
            for index in range(k):
                if accept is None or counted < goal:
                    here = (text, index) in stored[number]
                    found |= {(f"{place}-{text}", f"t{number}", index)} if here or index in tried else set()
                    counted += (text, index) in theirs and (here or (index in tried and (text, index) not in failing[number]))
            solved += counted
    return found, after


@pytest.mark.slow
@settings(max_examples=12)
@given(worlds())
def test_any_cascade(world: dict[str, Any]):
    """Whatever is good and whatever fails, rounds and prompts that ask alike end at the slots that asking one by one would.

    A rerun with teachers that are well again asks only where something is lacking and loses nothing that was accepted, and one after
    that asks nobody.
    """

    async def main(lake: Lake) -> None:
        whole = {f"t{number}": teacher(*good) for number, good in enumerate(world["good"])}
        partly = {name: refusing(whole[name], bad) for name, bad in zip(whole, world["failing"], strict=True)}
        adaptive = {"adaptive": {"accept": world["accept"]}} if world["accept"] else {}
        spec = Spec(
            prompts=[make_prompt(text, prompt_id=f"{place}-{text}") for place, text in enumerate(world["texts"])],
            teachers=partly,
            k=world["k"],
            sampling={"cascade": tuple(whole)} | adaptive,
            verifiers=[named(judge=is_good)],
        )
        first = await build(lake, spec)
        nothing: Pairs = [set(), set(), set()]
        expected, stored = wanted(**world, stored=nothing)
        assert slots(first) == expected
        assert len(first.asked) == len({(prompt.split("-")[1], name, n) for prompt, name, n in slots(first)})
        second = await build(lake, replace(spec, teachers=whole), run="again")
        expected, stored_then = wanted(**world | {"failing": nothing}, stored=stored)
        assert slots(second) == expected
        assert second.paid == sum(map(len, stored_then)) - sum(map(len, stored))
        assert accepted(first) <= accepted(second)
        third = await build(lake, replace(spec, teachers=whole), run="and again")
        assert (third.asked, slots(third), accepted(third)) == ([], slots(second), accepted(second))

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Lake(Path(folder))))


def accepted(built: Built) -> set[Slot]:
    """Return the slots whose samples were accepted, whatever dedup made of them then."""
    rows = [row for row in built.tables["outcomes"] if row["stage"] not in {"draw", "verify"}]
    return {(row["prompt_id"], row["teacher"], row["sample_index"]) for row in rows}
