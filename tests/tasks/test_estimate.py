"""Estimates: what a build will ask for and cost, by what is stored."""

from __future__ import annotations

from dataclasses import replace

import pytest

from storage.lake import Lake
from storage.records import Prompt, Sample
from tasks import stretches
from tasks.estimate import Estimate, estimate
from tasks.prepare import spread
from tasks.teachers.protocol import Choice, Completion, Request
from tests.fakes import QUICK, FakeTeacher, completion, make_prompt, named
from tests.tasks.house import Spec, build, house

PRICE = {"price": {"input": 1.0, "output": 2.0}}
PROMPTS = [make_prompt(f"Case {n}: what is next after {n}?") for n in range(40)]


def answer(request: Request) -> Completion:
    """Bill ten tokens for each word in, and for a prompt of an even number twice as many out."""
    text = request.messages[-1].content
    number = int(text.split(":")[0].removeprefix("Case "))
    responses = (f"{text} {request.sample_index + index}" for index in range(request.n))
    return completion(*responses, tokens_in=10 * len(text.split()), tokens_out=50 * (2 - number % 2) * request.n)


def even_first(prompt: Prompt, sample: Sample) -> bool:
    """Pass every sample of every other prompt."""
    return int(prompt.prompt_id.split(":")[0].removeprefix("Case ")) % 2 == 0


def spec(**given: object) -> Spec:
    """Return a spec with 40 prompts and a price."""
    return replace(Spec(prompts=PROMPTS, teachers={"smol": FakeTeacher(answer=answer)}, options=PRICE, k=4), **given)  # type: ignore[arg-type]


async def look(lake: Lake, spec: Spec, *, coming: tuple[int, int] = (0, 0)) -> list[Estimate]:
    """Return the estimates of a spec on a lake."""
    async with house(lake, spec, run="look") as one:
        await one.prepare()
        await one.open()
        teachers = [desk.options for desk in one.desks]
        verified = bool(spec.verifiers)
        return estimate(one.workspace, one.draw.sampling, teachers, one.cascades, verified=verified, coming=coming)


async def probed(lake: Lake, spec: Spec, prompts: int) -> int:
    """Draw some prompts, spread over the dataset, and return how many samples were bought."""
    async with house(lake, spec, run="probe") as one:
        await one.prepare()
        assert spread(one.workspace, prompts, seed=1) == prompts
        for number in await one.open():
            await one.work(number)
        await one.land_samples()
        return one.draw.spending.paid


async def test_nothing_stored(lake: Lake):
    """With nothing to go by, there are bounds: a token a sample, and `max_tokens`."""
    (only,) = await look(lake, spec(sampling={"max_tokens": 100}))
    assert (only.missing, only.expected, only.known) == (160, 160, False)
    assert only.least_usd == pytest.approx((only.tokens_in + 2 * 160) / 1e6)
    assert only.most_usd == pytest.approx((only.tokens_in + 2 * 16_000) / 1e6)
    assert "nothing of this model is stored" in only.basis


async def test_in_stretches(lake: Lake, monkeypatch: pytest.MonkeyPatch):
    """However few slots are looked at together, the estimate is the same, where prompts ask alike too."""
    alike = [make_prompt(PROMPTS[n].messages[0].content, prompt_id=f"again {n}") for n in (0, 1, 7)]
    asked = spec(prompts=[*PROMPTS, *alike], verifiers=[named(judge=even_first)], sampling={"adaptive": {"accept": 2}})
    await probed(lake, asked, 8)
    whole = await look(lake, asked)
    monkeypatch.setattr(stretches, "SLOTS", 5)
    assert await look(lake, asked) == whole
    assert len(PROMPTS) * 4 - 32 <= whole[0].missing < len(PROMPTS) * 4


async def test_no_bound(lake: Lake):
    """Without `max_tokens` there is no upper bound, and the basis says so."""
    (only,) = await look(lake, spec())
    assert (only.most_usd, only.known) == (None, False)
    assert "no max_tokens" in only.basis


async def test_a_teacher_for_nothing(lake: Lake):
    """Any number of tokens at a price of 0 costs nothing."""
    (only,) = await look(lake, spec(options={"price": {"input": 0, "output": 0}}))
    assert (only.least_usd, only.cost_usd, only.most_usd) == (0, 0, 0)


