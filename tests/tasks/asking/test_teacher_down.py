"""Telling a teacher that is down from a request that fails. In virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import replace
from typing import Any

import pytest

from storage.errors import (
    BadResponse,
    EmptyResponse,
    Interrupted,
    Overloaded,
    QuotaSpent,
    RateLimited,
    RequestRejected,
    SetupError,
    TeacherDown,
    Unavailable,
    Unreachable,
    UserError,
    Withheld,
)
from storage.records import Message
from tasks.asking.ask import Answer
from tasks.asking.conditions import Conditions
from tasks.stop import Stop
from tasks.teachers.options import RetryOptions
from tasks.teachers.protocol import Completion, NoChoices, Request, Usage
from tests.fakes import FakeTeacher, completion, in_virtual_time, make_desk, make_options, make_request
from tests.tasks.asking.scripted import RETRY, Replaying, asked, failing_on, run, script


class TestTeacherDown:
    """Telling a teacher that is down from a request that fails."""

    def test_nobody_is_there(self):
        """Where no connection comes about in any attempt, the teacher is down: it says how long, and why."""
        error = Unreachable("connection refused")
        with pytest.raises(TeacherDown, match=rf"^teacher 'smol' stayed unavailable for \d+ s \(4 attempts, the last: {error}\)"):
            run(FakeTeacher(answer=script(*[error] * 4)))

    @pytest.mark.parametrize("error", [Unavailable("503"), RateLimited("429 slow down")], ids=repr)
    def test_nobody_gets_an_answer(self, error: Exception):
        """One request that a server fails on may be at fault itself; the fifth failure in a row says that the server is.

        The request that is then in hand is not failed for it.
        """

        def answer(request: Request) -> Completion:
            raise error

        async def main() -> list[Any]:
            desk = make_desk(make_options(retry=RETRY), FakeTeacher(answer=answer), Stop())
            return [await asyncio.gather(desk.ask(make_request()), return_exceptions=True) for _ in range(2)]

        first, second = (each for (each,) in in_virtual_time(main()))
        assert isinstance(second, TeacherDown)
        assert type(first) is (type(error) if isinstance(error, Unavailable) else TeacherDown)

    def test_a_wait_that_is_too_long(self):
        """A server that asks to wait for hours isn't asked any more in this run, and it is said when it may be."""
        with pytest.raises(
            QuotaSpent, match=r"^teacher 'smol' asks to wait for 1,440 minutes, until 20\d\d-.* UTC; a rerun after"
        ):
            run(FakeTeacher(answer=script(RateLimited("429", retry_after_s=86_400))))

    def test_others_get_answers(self):
        """Where others are answered, it is this request's fault alone."""

        async def main() -> list[Any]:
            def answer(request: Request) -> Completion:
                if request.prompt_id == "cursed":
                    raise Unavailable("500")
                return completion("4")

            desk = make_desk(make_options(retry=RETRY), FakeTeacher(answer=answer), Stop())

            async def others() -> None:
                for _ in range(60):
                    await desk.ask(make_request())
                    await asyncio.sleep(0.5)

            _, cursed = await asyncio.gather(others(), desk.ask(make_request("cursed")), return_exceptions=True)
            return [cursed]

        (error,) = in_virtual_time(main())
        assert isinstance(error, Unavailable)
        assert error.attempts == 4

    @pytest.mark.parametrize("known", [False, True], ids=["in this run", "in an earlier one"])
    def test_a_few_left(self, known: bool):
        """A teacher that has answered isn't down where nothing is left but a few prompts that it fails on: else no run would end."""
        cursed = ["p1", "p2", "p3", "p4"]

        async def main() -> list[Any]:
            desk = failing_on(cursed)
            desk.lines[0].breaker.answered_before = known
            if not known:
                await desk.ask(make_request())
            return await asyncio.gather(*(desk.ask(make_request(prompt)) for prompt in cursed * 2), return_exceptions=True)

        found = in_virtual_time(main())
        assert {type(error) for error in found} == {Unavailable}
        assert {error.attempts for error in found} == {6}

    @pytest.mark.parametrize("meanwhile", [0, 2], ids=["alone", "others were answered meanwhile"])
    @pytest.mark.parametrize("known", [True, False])
    def test_many_left(self, known: bool, meanwhile: int):
        """Nor where more are left: something short that is asked in their place is answered, so they fail by themselves."""
        cursed = [f"p{number}" for number in range(8)]

        async def main() -> tuple[list[Any], FakeTeacher]:
            desk = failing_on(cursed)
            if known:
                await desk.ask(make_request())
            asking = [asyncio.create_task(desk.ask(make_request(prompt))) for prompt in cursed]
            await asyncio.sleep(0)
            for _ in range(meanwhile):
                await desk.ask(make_request())
            assert isinstance(desk.teacher, FakeTeacher)
            return await asyncio.gather(*asking, return_exceptions=True), desk.teacher

        found, teacher = in_virtual_time(main())
        assert {type(error) for error in found} == {Unavailable}
        assert {error.attempts for error in found} <= {6, 7}  # not all failed before the others were answered
        controls = [request for request in teacher.requests if request.prompt_id == "control"]
        assert len(controls) == (not meanwhile)

    @pytest.mark.parametrize("error", [RequestRejected("400 too few tokens"), BadResponse("?")], ids=repr)
    def test_a_control_that_says_nothing(self, error: Exception):
        """Where a server refuses what is asked in place of those that fail, or answers with no response, it is an outage as before."""

        def answer(request: Request) -> Completion:
            raise error if request.prompt_id == "control" else Unavailable("500")

        async def main() -> tuple[list[Any], float]:
            desk = make_desk(make_options(retry=RETRY), teacher, Stop())
            asked = (desk.ask(make_request(f"p{number}")) for number in range(8))
            found = await asyncio.gather(*asked, return_exceptions=True)
            return found, asyncio.get_running_loop().time()

        teacher = FakeTeacher(answer=answer)
        found, ended = in_virtual_time(main())
        assert (ended >= 60, {type(each) for each in found}) == (True, {TeacherDown})
        # One that was refused may have been too short.
        assert sum(request.prompt_id == "control" for request in teacher.requests) == 1 + isinstance(error, RequestRejected)

    @pytest.mark.parametrize("error", [Unavailable("500"), completion(""), RequestRejected("400 a filter")], ids=repr)
    @pytest.mark.parametrize("where", [range(60), range(60, 120)], ids=["first", "last"])
    @pytest.mark.parametrize(
        ("control", "system"),
        [(RequestRejected("400 too few"), False), (completion(""), False), (None, True)],
        ids=["short controls are refused", "short controls say nothing", "what fails has a system text of its own"],
    )
    def test_prompts_that_always_fail(
        self, error: Exception | Completion, where: range, control: Exception | Completion | None, system: bool
    ):
        """A teacher that is well isn't blamed for what many of its prompts do, whatever it says to something short."""

        def answer(request: Request) -> Completion:
            given: Exception | Completion = completion("4")
            if request.messages[0].content == "a page too long" or request.prompt_id in map(str, where):
                given = error
            elif request.prompt_id == "control" and request.parameters.get("max_tokens") == 16 and control is not None:
                given = control
            if isinstance(given, Exception):
                raise given
            return given

        async def main() -> list[Any]:
            desk = make_desk(make_options(retry=RETRY, limits={"concurrency": 1}), FakeTeacher(answer=answer), Stop())
            desk.lines[0].breaker.answered_before = system
            own = (Message(role="system", content="a page too long"),) if system else ()
            requests = (make_request(f"{number}") for number in range(120))
            asked = (
                replace(request, messages=(*(own if number in where else ()), *request.messages))
                for number, request in enumerate(requests)
            )
            found = await asyncio.gather(*map(desk.ask, asked), return_exceptions=True)
            await desk.conclude()
            return found

        found = in_virtual_time(main())
        assert [number for number, each in enumerate(found) if not isinstance(each, Answer)] == list(where)
        assert not any(isinstance(each, UserError) for each in found)

    def test_controls_are_billed(self):
        """What a control costs is on the bill, and on that of the request that it stood in for."""
        bills: list[Usage] = []

        async def main() -> Answer:
            desk = make_desk(make_options(retry=RETRY.model_copy(update={"attempts": 8})), teacher, Stop())
            return await desk.ask(make_request(), Conditions(billed=bills.append))

        left = [*[Unavailable("500")] * 5, completion("1", tokens_out=1), completion("4")]
        teacher = FakeTeacher(answer=script(*left))
        answer = in_virtual_time(main())
        assert [usage.tokens_out for usage in bills] == [1, 20]
        assert (answer.attempts, [usage.tokens_out for usage in answer.wasted]) == (6, [1])

    def test_a_judge_that_is_down(self):
        """What a judge is asked differs, though its requests are no prompt's: an outage is an outage."""

        async def main() -> list[Any]:
            left = [completion("4")]

            def answer(request: Request) -> Completion:
                if left:
                    return left.pop()
                raise Unavailable("500")

            desk = make_desk(make_options(retry=RetryOptions(first_wait_s=1, max_wait_s=8)), FakeTeacher(answer=answer), Stop())
            await desk.ask(make_request())
            asked = [replace(make_request(f"p{i}"), prompt_id="judge") for i in range(8)]
            return await asyncio.gather(*map(desk.ask, asked), return_exceptions=True)

        assert {type(error) for error in in_virtual_time(main())} == {TeacherDown}

    @pytest.mark.parametrize("error", [Unreachable("refused"), Unavailable("500")], ids=repr)
    @pytest.mark.parametrize("outage_s", [50, 3_600])
    def test_outage(self, outage_s: float, error: Exception):
        """A teacher that has answered before is waited for, for `patience_s`; it is asked rarely, and no request fails for it."""
        sent: list[float] = []

        async def main() -> tuple[list[Any], float]:
            loop = asyncio.get_running_loop()

            def answer(request: Request) -> Completion:
                sent.append(loop.time())
                if 1 <= loop.time() < 1 + outage_s:
                    raise error
                return completion("4")

            stop = Stop()
            desk = make_desk(make_options(retry=RETRY, limits={"concurrency": 8}), FakeTeacher(answer=answer), stop)
            await desk.ask(make_request())
            await asyncio.sleep(2)

            async def ask(number: int) -> Any:
                try:
                    return await desk.ask(make_request(f"p{number}"))
                except TeacherDown as down:  # as the draw does
                    stop.set(down)
                    return down
                except Withheld as withheld:
                    return withheld

            return await asyncio.gather(*(ask(number) for number in range(30))), loop.time()

        found, ended = in_virtual_time(main())
        if outage_s == 50:
            assert all(isinstance(each, Answer) for each in found)
            assert len([at for at in sent if 2 <= at < 51]) < 30
        else:
            assert {type(each) for each in found} == {TeacherDown, Withheld}
            assert 60 <= ended < 120
            assert len(sent) < 50

    @pytest.mark.parametrize("asked_s", [0.0, 0.5, 1.0, 20.0])
    @pytest.mark.parametrize("kind", [RateLimited, Overloaded, Unavailable])
    def test_outage_with_retry_after(self, kind: type[RateLimited | Unavailable], asked_s: float):
        """A server that says "later" for ever is down as well, whatever it asks for, and is not asked in a hurry."""
        sent: list[float] = []

        async def main() -> tuple[list[Any], float]:
            loop = asyncio.get_running_loop()

            def answer(request: Request) -> Completion:
                sent.append(loop.time())
                raise kind("later", retry_after_s=asked_s)

            desk = make_desk(make_options(retry=RETRY, limits={"concurrency": 8}), FakeTeacher(answer=answer), Stop())
            found = await asyncio.gather(*(desk.ask(make_request()) for _ in range(16)), return_exceptions=True)
            return found, loop.time()

        found, ended = in_virtual_time(main())
        assert any(isinstance(each, TeacherDown) for each in found)
        assert 60 <= ended < 1_500
        assert len(sent) < 100

    def test_waits_that_are_asked_for_are_no_outage(self):
        """Time that the server asked for is not held against it: after a long wait it is still asked."""
        steps = [RateLimited("429", retry_after_s=50)] * 8
        answer, seconds = run(FakeTeacher(answer=script(*steps, completion("4"))))
        assert answer.attempts == 9
        assert 400 <= seconds < 480

    def test_a_probe_that_hangs(self):
        """A probe that hangs doesn't keep the others from finding that the server is well again."""

        async def main() -> float:
            loop = asyncio.get_running_loop()

            class Hanging(FakeTeacher):
                async def complete(self, request: Request) -> Completion:
                    self.requests.append(request)
                    if len(self.requests) == 6:  # the first probe
                        await asyncio.sleep(3_600)
                    if loop.time() < 1:
                        raise Unavailable("503")
                    return completion("4")

            desk = make_desk(make_options(retry=RETRY, limits={"concurrency": 8}), Hanging(), Stop())
            tasks = [asyncio.create_task(desk.ask(make_request())) for _ in range(8)]
            await asyncio.wait(tasks, timeout=100)
            assert sum(task.done() for task in tasks) == 7
            at = loop.time()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            return at

        in_virtual_time(main())

    def test_rejections_are_answers(self):
        """A server that says what is wrong with a request is there: in between failures, it isn't down."""
        steps: list[Any] = [Unavailable("503"), RequestRejected("400")] * 19

        async def main() -> list[Any]:
            desk = make_desk(make_options(retry=RETRY), FakeTeacher(answer=script(*steps)), Stop())
            return [await asyncio.gather(desk.ask(make_request()), return_exceptions=True) for _ in range(19)]

        assert all(isinstance(found, RequestRejected) for (found,) in in_virtual_time(main()))

    @pytest.mark.parametrize("policy", ["retry", "reject"])
    @pytest.mark.parametrize("first", [0, 100], ids=["from the first on", "after others were answered"])
    @pytest.mark.parametrize(
        "given", [BadResponse("<html>"), completion(""), NoChoices("none", usage=Usage(tokens_in=1))], ids=repr
    )
    def test_nothing_but_garbage(self, given: Completion | Exception, first: int, policy: str):
        """A teacher that answers, but with nothing of use, is down as one is that doesn't: few are asked for to find that out."""
        policies = RETRY.model_copy(update={"empty": policy, "malformed": policy})
        teacher = FakeTeacher(answer=script(*[completion("4")] * first, *[given] * 900))
        stop = Stop()

        async def main() -> list[Any]:
            desk = make_desk(make_options(retry=policies, limits={"concurrency": 8}), teacher, stop)
            return await asked(desk, stop, first=first)

        in_virtual_time(main())
        assert isinstance(stop.reason, TeacherDown)
        assert re.match(r"teacher 'smol' gave no usable answer for \d+ s \(\d+ attempts, the last: ", str(stop.reason))
        assert len(teacher.requests) <= first + 30

    @pytest.mark.parametrize("first", [0, 50], ids=["from the first on", "after others were answered"])
    @pytest.mark.parametrize("control", ["is refused alike", "is refused otherwise", "is answered"])
    def test_nothing_but_refusals(self, control: str, first: int):
        """A teacher that refuses many requests in a row is asked something short: where it refuses that alike, it is the spec."""
        teacher, stop = FakeTeacher(), Stop()

        def answer(request: Request) -> Completion:
            if len(teacher.requests) <= first or (control == "is answered" and request.prompt_id == "control"):
                return completion("4")
            otherwise = control == "is refused otherwise" and request.prompt_id == "control"
            raise RequestRejected("400 no JSON" if otherwise else f"400 no such model (req_0{len(teacher.requests)}xCSHoEeqs5)")

        async def main() -> list[Any]:
            desk = make_desk(make_options(retry=RETRY, limits={"concurrency": 8}), teacher, stop)
            return await asked(desk, stop, first=first)

        teacher.answer = answer
        found = in_virtual_time(main())
        controls = sum(request.prompt_id == "control" for request in teacher.requests)
        if control == "is refused alike" or (control == "is refused otherwise" and not first):
            assert isinstance(stop.reason, SetupError)
            assert str(stop.reason).startswith("teacher 'smol': refuses whatever it is asked; check model, sampling")
            assert (controls, len(teacher.requests) <= first + 40 * controls) == (1 + ("otherwise" in control), True)
        else:
            assert [type(each) for each in found] == [RequestRejected] * 300
            assert controls <= 4

    @pytest.mark.parametrize(
        ("error", "known", "control", "ends"),
        [
            (BadResponse("<html>"), False, BadResponse("<html>"), TeacherDown),
            (BadResponse("<html>"), True, BadResponse("<html>"), TeacherDown),
            (BadResponse("<html>"), True, RequestRejected("400 no JSON"), None),
            (BadResponse("<html>"), False, None, None),
            (Unavailable("500"), False, Unavailable("500"), TeacherDown),
            (RequestRejected("400"), False, RequestRejected("400"), SetupError),
            (RequestRejected("400"), False, None, None),
            (RequestRejected("400"), True, RequestRejected("400"), None),
        ],
        ids=str,
    )
    def test_few_of_which_none_is_answered(
        self, error: Exception, known: bool, control: Exception | None, ends: type[Exception] | None
    ):
        """Where too few were asked for to tell, something short does that in the end."""

        def answer(request: Request) -> Completion:
            if request.prompt_id != "control":
                raise error
            if control is not None:
                raise control
            return completion("4")

        async def main() -> None:
            desk = make_desk(make_options(retry=RETRY.model_copy(update={"attempts": 1})), FakeTeacher(answer=answer), Stop())
            desk.lines[0].breaker.answered_before = known
            for number in range(2):
                with pytest.raises(type(error)):
                    await desk.ask(make_request(f"{number}"))
            if ends is None:
                await desk.conclude()
            else:
                with pytest.raises(ends, match="whatever it is asked"):
                    await desk.conclude()

        in_virtual_time(main())

    @pytest.mark.parametrize("refusals", [5, 10_000])
    def test_the_last_one_fails_and_then_there_are_too_many(self, refusals: int):
        """A teacher that wants to be asked later is asked later, for as long as one that fails for everybody is waited for."""

        def answer(request: Request) -> Completion:
            if request.prompt_id != "control":
                return completion("")
            if sum(each.prompt_id == "control" for each in teacher.requests) <= refusals:
                raise RateLimited("429")
            return completion("4")

        async def main() -> float:
            desk = make_desk(make_options(retry=RETRY), teacher, Stop())
            with pytest.raises(BadResponse):
                await desk.ask(make_request())
            with contextlib.nullcontext() if refusals == 5 else pytest.raises(TeacherDown, match="whatever it is asked"):
                await desk.conclude()
            return asyncio.get_running_loop().time()

        teacher = FakeTeacher(answer=answer)
        assert (in_virtual_time(main()) >= 60) == (refusals > 5)

    @pytest.mark.parametrize("error", [RequestRejected("no answer"), completion("")], ids=repr)
    @pytest.mark.parametrize("attempts", [1, 5])
    def test_what_is_recorded(self, error: Exception | Completion, attempts: int):
        """A replay isn't down for what it lacks, or for empty responses that it has: nothing is waited for, or asked for again."""

        async def main() -> tuple[set[type], float]:
            desk = make_desk(make_options(retry=RETRY.model_copy(update={"attempts": attempts})), teacher, Stop())
            found = await asyncio.gather(*(desk.ask(make_request(f"{n}")) for n in range(90)), return_exceptions=True)
            await desk.conclude()
            return {type(each) for each in found}, asyncio.get_running_loop().time()

        teacher = Replaying(answer=script(*[error] * 90))
        kinds, ended = in_virtual_time(main())
        assert kinds == {EmptyResponse if isinstance(error, Completion) else RequestRejected}
        assert (len(teacher.requests), ended < 1) == (90, True)

    def test_the_last_ones_fail_by_themselves(self):
        """Where others were answered since, nothing is asked in the end."""

        async def main() -> None:
            desk = failing_on(["cursed"])
            failing = asyncio.create_task(desk.ask(make_request("cursed")))
            await asyncio.sleep(0)
            await desk.ask(make_request())
            with pytest.raises(Unavailable):
                await failing
            await desk.conclude()
            assert isinstance(desk.teacher, FakeTeacher)
            assert not any(request.prompt_id == "control" for request in desk.teacher.requests)

        in_virtual_time(main())

    def test_not_while_stopping(self):
        """A run that stops for another reason keeps it: the teacher isn't blamed."""
        stop = Stop()

        def answer(request: Request) -> Completion:
            stop.set(Interrupted("SIGINT"))
            raise Unavailable("503")

        with pytest.raises(Unavailable):
            run(FakeTeacher(answer=answer), stop=stop)
