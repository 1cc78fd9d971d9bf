"""The only place where anything is retried: what is asked again, how often, and from which budget. In virtual time."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from storage.errors import (
    BadResponse,
    RateLimited,
    RequestRejected,
    SetupError,
    TeacherDown,
    TeacherError,
    Unavailable,
    UserError,
)
from tasks.stop import Stop
from tasks.teachers.protocol import BrokenOff, Completion, Malformed, NoChoices, RejectedMidway, Request, Usage
from tests.fakes import FakeTeacher, completion, in_virtual_time, make_desk, make_options, make_request
from tests.tasks.asking.scripted import RETRY, raise_, run, script, script_of


class TestRetries:
    """What is asked again, and how often."""

    def test_first_answer(self):
        """A request that is answered is sent once."""
        teacher = FakeTeacher()
        answer, _ = run(teacher)
        assert (answer.attempts, len(teacher.requests)) == (1, 1)
        assert [choice.response for choice in answer.completion.choices] == ["What is 2 + 2? #0", "What is 2 + 2? #1"]

    @pytest.mark.parametrize(
        "error", [Unavailable("503"), RateLimited("429"), BadResponse("?"), completion("", " \n"), completion()], ids=repr
    )
    def test_passing_trouble(self, error: Completion | Exception):
        """What passes by itself, an empty response included, is asked again until an answer comes."""
        teacher = FakeTeacher(answer=script(error, error, completion("4")))
        answer, _ = run(teacher)
        assert (answer.attempts, len(teacher.requests)) == (3, 3)

    def test_bad_to_the_end(self):
        """After `retry.attempts` requests the error stands, and says how many there were."""
        teacher = FakeTeacher(answer=script(*[BadResponse("?")] * 9))
        with pytest.raises(BadResponse) as caught:
            run(teacher)
        assert (caught.value.attempts, len(teacher.requests)) == (4, 4)

    @pytest.mark.parametrize("kind", [BrokenOff, Malformed, NoChoices])
    def test_billed_in_vain(self, kind: type[BrokenOff | Malformed]):
        """What a server gave up in the middle, or is none of a response, is asked again, and its bill is told."""
        usage = Usage(tokens_in=10, tokens_out=5)
        answer, _ = run(FakeTeacher(answer=script(kind("error", usage=usage), completion("4"))))
        assert (answer.attempts, answer.wasted) == (2, (usage,))

    def test_rejected_midway(self):
        """What was refused when its response had begun isn't sent again, and its bill is told."""
        usage = Usage(tokens_in=10, tokens_out=5)
        bills: list[Usage] = []
        with pytest.raises(RejectedMidway):
            run(FakeTeacher(answer=script(RejectedMidway("400", usage=usage))), billed=bills.append)
        assert bills == [usage]

    def test_empty_to_the_end(self):
        """A teacher that only gives empty responses fails the request, and isn't down."""
        with pytest.raises(BadResponse, match="the response is empty"):
            run(FakeTeacher(answer=lambda request: completion("")))

    def test_rejected(self):
        """A request that is at fault isn't sent again."""
        teacher = FakeTeacher(answer=script(RequestRejected("400 too long")))
        with pytest.raises(RequestRejected) as caught:
            run(teacher)
        assert (caught.value.attempts, len(teacher.requests)) == (1, 1)

    def test_setup(self):
        """A refused key isn't tried again, and stays what it is."""
        teacher = FakeTeacher(answer=script(SetupError("401")))
        with pytest.raises(SetupError):
            run(teacher)
        assert len(teacher.requests) == 1

    def test_defect(self):
        """What isn't a teacher's error is a defect, and is neither retried nor hidden."""
        teacher = FakeTeacher(answer=script(ZeroDivisionError()))
        with pytest.raises(ZeroDivisionError):
            run(teacher)
        assert len(teacher.requests) == 1

    def test_waits_grow_up_to_a_ceiling(self):
        """The random waits are bounded by 1, 2, 4, 8, 8 … seconds."""
        _, seconds = run(
            FakeTeacher(answer=script(*[Unavailable("503")] * 7, completion("4"), completion("4"))),
            retry=RETRY.model_copy(update={"attempts": 8}),
        )
        assert 0 < seconds <= 1 + 2 + 4 + 8 * 4

    def test_retry_after(self):
        """Where the server says how long to wait, it is waited just so long."""
        _, seconds = run(
            FakeTeacher(
                answer=script(RateLimited("429", retry_after_s=100), RateLimited("429", retry_after_s=20), completion("4"))
            )
        )
        assert seconds == pytest.approx(120)

    def test_retry_after_holds_for_all(self):
        """A pause that one request is told holds up the others too."""

        async def main() -> list[float]:
            loop = asyncio.get_running_loop()
            sent: list[float] = []

            def answer(request: Request) -> Completion:
                sent.append(loop.time())
                if len(sent) == 1:
                    raise RateLimited("429", retry_after_s=50)
                return completion("4")

            desk = make_desk(make_options(limits={"concurrency": 1}, retry=RETRY), FakeTeacher(answer=answer), Stop())
            await asyncio.gather(*(desk.ask(make_request()) for _ in range(3)))
            return sent

        assert in_virtual_time(main()) == pytest.approx([0, 50, 50, 50])

    def test_time_limit(self):
        """A teacher that doesn't answer in `timeout_s` is unavailable, and is asked again."""

        class Sleepy(FakeTeacher):
            async def complete(self, request: Request) -> Completion:
                self.requests.append(request)
                await asyncio.sleep(3_600 if len(self.requests) == 1 else 0)
                return completion("4")

        answer, seconds = run(Sleepy(), timeout_s=30)
        assert answer.attempts == 2
        assert 30 <= seconds <= 31