async def test_a_probe_tells(lake: Lake):
    """After a probe, the plan is what the build then pays, within a few per cent, and the probe's samples are not bought again."""
    bought = await probed(lake, spec(), 8)
    (plan,) = await look(lake, spec())
    assert bought == 32
    assert (plan.missing, plan.expected, plan.known) == (128, 128, True)
    built = await build(lake, spec(), run="rest")
    smol = built.by_teacher["smol"]
    assert smol.paid == 128
    assert plan.cost_usd == pytest.approx(smol.cost_usd, rel=0.1)
    assert plan.tokens_in == pytest.approx(smol.tokens_in, rel=0.05)


async def test_prompts_that_are_to_come(lake: Lake):
    """Prompts that aren't there yet are taken to be like the others: they are on the bill, and not among the samples."""
    few = spec(prompts=PROMPTS[:20], k=6, sampling={"adaptive": {"accept": 1}, "max_tokens": 100})
    few = replace(few, verifiers=[named(judge=even_first)])
    await probed(lake, few, 10)
    (alone,), (both,) = await look(lake, few), await look(lake, few, coming=(20, 30))
    assert (both.missing, both.expected, both.coming_most) == (alone.missing, alone.expected, 30 * 6)
    built = await build(lake, replace(few, prompts=PROMPTS), run="rest")
    assert both.expected + both.coming == pytest.approx(built.paid, rel=0.2)
    assert both.cost_usd == pytest.approx(built.by_teacher["smol"].cost_usd, rel=0.2)
    assert alone.most_usd is not None
    assert both.most_usd == pytest.approx(alone.most_usd * (both.missing + both.coming_most) / both.missing, rel=0.02)
    (unlike,) = await look(lake, replace(few, prompts=[]), coming=(20, 30))
    assert (unlike.cost_usd, unlike.most_usd) == (None, None)


async def test_adaptive(lake: Lake):
    """Where k is adaptive, what a probe's prompts took foretells what the others take, though half of them never pass."""
    given = spec(k=6, sampling={"adaptive": {"accept": 1}}, verifiers=[named(judge=even_first)])
    assert (await look(lake, given))[0].expected == 240  # nothing is known: as if none were accepted
    await probed(lake, given, 10)
    (plan,) = await look(lake, given)
    built = await build(lake, given, run="rest")
    assert plan.expected == pytest.approx(built.paid, rel=0.2)
    assert plan.cost_usd == pytest.approx(built.by_teacher["smol"].cost_usd, rel=0.2)
    assert plan.least_usd is not None
    assert plan.least_usd < built.by_teacher["smol"].cost_usd


async def test_a_cascade(lake: Lake):
    """The strong teacher is expected to get as large a part of the other half of the prompts as it got of the probe's."""
    teachers = {"cheap": FakeTeacher(answer=answer), "strong": FakeTeacher(answer=answer)}
    given = spec(teachers=teachers, k=2, sampling={"cascade": ("cheap", "strong")}, verifiers=[named(judge=even_first)])
    await probed(lake, given, 20)
    plans = await look(lake, given)
    built = await build(lake, given, run="rest")
    cheap, strong = built.by_teacher["cheap"], built.by_teacher["strong"]
    assert (plans[0].expected, plans[0].missing) == (40, 40) == (cheap.reused, cheap.paid)
    assert plans[1].expected == pytest.approx(strong.reused, rel=0.1)
    assert plans[1].missing == 40  # what the probe solved is known not to need it


