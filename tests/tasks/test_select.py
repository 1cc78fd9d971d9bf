"""Select: which accepted samples of a prompt become traces."""

from __future__ import annotations

from typing import Any

import pytest

from storage.lake import Lake
from tasks.select import SelectOptions
from tasks.teachers.protocol import Choice, Completion, Request
from tests.fakes import FakeTeacher, completion, make_prompt, named
from tests.tasks.house import Built, Spec, build
from verifiers.protocol import Finding

TEXTS = ("medium", "s", "the longest", "short")
SCORES = (0.5, 0.9, 0.9, 0.1)


async def run(
    lake: Lake,
    prefer: Any,
    per_prompt: int | None = 2,
    *,
    seed: int = 0,
    texts: tuple[Any, ...] = TEXTS,
    scores: tuple[float, ...] = SCORES,
    run: str = "run",
) -> Built:
    """Build one prompt with these responses and scores."""

    def answer(request: Request) -> Completion:
        return completion(texts[request.sample_index])

    return await build(
        lake,
        Spec(
            prompts=[make_prompt("a")],
            k=len(texts),
            teachers={"smol": FakeTeacher(answer=answer)},
            verifiers=[named(judge=lambda prompt, sample: Finding(passed=True, score=scores[sample.sample_index]))],
            select=SelectOptions(prefer=prefer, per_prompt=per_prompt),
            seed=seed,
        ),
        run=run,
    )


@pytest.mark.parametrize(
    ("prefer", "expected"),
    [("shortest", {"s", "short"}), ("longest", {"the longest", "medium"}), ("best", {"s", "the longest"})],
)
async def test_prefer(lake: Lake, prefer: str, expected: set[str]):
    """By length, or by score and then length."""
    built = await run(lake, prefer)
    assert set(built.kept) == expected
    assert built.counts["rejected"] == {"select": 2}
    reasons = {row["reason"] for row in built.tables["outcomes"] if row["stage"] == "select"}
    assert reasons == {f"per_prompt: 2 others were preferred ({prefer})"}


async def test_best_then_shortest(lake: Lake):
    """Of equal scores the shorter is better."""
    assert (await run(lake, "best", 1)).kept == ["s"]


@pytest.mark.parametrize(("prefer", "expected"), [("shortest", "longer answer"), ("longest", "x")])
async def test_reasoning_counts(lake: Lake, prefer: str, expected: str):
    """Length is in characters, reasoning included."""
    texts = ("longer answer", Choice(response="x", reasoning="a very long chain of thought"))
    assert (await run(lake, prefer, 1, texts=texts)).kept == [expected]


@pytest.mark.parametrize("prefer", ["shortest", "longest", "best"])
async def test_ties(lake: Lake, prefer: str):
    """Of equals the one with the least id stays, so that a rerun keeps the same."""
    built = await run(lake, prefer, 1, texts=("a", "b", "c", "d"), scores=(1.0,) * 4)
    assert built.tables["traces"][0]["sample_id"] == min(row["sample_id"] for row in built.tables["outcomes"])


async def test_random(lake: Lake):
    """A random choice is the same for the same seed, and another for another."""
    texts, scores = tuple(map(str, range(12))), (1.0,) * 12
    chosen = [
        (await run(lake, "random", 4, seed=seed, texts=texts, scores=scores, run=f"r{n}")).kept
        for n, seed in enumerate((1, 1, 2))
    ]
    assert chosen[0] == chosen[1] != chosen[2]
    assert [len(each) for each in chosen] == [4, 4, 4]


@pytest.mark.parametrize("per_prompt", [None, 4, 9])
async def test_no_bound(lake: Lake, per_prompt: int | None):
    """Without a bound, or one that isn't reached, all are kept."""
    assert (await run(lake, "best", per_prompt)).counts["kept"] == 4


async def test_over_all_teachers(lake: Lake):
    """The bound is for a prompt, whoever answered, and for each prompt on its own."""
    teachers = {"smol": FakeTeacher(), "big": FakeTeacher(answer=lambda request: completion(f"{request.prompt_id}!"))}
    built = await build(lake, Spec(k=1, teachers=teachers, select=SelectOptions(per_prompt=1, prefer="shortest")))
    assert sorted(built.kept) == ["a!", "b!", "c!"]
    assert built.counts["rejected"] == {"select": 3}
