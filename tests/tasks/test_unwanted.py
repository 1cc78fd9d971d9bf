"""What becomes of responses that were cut off, refused, empty or malformed, by the spec's `retry`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import ValidationError

from storage.errors import BadResponse, EmptyResponse, Interrupted, TeacherDown, Unavailable, Unreachable, Unwanted, Withheld
from storage.lake import Lake
from storage.records import CUT_OFF, REFUSED, Prompt, Sample
from tasks.asking.conditions import Conditions
from tasks.asking.retries import FREE
from tasks.stop import Stop
from tasks.teachers.options import RetryOptions
from tasks.teachers.protocol import Choice, Completion, Request, Usage
from tests.fakes import QUICK, FakeTeacher, completion, in_virtual_time, make_desk, make_options, make_prompt, make_request, named
from tests.tasks.house import Spec, build

CUT = completion(Choice(response="I was going to", finish_reason="length"))
REFUSAL = completion(Choice(response="I can't help with that.", finish_reason="refusal"))
GOOD = completion("4")


def script(*steps: Completion | Exception) -> FakeTeacher:
    """Return a teacher that plays these steps, and the last one for ever."""
    left = list(steps)

    def answer(request: Request) -> Completion:
        step = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(step, Exception):
            raise step
        return step

    return FakeTeacher(answer=answer)


def retry(**given: Any) -> RetryOptions:
    """Return a policy with three attempts."""
    return QUICK.model_copy(update=given)


class TestAsking:
    """At the desk."""

    @staticmethod
    def ask(teacher: FakeTeacher, n: int = 1, **policies: Any) -> Any:
        """Return the answer to a request for `n` samples."""

        async def main() -> Any:
            return await make_desk(make_options(retry=retry(**policies)), teacher, Stop()).ask(make_request(n=n))

        return in_virtual_time(main())

    @pytest.mark.parametrize("reason", sorted(CUT_OFF))
    def test_cut_off_is_asked_again(self, reason: str):
        """With `length: retry` a whole response is waited for, and the bill of the others is told."""
        teacher = script(completion(Choice(response="I was", finish_reason=reason)), CUT, GOOD)
        answer = self.ask(teacher, length="retry")
        assert (answer.completion.choices[0].response, answer.attempts, len(answer.wasted)) == ("4", 3, 2)

    @pytest.mark.parametrize("reason", sorted(REFUSED))
    def test_refused_is_asked_again(self, reason: str):
        """With `refusal: retry` likewise."""
        teacher = script(completion(Choice(response="No.", finish_reason=reason)), GOOD)
        assert self.ask(teacher, refusal="retry").completion.choices[0].response == "4"

    @pytest.mark.parametrize(("response", "policies"), [(CUT, {"refusal": "retry"}), (REFUSAL, {"length": "retry"}), (CUT, {})])
    def test_kept(self, response: Completion, policies: dict[str, str]):
        """What no policy speaks of is an answer."""
        teacher = script(response, GOOD)
        assert self.ask(teacher, **policies).completion.choices == response.choices
        assert len(teacher.requests) == 1

    def test_rejected_is_not_asked_again(self):
        """With `reject` the first response is the last."""
        teacher = script(CUT, GOOD)
        assert self.ask(teacher, length="reject").completion.choices == CUT.choices

    def test_the_last_one_stands(self):
        """After `attempts` the last response is handed over, since it was paid for, and the others are its waste."""
        answer = self.ask(script(CUT), length="retry")
        assert (answer.completion.choices, answer.attempts, len(answer.wasted)) == (CUT.choices, 3, 2)

    @pytest.mark.parametrize("trouble", [Unavailable("503"), BadResponse("?")], ids=repr)
    def test_trouble_after_it(self, trouble: Exception):
        """A response in hand is not lost where asking again comes to nothing."""
        answer = self.ask(script(CUT, trouble), length="retry")
        assert answer.completion.choices == CUT.choices
        assert answer.wasted == ()

    def test_some_of_several(self):
        """Of several samples, those that are whole are handed over; whoever asked sees how many are missing."""
        whole = Choice(response="4")
        answer = self.ask(script(completion(CUT.choices[0], whole)), n=2, length="retry")
        assert answer.completion.choices == (whole,)

    def test_retries_that_are_spent(self):
        """Once there is no retry left in the run's budget, the first response stands as well."""
        answer = self.ask(script(CUT), length="retry", attempts=1_000)
        assert (answer.completion.choices, answer.attempts) == (CUT.choices, FREE + 2)

    def test_a_teacher_that_is_waited_for_in_vain(self):
        """The run ends with it, so that what is in hand is no answer: a later run asks on."""
        with pytest.raises(TeacherDown, match="stayed unavailable"):
            self.ask(script(CUT, Unreachable("refused")), length="retry", attempts=100, patience_s=5)

    @pytest.mark.parametrize("how", ["stopped", "budget", "down", "cancelled"])
    def test_the_run_ends_with_one_in_hand(self, how: str):
        """Where the run ends before it was asked again, that is left to a later one: what is in hand is billed, and no answer."""
        stop, bills = Stop(), list[Usage]()

        class Last(FakeTeacher):
            async def complete(self, request: Request) -> Completion:
                self.requests.append(request)
                if how == "stopped":
                    stop.set(Interrupted("SIGINT"))
                if len(self.requests) == 2:
                    if how == "down":
                        raise TeacherDown("gone")
                    await asyncio.sleep(3_600)
                return CUT

        teacher = Last()

        async def main() -> Any:
            desk = make_desk(make_options(retry=retry(length="retry")), teacher, stop)
            asked = asyncio.create_task(
                desk.ask(make_request(), Conditions(may_send=lambda: how != "budget" or not bills, billed=bills.append))
            )
            await asyncio.sleep(1)
            asked.cancel()
            return await asked

        ended = {"stopped": Unwanted, "budget": Withheld, "down": TeacherDown, "cancelled": asyncio.CancelledError}
        with pytest.raises(ended[how]):
            in_virtual_time(main())
        assert (len(teacher.requests), len(bills)) == (2 if how in {"down", "cancelled"} else 1, 1)

    @pytest.mark.parametrize(
        ("steps", "policies", "error", "asked"),
        [
            ((completion(""),), {}, EmptyResponse, 3),
            ((completion(""),), {"empty": "reject"}, EmptyResponse, 1),
            ((completion(""),), {"malformed": "reject"}, EmptyResponse, 3),
            ((BadResponse("?"),), {}, BadResponse, 3),
            ((BadResponse("?"),), {"malformed": "reject"}, BadResponse, 1),
            ((BadResponse("?"),), {"empty": "reject"}, BadResponse, 3),
        ],
    )
    def test_empty_and_malformed(self, steps: Any, policies: dict[str, str], error: type[Exception], asked: int):
        """What is no response is asked again, or not, each by its own policy."""
        teacher = script(*steps)
        with pytest.raises(error):
            self.ask(teacher, **policies)
        assert len(teacher.requests) == asked