async def test_the_same_prompts_under_other_settings(lake: Lake):
    """Where only the parameters changed, the samples of before still tell, cut at the new `max_tokens`."""
    await build(lake, spec())
    (plan,) = await look(lake, spec(sampling={"temperature": 0.5, "max_tokens": 80}))
    assert (plan.missing, plan.known, plan.tokens_out) == (160, True, 160 * (80 + 50) // 2)
    assert "under other settings" in plan.basis


async def test_other_prompts_of_the_model(lake: Lake):
    """Samples of other prompts tell what the model bills for a prompt, and leave the bounds of what it answers."""
    await build(lake, spec(prompts=PROMPTS[:20]))
    others = [make_prompt(f"Case {n}: and what is next after {n}?") for n in range(40, 60)]
    (plan,) = await look(lake, spec(prompts=others, sampling={"max_tokens": 1_000}))
    assert (plan.known, plan.most_usd) == (False, pytest.approx((plan.tokens_in + 2 * 80_000) / 1e6))
    assert plan.tokens_in == pytest.approx(80 * 80, rel=0.2)


async def test_requests_for_several_samples(lake: Lake):
    """A request for several samples has its prompt billed once."""
    given = spec(options=PRICE | {"samples_per_request": 4})
    await probed(lake, given, 8)
    (plan,) = await look(lake, given)
    built = await build(lake, given, run="rest")
    assert plan.requests == 32
    assert plan.tokens_in == pytest.approx(built.by_teacher["smol"].tokens_in, rel=0.05)


async def test_cached_tokens(lake: Lake):
    """Prompt tokens that were read from a cache are expected to be so again, at their own price."""

    def caching(request: Request) -> Completion:
        return completion(request.messages[-1].content, tokens_in=100, tokens_out=10, tokens_cached=80)

    options = {"price": {"input": 10.0, "output": 1.0, "cached_input": 1.0}}
    given = spec(teachers={"smol": FakeTeacher(answer=caching)}, options=options, k=1)
    await probed(lake, given, 10)
    (plan,) = await look(lake, given)
    assert plan.cost_usd == pytest.approx(30 * (20 * 10 + 80 * 1 + 10) / 1e6, rel=0.05)


async def test_samples_that_two_prompts_share(lake: Lake):
    """A sample that two prompts ask for is bought once."""
    twins = [make_prompt("Case 1: same", prompt_id=f"Case {n}: p", reference=str(n)) for n in range(2)]
    (plan,) = await look(lake, spec(prompts=twins))
    assert plan.missing == 4


def cut(request: Request) -> Completion:
    """Cut every answer off."""
    return Completion(choices=(Choice(response="so", finish_reason="length"),), tokens_in=10, tokens_out=100)


async def test_what_is_asked_again(lake: Lake):
    """Responses that are asked for again are billed: what a probe paid for them is foretold, and the bound holds."""
    options = PRICE | {"retry": QUICK.model_copy(update={"length": "retry", "attempts": 6, "budget": 100.0})}
    given = spec(teachers={"smol": FakeTeacher(answer=cut)}, options=options, sampling={"max_tokens": 100})
    await probed(lake, given, 8)
    (plan,) = await look(lake, given)
    built = await build(lake, given, run="rest")
    paid = built.by_teacher["smol"].cost_usd
    assert paid == pytest.approx(128 * 6 * (10 + 200) / 1e6)
    assert plan.cost_usd == pytest.approx(paid)
    assert plan.most_usd is not None
    assert plan.most_usd >= paid * (1 - 1e-9)


@pytest.mark.parametrize("policy", ["length", "refusal"])
async def test_bounds_of_what_may_be_asked_again(lake: Lake, policy: str):
    """Any response that `retry` asks for again may be billed as often as there are attempts; else once."""
    (once,) = await look(lake, spec(options=PRICE | {"retry": QUICK}, sampling={"max_tokens": 100}))
    again = QUICK.model_copy(update={policy: "retry"})
    (often,) = await look(lake, spec(options=PRICE | {"retry": again}, sampling={"max_tokens": 100}))
    assert once.most_usd == pytest.approx((once.tokens_in + 2 * 16_000) / 1e6)
    assert often.most_usd == pytest.approx(QUICK.attempts * once.most_usd)


async def test_a_new_price(lake: Lake):
    """What is stored was bought at another price: the plan goes by the present one, and by what was asked for again."""

    def half_cut(request: Request) -> Completion:
        return cut(request) if request.sample_index % 2 else answer(request)

    retry = {"retry": QUICK.model_copy(update={"length": "retry", "attempts": 3})}
    teachers = {"smol": FakeTeacher(answer=half_cut)}
    await probed(lake, spec(teachers=teachers, options=PRICE | retry), 8)
    (before,) = await look(lake, spec(teachers=teachers, options=PRICE | retry))
    (after,) = await look(lake, spec(teachers=teachers, options={"price": {"input": 3.0, "output": 6.0}} | retry))
    assert before.cost_usd is not None
    assert after.cost_usd == pytest.approx(3 * before.cost_usd)


async def test_all_is_there(lake: Lake):
    """Where nothing is missing, it costs nothing at most."""
    await build(lake, spec())
    (plan,) = await look(lake, spec())
    assert (plan.missing, plan.cost_usd, plan.least_usd, plan.most_usd) == (0, 0, 0, 0)