class TestRetryBudget:
    """An outage must not multiply what a run costs."""

    @staticmethod
    def sent(error: Exception, *, budget: float) -> tuple[int, list[Any]]:
        """Return how many requests 400 failing ones become, and how they end."""
        teacher = FakeTeacher(answer=lambda request: raise_(error) if request.prompt_id == "cursed" else completion("4"))

        async def main() -> list[Any]:
            options = make_options(retry=RETRY.model_copy(update={"budget": budget, "attempts": 100}))
            desk = make_desk(options, teacher, Stop())
            return await asyncio.gather(*(desk.ask(make_request("cursed")) for _ in range(400)), return_exceptions=True)

        found = in_virtual_time(main())
        return sum(request.prompt_id == "cursed" for request in teacher.requests), found

    def test_spent(self):
        """Responses that are no good are asked for again until the run's share of retries is used; then it stops."""
        sent, found = self.sent(BadResponse("?"), budget=0.5)
        assert sent == 400 + 100 + 200
        assert any(isinstance(each, TeacherDown) and "retry.budget" in str(each) for each in found)

    def test_refusals_cost_nothing(self):
        """A refusal (429) is no retry that may have been billed, also after one that was."""
        steps = {n: [BadResponse("?"), *[RateLimited("429")] * 3, completion("4")] for n in range(90)}
        teacher = FakeTeacher(answer=lambda request: script_of(steps[int(request.prompt_id)]))

        async def main() -> list[Any]:
            desk = make_desk(make_options(retry=RETRY.model_copy(update={"budget": 0})), teacher, Stop())
            return [await desk.ask(make_request(str(n))) for n in range(90)]

        assert all(answer.attempts == 5 for answer in in_virtual_time(main()))

    @pytest.mark.parametrize("known", ["answered others", "never answered", "answers controls with nothing", "often fails"])
    @pytest.mark.parametrize("error", [BadResponse("?"), Unavailable("500")], ids=repr)
    def test_requests_that_fail_by_themselves(self, error: Exception, known: str):
        """Once the retries are spent, those on which a teacher fails alone fail, and the run goes on: each costs two more at most.

        Not where it never gave an answer, answers nothing else just now, or answers many when they are asked again.
        """
        chance = random.Random(1)

        def answer(request: Request) -> Completion:
            fails = request.prompt_id.startswith("cursed") if known != "often fails" else chance.random() < 0.8
            if fails or (known == "answers controls with nothing" and request.prompt_id == "control"):
                raise error
            return completion("4")

        async def main() -> list[Any]:
            stop = Stop()
            retry = RETRY.model_copy(update={"attempts": 6})
            desk = make_desk(make_options(retry=retry, limits={"concurrency": 8}), teacher, stop)
            if known != "never answered":
                await desk.ask(make_request("p"))

            async def ask(number: int) -> Any:
                try:
                    return await desk.ask(make_request(f"cursed {number}"))
                except UserError as down:
                    stop.set(down)
                    return down
                except TeacherError as failed:
                    return failed

            return await asyncio.gather(*(ask(number) for number in range(200)))

        teacher = FakeTeacher(answer=answer)
        kinds = {type(each) for each in in_virtual_time(main())}
        if known == "answered others":
            assert kinds == {type(error)}
            assert len(teacher.requests) <= 1 + 200 + 100 + 2 * 201
        else:
            assert any(issubclass(kind, TeacherDown) for kind in kinds)

    def test_none_but_the_free_ones(self):
        """With no budget, a hundred retries are free."""
        assert self.sent(BadResponse("?"), budget=0)[0] == 500