async def test_its_score(lake: Lake):
    """A sample that isn't wanted has no score, also where an earlier build, which wanted it, had it judged."""
    cut = {"smol": FakeTeacher(answer=lambda _: CUT)}
    wanted = await build(lake, Spec(teachers=cut, verifiers=[named()]))
    assert [row["score"] for row in wanted.tables["outcomes"]] == [1.0] * 3
    again = await build(lake, Spec(teachers=cut, verifiers=[named()], options={"retry": {"length": "reject"}}), run="again")
    assert [(row["stage"], row["score"]) for row in again.tables["outcomes"]] == [("draw", None)] * 3


def test_batches():
    """A batch's answers are bought once: a spec that wants them asked again is refused."""
    with pytest.raises(ValidationError, match="keep or reject"):
        make_options(provider="openai-batch", retry={"length": "retry"})


def cut_at(*indices: int) -> FakeTeacher:
    """Return a teacher whose responses to these indices are cut off."""

    def answer(request: Request) -> Completion:
        reason = "length" if request.sample_index in indices else "stop"
        return completion(Choice(response=f"{request.messages[-1].content} {request.sample_index}", finish_reason=reason))

    return FakeTeacher(answer=answer)


class TestOutcomes:
    """In a build."""

    @staticmethod
    def spec(policy: str, judged: list[str] | None = None, **given: Any) -> Spec:
        """Return a spec with two prompts of three samples, of which the second is cut off."""

        def check(prompt: Prompt, sample: Sample) -> bool:
            if judged is not None:
                judged.append(sample.response)
            return True

        return Spec(
            prompts=[make_prompt("a"), make_prompt("b")],
            k=3,
            teachers={"smol": cut_at(1)},
            options={"retry": retry(length=policy)},
            verifiers=[named(judge=check)],
            **given,
        )

    @pytest.mark.parametrize("policy", ["reject", "retry"])
    async def test_rejected(self, lake: Lake, policy: str):
        """A cut-off response is bought and stored, rejected at the draw with its reason, and nobody judges it."""
        judged: list[str] = []
        built = await build(lake, self.spec(policy, judged))
        assert built.counts == {"requested": 6, "reused": 0, "kept": 4, "rejected": {"draw": 2}, "failed": 0}
        assert built.outcomes["a", 1] == ("rejected", "draw")
        row = next(row for row in built.tables["outcomes"] if row["sample_index"] == 1)
        assert row["reason"] == f"cut off: finish_reason is length, and retry.length is {policy}"
        assert row["sample_id"] is not None
        assert sorted(judged) == ["a 0", "a 2", "b 0", "b 2"]
        assert built.by_teacher["smol"].failed == 0
        assert built.by_teacher["smol"].pass_rate == pytest.approx(4 / 6)

    async def test_rerun(self, lake: Lake):
        """A rerun buys none of them again, and judges none of them either."""
        await build(lake, self.spec("reject"))
        judged: list[str] = []
        built = await build(lake, self.spec("reject", judged), run="again")
        assert (built.asked, judged, built.counts["rejected"], built.counts["reused"]) == ([], [], {"draw": 2}, 6)

    async def test_another_policy(self, lake: Lake):
        """A policy is no part of a sample's address: with another one, what is stored counts anew."""
        await build(lake, self.spec("reject"))
        judged: list[str] = []
        built = await build(lake, self.spec("keep", judged), run="again")
        assert (built.asked, sorted(judged), built.counts["kept"]) == ([], ["a 1", "b 1"], 6)

    async def test_adaptive(self, lake: Lake):
        """A rejected response solves nothing: adaptive rounds go on after it, and so does a rerun."""
        spec = self.spec("reject", sampling={"adaptive": {"accept": 2}})
        built = await build(lake, spec)
        assert sorted(built.asked) == [(prompt, index) for prompt in "ab" for index in range(3)]
        again = await build(lake, spec, run="again")
        assert (again.asked, again.counts["kept"]) == ([], 4)
