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

from storage.errors import Interrupted, RequestRejected
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
    """A prompt is solved by `accept` samples among all teachers so far; within a teacher, rounds stop at `accept` of its own."""
    teachers = {"one": teacher(("a", 0)), "two": teacher(("a", 1)), "three": teacher(("a", 0))}
    spec = Spec(
        prompts=[make_prompt("a")],
        teachers=teachers,
        k=3,
        sampling={"adaptive": {"accept": 2}, "cascade": tuple(teachers)},
        verifiers=[named(judge=is_good)],
    )
    built = await build(lake, spec)
    assert slots(built) == all_of("a", "one", range(3)) | all_of("a", "two", range(3))


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
    }


def wanted(texts: list[str], k: int, good: list[set[tuple[str, int]]], accept: int | None) -> set[Slot]:
    """Say one sample after the other which slots a cascade asks for."""
    found: set[Slot] = set()
    for place, text in enumerate(texts):
        solved = 0
        for number, theirs in enumerate(good):
            own = 0
            for index in range(k) if solved < (accept or 1) else ():
                if accept is None or own < accept:
                    found.add((f"{place}-{text}", f"t{number}", index))
                    own += (text, index) in theirs
            solved += own
    return found


@settings(max_examples=15)
@given(worlds())
def test_any_cascade(world: dict[str, Any]):
    """Whatever is good, rounds and prompts that ask alike end at the slots that asking one by one would, and so does a rerun."""

    async def main(lake: Lake) -> None:
        teachers = {f"t{number}": teacher(*good) for number, good in enumerate(world["good"])}
        adaptive = {"adaptive": {"accept": world["accept"]}} if world["accept"] else {}
        spec = Spec(
            prompts=[make_prompt(text, prompt_id=f"{place}-{text}") for place, text in enumerate(world["texts"])],
            teachers=teachers,
            k=world["k"],
            sampling={"cascade": tuple(teachers)} | adaptive,
            verifiers=[named(judge=is_good)],
        )
        first = await build(lake, spec)
        assert slots(first) == wanted(**world)
        assert len(first.asked) == len({(prompt.split("-")[1], name, n) for prompt, name, n in slots(first)})
        second = await build(lake, spec, run="again")
        assert (second.paid, slots(second)) == (0, slots(first))

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Lake(Path(folder))))
