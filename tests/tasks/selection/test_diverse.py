"""Diverse: of a prompt's samples, those that are farthest from each other."""

from __future__ import annotations

import itertools
import random

import pytest

from storage.lake import Lake
from tasks.select import SelectOptions
from tasks.selection import diverse
from tasks.selection.diverse import farthest, grams
from tasks.teachers.protocol import Choice
from tests.fakes import FakeTeacher, completion, make_prompt, named
from tests.tasks.house import Built, Spec, build
from verifiers.protocol import Finding

A, A2, B, C = "one two three four five", "one two three four six", "seven eight nine ten", "a b c d one two three"


def distance(one: str, other: str) -> float:
    """Return the distance by its definition."""
    a, b = grams(one), grams(other)
    return 1 - len(a & b) / len(a | b)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", set()),
        ("Two words", {"two words"}),
        ("a, b. C; d", {"a b c", "b c d"}),
        ("é, b. C; d", {"é b c", "b c d"}),
        ("猫が好き", {"猫 が 好", "が 好 き"}),
    ],
)
def test_grams(text: str, expected: set[str]):
    """Words are told apart whatever stands between them; scripts without spaces are read by character."""
    assert grams(text) == expected


@pytest.mark.parametrize(
    ("texts", "many", "expected"),
    [
        ([A, A2, B], 2, [0, 2]),
        ([A, A2, B, C], 3, [0, 2, 3]),
        ([A, A, A], 2, [0, 1]),
        (["", "", B], 2, [0, 2]),
        ([A], 3, [0]),
        ([], 1, []),
    ],
)
def test_farthest(texts: list[str], many: int, expected: list[int]):
    """The first is taken, then what is farthest; of equals, the first."""
    assert farthest(texts, many) == expected


def test_within_twice_of_the_best():
    """The largest gap that is left is at most twice the least possible, as the method promises."""
    rng = random.Random(0)
    for _ in range(20):
        texts = [" ".join(rng.choices("abcd", k=8)) for _ in range(8)]
        gaps = [
            max(min(distance(text, texts[one]) for one in chosen) for text in texts)
            for chosen in (farthest(texts, 3), *itertools.combinations(range(8), 3))
        ]
        assert gaps[0] <= 2 * min(gaps[1:])


async def run(lake: Lake, answers: dict[str, list[str | Choice]], *, per_prompt: int = 2, run: str = "run") -> Built:
    """Build prompts with these responses; the score falls with the index."""
    many = max(map(len, answers.values()))
    spec = Spec(
        prompts=[make_prompt(text) for text in answers],
        k=many,
        teachers={"smol": FakeTeacher(answer=lambda request: completion(answers[request.prompt_id][request.sample_index]))},
        verifiers=[named(judge=lambda prompt, sample: Finding(passed=True, score=1 - sample.sample_index / many))],
        select=SelectOptions(prefer="diverse", per_prompt=per_prompt),
    )
    return await build(lake, spec, run=run)


@pytest.mark.parametrize("bucket", [1, 3, 10_000], ids="buckets of {}".format)
async def test_build(lake: Lake, monkeypatch: pytest.MonkeyPatch, bucket: int):
    """The best stays, with those farthest from it, of each prompt on its own, however many are dealt at a time."""
    monkeypatch.setattr(diverse, "BUCKET_ROWS", bucket)
    answers: dict[str, list[str | Choice]] = {f"p{n}": [f"{text} {n}" for text in (A, A2, B, f"{A} x")] for n in range(5)}
    built = await run(lake, answers)
    assert built.kept == [f"{text} {n}" for n in range(5) for text in (A, B)]
    assert built.counts["rejected"] == {"select": 10}
    assert {row["reason"] for row in built.tables["outcomes"] if row["stage"]} == {
        "per_prompt: 2 others were preferred (diverse)"
    }


async def test_reasoning_counts(lake: Lake):
    """The chain of thought is a part of what is compared."""
    answers: list[str | Choice] = [Choice(response="4", reasoning=text) for text in (A, A2, B)]
    built = await run(lake, {"p": answers})
    assert [row["reasoning"] for row in built.tables["traces"]] == [A, B]


async def test_nothing_to_choose(lake: Lake):
    """Where no prompt has more, nothing is read."""
    built = await run(lake, {"p": [A, B]})
    assert built.kept == [A, B]
