"""Costs: each teacher's part of a build, what was spared, and what the budget knows of earlier runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from storage.errors import BudgetSpent, RequestRejected
from storage.lake import Lake
from storage.records import Prompt, Sample
from tasks.teachers.protocol import Completion, Request
from tests.fakes import FakeTeacher, completion, make_prompt, named
from tests.tasks.house import Spec, build, house

CHEAP, STRONG = {"price": {"input": 1.0, "output": 2.0}}, {"price": {"input": 10.0, "output": 20.0}}
CHEAP_USD, STRONG_USD = (10 * 1.0 + 20 * 2.0) / 1e6, (10 * 10.0 + 20 * 20.0) / 1e6
"""Of one sample: a fake teacher bills 10 tokens in and 20 out."""


def good_for(*texts: str) -> FakeTeacher:
    """Return a teacher whose every sample of these prompts is good."""
    return FakeTeacher(
        answer=lambda request: completion(
            f"{'good' if request.prompt_id in texts else 'bad'} {request.prompt_id} {request.sample_index}"
        )
    )


def is_good(prompt: Prompt, sample: Sample) -> bool:
    """Judge by what the response says."""
    return sample.response.startswith("good")


def two(cheap: FakeTeacher, strong: FakeTeacher) -> Spec:
    """Return a cascade of two with prices, k = 2."""
    return Spec(
        teachers={"cheap": cheap, "strong": strong},
        own={"cheap": CHEAP, "strong": STRONG},
        k=2,
        sampling={"cascade": ("cheap", "strong")},
        verifiers=[named(judge=is_good)],
    )


class TestByTeacher:
    """Each teacher's part."""

    async def test_a_cascade(self, lake: Lake):
        """Slots, traces, pass rate and bill are each teacher's own, and sum to the build's."""
        built = await build(lake, two(good_for("a"), good_for("a", "b")))
        cheap, strong = built.by_teacher["cheap"], built.by_teacher["strong"]
        assert (cheap.requested, cheap.paid, cheap.kept, cheap.pass_rate) == (6, 6, 2, pytest.approx(1 / 3))
        assert (strong.requested, strong.paid, strong.kept, strong.pass_rate) == (4, 4, 2, 0.5)
        assert (cheap.cost_usd, strong.cost_usd) == (pytest.approx(6 * CHEAP_USD), pytest.approx(4 * STRONG_USD))
        assert (cheap.tokens_in, cheap.tokens_out, strong.tokens_in, strong.tokens_out) == (60, 120, 40, 80)

    async def test_a_rerun(self, lake: Lake):
        """In a rerun all is reused, and the bill is this run's: nothing."""
        spec = two(good_for("a"), good_for("a", "b"))
        await build(lake, spec)
        built = await build(lake, spec, run="again")
        assert [(each.reused, each.paid, each.cost_usd, each.tokens_out) for each in built.by_teacher.values()] == [
            (6, 0, 0, 0),
            (4, 0, 0, 0),
        ]

    async def test_failures(self, lake: Lake):
        """A slot without a response is failed, and no part of the pass rate."""

        def refusing(request: Request) -> Completion:
            raise RequestRejected("400")

        built = await build(lake, Spec(teachers={"smol": FakeTeacher(answer=refusing)}))
        smol = built.by_teacher["smol"]
        assert (smol.requested, smol.failed, smol.reused, smol.pass_rate) == (3, 3, 0, None)


