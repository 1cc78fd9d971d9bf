"""Select: which accepted samples of a prompt become traces."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
from pydantic import ValidationError

from storage.errors import RequestRejected
from storage.lake import Lake
from storage.records import Prompt
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


def sums(many: int, **given: Any) -> list[Prompt]:
    """Return prompts, every fourth with another topic, and the last two of these four from another source."""
    return [
        make_prompt(f"p{n}", tags={"topic": "rare" if n % 4 == 0 else "usual"}, source="b" if n % 4 > 1 else "a", **given)
        for n in range(many)
    ]


def reasons(built: Built) -> set[str]:
    """Return why samples were rejected in the selection."""
    return {row["reason"] for row in built.tables["outcomes"] if row["stage"] == "select"}


class TestPassRate:
    """Prompts that are too easy, or too hard, teach little."""

    async def graded(self, lake: Lake, *band: float, **given: Any) -> Built:
        """Build prompts p0 … p4 of which so many of four samples pass."""
        return await build(
            lake,
            Spec(
                prompts=[make_prompt(f"p{n}") for n in range(5)],
                k=4,
                verifiers=[named(judge=lambda prompt, sample: sample.sample_index < int(prompt.prompt_id[1]))],
                select=SelectOptions(pass_rate=band, **given),
            ),
        )

    async def test_band(self, lake: Lake):
        """The band's ends are in it, and the reason names the rate."""
        built = await self.graded(lake, 0.25, 0.5)
        assert {row["prompt_id"] for row in built.tables["traces"]} == {"p1", "p2"}
        assert {row["pass_rate"] for row in built.tables["traces"]} == {0.25, 0.5}
        assert reasons(built) == {f"pass_rate: {n} of 4 samples were accepted, outside 0.25 to 0.5" for n in (3, 4)}
        assert built.counts["rejected"] == {"select": 7, "verify": 10}

    async def test_before_per_prompt(self, lake: Lake):
        """What `per_prompt` leaves out was accepted all the same."""
        built = await self.graded(lake, 0.75, 1.0, per_prompt=1)
        assert {row["prompt_id"] for row in built.tables["traces"]} == {"p3", "p4"}

    async def test_dropped_as_a_duplicate(self, lake: Lake):
        """So was what repeats another."""
        teacher = FakeTeacher(answer=lambda request: completion("same"))
        built = await build(
            lake, Spec(prompts=[make_prompt("a")], k=4, teachers={"smol": teacher}, select=SelectOptions(pass_rate=(0.9, 1.0)))
        )
        assert built.counts["kept"] == 1

    async def test_failures_do_not_count(self, lake: Lake):
        """A slot without a response says nothing of the prompt."""

        def answer(request: Request) -> Completion:
            if request.sample_index:
                raise RequestRejected("no")
            return completion("fine")

        teacher = FakeTeacher(answer=answer)
        spec = Spec(prompts=[make_prompt("a")], k=3, teachers={"smol": teacher}, select=SelectOptions(pass_rate=(1.0, 1.0)))
        assert (await build(lake, spec)).counts["kept"] == 1


class TestCap:
    """So many of a kind."""

    async def test_by_tag(self, lake: Lake):
        """Each value has so many at most, and the reason names it."""
        built = await build(lake, Spec(prompts=sums(40), select=SelectOptions(cap=[{"by": "tag:topic", "at": 12}])))
        tags = {row["prompt_id"]: dict(row["tags"])["topic"] for row in built.tables["prompts"]}
        assert Counter(tags[row["prompt_id"]] for row in built.tables["traces"]) == {"rare": 10, "usual": 12}
        assert reasons(built) == {"cap: 12 others of tag:topic 'usual' were chosen"}

    async def test_without_the_tag(self, lake: Lake):
        """Prompts without the tag are one group."""
        prompts = [make_prompt(f"p{n}", tags={"topic": "x"} if n < 2 else {}) for n in range(6)]
        built = await build(lake, Spec(prompts=prompts, select=SelectOptions(cap={"by": "tag:topic", "at": 2})))
        assert built.counts["kept"] == 4
        assert reasons(built) == {"cap: 2 others of tag:topic (none) were chosen"}

    async def test_several(self, lake: Lake):
        """Several caps hold together."""
        caps = [{"by": "tag:topic", "at": 6}, {"by": "source", "at": 5}]
        built = await build(lake, Spec(prompts=sums(40), select=SelectOptions(cap=caps)))
        counted = Counter(row["prompt_source"] for row in built.tables["traces"])
        assert max(counted.values()) <= 5
        assert built.counts["kept"] == sum(counted.values())

    async def test_by_teacher(self, lake: Lake):
        """Teachers may be held level."""
        teachers = {"smol": FakeTeacher(), "big": FakeTeacher(answer=lambda request: completion(f"{request.prompt_id}!"))}
        built = await build(lake, Spec(prompts=sums(10), teachers=teachers, select=SelectOptions(cap={"by": "teacher", "at": 4})))
        assert Counter(row["teacher"] for row in built.tables["traces"]) == {"smol": 4, "big": 4}
        assert reasons(built) == {"cap: 4 others of this teacher were chosen"}

    async def test_growth(self, lake: Lake):
        """What is added takes few places of what was chosen; another seed chooses others."""
        select = SelectOptions(cap={"by": "source", "at": 10})
        chosen = []
        for run, (many, seed) in enumerate([(40, 0), (44, 0), (40, 1)]):
            built = await build(lake, Spec(prompts=sums(many), select=select, seed=seed), run=f"r{run}")
            chosen.append({row["prompt_id"] for row in built.tables["traces"]})
        few, more, other = chosen
        assert len(few - more) <= 4
        assert all(int(each[1:]) >= 40 for each in more - few)
        assert other != few

    async def test_after_per_prompt(self, lake: Lake):
        """A prompt is first cut to its best, and a cap that ends within a prompt keeps those."""
        checks = [named(judge=lambda prompt, sample: Finding(passed=True, score=sample.sample_index / 4))]
        select = SelectOptions(per_prompt=2, cap={"by": "source", "at": 3})
        built = await build(lake, Spec(prompts=[make_prompt("a"), make_prompt("b")], k=4, verifiers=checks, select=select))
        by_prompt = Counter(row["prompt_id"] for row in built.tables["traces"])
        assert sorted(by_prompt.values()) == [1, 2]
        assert built.counts["rejected"] == {"select": 5}
        (cut,) = [row for row in built.tables["traces"] if by_prompt[row["prompt_id"]] == 1]
        assert cut["score"] == 0.75


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pass_rate": (0.9, 0.1)}, "pass_rate: 0.9 is more than 0.1; the lower end comes first"),
        ({"pass_rate": (0.1, 1.1)}, "less than or equal to 1"),
        ({"prefer": "diverse"}, "prefer: diverse chooses `per_prompt` traces of a prompt; say how many"),
        (
            {"cap": {"by": "topic", "at": 1}},
            "must be source, teacher, strategy or tag:NAME, and this is 'topic'; is it tag:topic",
        ),
        ({"cap": {"by": "tag:", "at": 1}}, "must be source, teacher, strategy or tag:NAME, and this is 'tag:'; is it tag:NAME"),
        ({"cap": "tag:topic"}, "must be {by: source | teacher | strategy | tag:NAME, at: N}, or a list of these"),
        ({"cap": {"by": "source", "at": 0}}, "greater than or equal to 1"),
        ({"cap": {"by": "source"}}, "Field required"),
    ],
)
def test_what_makes_no_sense(given: dict[str, Any], message: str):
    """A selection that can't be carried out is refused."""
    with pytest.raises(ValidationError, match=re.escape(message)):
        SelectOptions(**given)