class TestSaved:
    """What wasn't drawn."""

    async def test_all_was_drawn(self, lake: Lake):
        """Where the spec asks for all samples anyway, there is nothing to say."""
        assert (await build(lake, Spec(k=2))).saved is None

    async def test_adaptive(self, lake: Lake):
        """Against k of each teacher, at the mean of its own samples in this build."""
        spec = replace(two(good_for("a"), good_for("a", "b")), sampling={"adaptive": {"accept": 1}})
        saved = (await build(lake, spec)).saved
        assert saved is not None
        assert (saved.samples, saved.tokens_in, saved.tokens_out) == (3, 30, 60)  # one of the cheap one, two of the strong one
        assert saved.usd == pytest.approx(CHEAP_USD + 2 * STRONG_USD)

    async def test_a_cascade(self, lake: Lake):
        """Against k of the strong one alone: what the cheap one took is subtracted."""
        saved = (await build(lake, two(good_for("a", "b"), good_for("c")))).saved
        assert saved is not None
        assert (saved.samples, saved.tokens_in) == (4, 40 - 60)
        assert saved.usd == pytest.approx(4 * STRONG_USD - 6 * CHEAP_USD)
        assert "from strong, at the mean of its 2 samples" in saved.basis

    async def test_a_cascade_that_does_not_pay(self, lake: Lake):
        """Where the cheap one solves nothing, it cost more than it spared, and the figure says so."""
        saved = (await build(lake, two(good_for(), good_for()))).saved
        assert saved is not None
        assert (saved.samples, saved.usd) == (0, pytest.approx(-6 * CHEAP_USD))

    async def test_a_strong_one_that_was_never_asked(self, lake: Lake):
        """Its price is taken at the others' mean tokens, and the basis says so."""
        saved = (await build(lake, two(good_for("a", "b", "c"), good_for()))).saved
        assert saved is not None
        assert saved.usd == pytest.approx(6 * STRONG_USD - 6 * CHEAP_USD)
        assert "never asked" in saved.basis

    async def test_a_rerun_saved_the_same(self, lake: Lake):
        """What was spared is the build's, whoever paid for the samples, and when."""
        spec = two(good_for("a"), good_for("b"))
        first = await build(lake, spec)
        assert (await build(lake, spec, run="again")).saved == first.saved

    async def test_a_price_that_nobody_knows(self, lake: Lake):
        """Without prices the tokens are known, and the USD are not."""
        saved = (await build(lake, replace(two(good_for("a"), good_for()), own={}))).saved
        assert saved is not None
        assert (saved.samples, saved.usd) == (2, None)

    async def test_prompts_that_ask_alike(self, lake: Lake):
        """A sample that another prompt asked for was not spared."""
        prompts = [make_prompt("a"), make_prompt("a", prompt_id="b", reference="4")]
        check = named(judge=lambda prompt, sample: prompt.prompt_id == "a" or sample.sample_index == 1)
        built = await build(lake, Spec(prompts=prompts, k=3, sampling={"adaptive": {"accept": 1}}, verifiers=[check]))
        assert built.counts["requested"] == 3
        assert built.saved is not None
        assert built.saved.samples == 1


class TestBudget:
    """A budget is exceeded by no more than what was in flight when it was spent."""

    async def test_a_cascade(self, lake: Lake):
        """Both teachers' samples count, over all runs: a rerun with a spent budget asks nobody, a larger one buys the rest."""
        limit, in_flight = 3e-3, 2
        spec = replace(
            two(good_for("p0", "p5"), good_for()),
            prompts=[make_prompt(f"p{n}") for n in range(12)],
            options={"limits": {"concurrency": in_flight}},
            budget=limit,
        )
        reached = []
        for run in ("first", "again"):
            async with house(lake, spec, run=run) as one:
                await one.prepare()
                reached.append(one.draw.budget.spent)
                for number in await one.open():
                    await one.work(number)
                assert isinstance(one.stop.reason, BudgetSpent)
                reached.append(one.draw.budget.spent)
        assert limit <= reached[1] <= limit + in_flight * (CHEAP_USD + STRONG_USD)
        assert reached[2:] == pytest.approx([reached[1]] * 2)
        built = await build(lake, replace(spec, budget=1.0), run="more")
        assert built.counts["requested"] == 24 + 20
        assert built.paid == 44 - built.counts["reused"]


class TestWaste:
    """Responses that were billed and gave no sample."""

    @staticmethod
    def spec(**given: Any) -> Spec:
        """Return a spec with a budget for ten responses, whose prompt b only gets empty ones."""
        teacher = FakeTeacher(answer=lambda request: completion("" if request.prompt_id == "b" else request.prompt_id))
        return Spec(teachers={"smol": teacher}, options=CHEAP, budget=10 * CHEAP_USD, **given)

    async def test_counts_in_later_runs(self, lake: Lake):
        """The budget is for all runs: each one's empty responses count in the next, until it is spent."""
        first = await build(lake, self.spec())  # a, c, and three times nothing
        assert (first.paid, first.counts["failed"]) == (2, 1)
        async with house(lake, self.spec(), run="second") as one:
            await one.prepare()
            assert one.draw.budget.spent == pytest.approx(5 * CHEAP_USD)
        await build(lake, self.spec(), run="third")
        with pytest.raises(BudgetSpent):
            await build(lake, self.spec(), run="fourth")

    async def test_nothing_where_it_came_to_something(self, lake: Lake):
        """What was asked for again with success is a part of the sample's own cost, and counts once."""
        left = [completion(""), completion("4")]
        spec = Spec(
            prompts=[make_prompt("a")],
            teachers={"smol": FakeTeacher(answer=lambda request: left.pop(0))},
            options=CHEAP,
            budget=1,
        )
        await build(lake, spec)
        async with house(lake, spec, run="second") as one:
            await one.prepare()
            assert one.draw.budget.spent == pytest.approx(2 * CHEAP_USD)
