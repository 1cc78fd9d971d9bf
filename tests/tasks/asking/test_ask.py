"""Asking one teacher: the only place where anything is retried. In virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

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
    TeacherError,
    Unavailable,
    Unreachable,
    UserError,
    Withheld,
)
from storage.records import Logprobs, Message
from tasks.asking.ask import Answer, Desk
from tasks.asking.line import open_line
from tasks.stop import Stop
from tasks.teachers.options import RetryOptions
from tasks.teachers.protocol import BrokenOff, Choice, Completion, NoChoices, Request, Usage
from tests.fakes import FakeTeacher, completion, in_virtual_time, make_desk, make_logprobs, make_options, make_request

RETRY = RetryOptions(attempts=4, first_wait_s=1, max_wait_s=8)


def script(*steps: Completion | Exception) -> Callable[[Request], Completion]:
    """Return an answer that plays these steps, one a request."""
    left: Iterator[Completion | Exception] = iter(steps)

    def answer(request: Request) -> Completion:
        step = next(left)
        if isinstance(step, Exception):
            raise step
        return step

    return answer


def script_of(left: list[Completion | Exception]) -> Completion:
    """Play the next of these steps."""
    step = left.pop(0)
    if isinstance(step, Exception):
        raise step
    return step


def run(
    teacher: FakeTeacher, *, stop: Stop | None = None, may_send: Callable[[], bool] = lambda: True, **given: Any
) -> tuple[Answer, float]:
    """Ask once, and return the answer and the (virtual) seconds that it took."""

    async def main() -> tuple[Answer, float]:
        desk = make_desk(make_options(**({"retry": RETRY} | given)), teacher, Stop() if stop is None else stop)
        answer = await desk.ask(make_request(n=2), may_send=may_send)
        return answer, asyncio.get_running_loop().time()

    return in_virtual_time(main())


def failing_on(cursed: Sequence[str]) -> Desk:
    """Return a desk whose teacher always fails on some prompts, and answers all others."""

    def answer(request: Request) -> Completion:
        if request.prompt_id in cursed:
            raise Unavailable("500")
        return completion("4")

    return make_desk(make_options(retry=RetryOptions(first_wait_s=1, max_wait_s=8)), FakeTeacher(answer=answer), Stop())


class Replaying(FakeTeacher):
    """Answers what was recorded."""

    recorded: ClassVar[bool] = True


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

    def test_broken_off(self):
        """What a server gave up in the middle is asked again, and its bill is told."""
        usage = Usage(tokens_in=10, tokens_out=5)
        answer, _ = run(FakeTeacher(answer=script(BrokenOff("error", usage=usage), completion("4"))))
        assert (answer.attempts, answer.wasted) == (2, (usage,))

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


async def asked(desk: Desk, stop: Stop, *, first: int) -> list[Any]:
    """Ask some one after the other and 300 more side by side, as a draw does; return answers and errors of the 300."""

    async def ask(number: int) -> Any:
        try:
            return await desk.ask(make_request(f"p{number}"))
        except UserError as wrong:
            stop.set(wrong)
        except TeacherError as failed:
            return failed

    for number in range(first):
        await ask(number)
    return await asyncio.gather(*(ask(first + number) for number in range(300)))


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
            return await desk.ask(make_request(), billed=bills.append)

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


class TestReplicas:
    """Several lines to one model."""

    @staticmethod
    def run(*teachers: FakeTeacher, requests: int, takes: float = 1.0) -> tuple[list[Any], float]:
        """Ask so many requests at once of lines with four places each."""

        async def main() -> tuple[list[Any], float]:
            options = make_options(retry=RETRY, limits={"concurrency": 4})
            desk = Desk(options, [open_line(teacher, options) for teacher in teachers], Stop())
            found = await asyncio.gather(*(desk.ask(make_request()) for _ in range(requests)), return_exceptions=True)
            return found, asyncio.get_running_loop().time()

        return in_virtual_time(main())

    def test_least_load(self):
        """Each gets as much as it can serve: one that is three times as fast, three times as much."""

        @dataclass(kw_only=True)
        class Slow(FakeTeacher):
            takes: float

            async def complete(self, request: Request) -> Completion:
                await asyncio.sleep(self.takes)
                return await super().complete(request)

        slow, fast = Slow(takes=3.0), Slow(takes=1.0)

        async def main() -> None:
            options = make_options(limits={"concurrency": 4})
            desk = Desk(options, [open_line(slow, options), open_line(fast, options)], Stop())

            async def worker() -> None:
                for _ in range(20):
                    await desk.ask(make_request())

            await asyncio.gather(*(worker() for _ in range(8)))

        in_virtual_time(main())
        assert len(fast.requests) + len(slow.requests) == 160
        assert 2 < len(fast.requests) / len(slow.requests) < 4

    def test_one_is_down(self):
        """Where one is down, the other does the work, and nothing fails."""
        dead = FakeTeacher(answer=lambda request: raise_(Unreachable("refused")))
        alive = FakeTeacher()
        found, _ = self.run(dead, alive, requests=100)
        assert all(isinstance(each, Answer) for each in found)
        assert len(alive.requests) == 100
        assert len(dead.requests) < 20

    def test_all_are_down(self):
        """Where all are down, so is the teacher."""
        dead = [FakeTeacher(answer=lambda request: raise_(Unreachable("refused"))) for _ in range(2)]
        found, _ = self.run(*dead, requests=20)
        assert any(isinstance(each, TeacherDown) for each in found)

    def test_one_asks_for_a_pause(self):
        """A line that must pause holds up nobody: the other is asked."""
        limited = FakeTeacher(answer=lambda request: raise_(RateLimited("429", retry_after_s=500)))
        found, seconds = self.run(limited, FakeTeacher(), requests=40)
        assert all(isinstance(each, Answer) for each in found)
        assert seconds < 10

    @pytest.mark.parametrize("error", [SetupError("401 no such key"), RateLimited("429", retry_after_s=5_000)], ids=repr)
    def test_one_is_closed(self, error: Exception):
        """A line whose key is refused, or that asks for more than anybody waits, is left; the others do its work."""
        closed = FakeTeacher(answer=lambda request: raise_(error))
        found, _ = self.run(closed, FakeTeacher(), requests=100)
        assert all(isinstance(each, Answer) for each in found)
        assert len(closed.requests) <= 4

    def test_all_are_closed(self):
        """Where the key of the last one is refused, the run hears of it."""
        closed = [FakeTeacher(answer=lambda request: raise_(SetupError("401 no such key"))) for _ in range(2)]
        found, _ = self.run(*closed, requests=10)
        assert {type(each) for each in found} == {SetupError}

    @pytest.mark.parametrize("refused", [0, 1])
    def test_one_is_refused_and_the_other_s_day_is_used(self, refused: int):
        """Tomorrow the other one goes on: it is no reason to stop at once, whichever is first."""
        errors: list[Exception] = [SetupError("401 no such key"), RateLimited("429", retry_after_s=5_000)]
        closed = [FakeTeacher(answer=lambda request, n=n: raise_(errors[n != refused])) for n in range(2)]
        found, _ = self.run(*closed, requests=10)
        assert {type(each) for each in found} == {QuotaSpent}


def raise_(error: Exception) -> Completion:
    """Raise, in an expression."""
    raise error


class TestWithheld:
    """What isn't sent."""

    def test_stopped(self):
        """A run that stops sends nothing more."""
        stop = Stop()
        stop.set(Interrupted("SIGINT"))
        teacher = FakeTeacher()
        with pytest.raises(Withheld):
            run(teacher, stop=stop)
        assert teacher.requests == []

    def test_may_not(self):
        """Nor does one that may not."""
        teacher = FakeTeacher()
        with pytest.raises(Withheld):
            run(teacher, may_send=lambda: False)
        assert teacher.requests == []

    def test_asked_before_each_attempt(self):
        """Whether it may is asked anew for a retry, when its turn has come."""
        answers = iter([True, True, False])
        teacher = FakeTeacher(answer=script(*[Unavailable("503")] * 4))
        with pytest.raises(Withheld):
            run(teacher, may_send=lambda: next(answers))
        assert len(teacher.requests) == 2

    def test_stopped_while_waiting_for_its_turn(self):
        """A request that waits for a slot when the run stops isn't sent."""

        async def main() -> tuple[list[Any], int]:
            stop = Stop()

            def answer(request: Request) -> Completion:
                stop.set(Interrupted("SIGINT"))
                return completion("4")

            teacher = FakeTeacher(answer=answer)
            desk = make_desk(make_options(limits={"concurrency": 1}), teacher, stop)
            found = await asyncio.gather(*(desk.ask(make_request()) for _ in range(3)), return_exceptions=True)
            return found, len(teacher.requests)

        (first, *rest), sent = in_virtual_time(main())
        assert isinstance(first, Answer)
        assert [type(each) for each in rest] == [Withheld, Withheld]
        assert sent == 1

    def test_no_retry_while_stopping(self):
        """A run that stops doesn't ask again."""
        stop = Stop()

        def answer(request: Request) -> Completion:
            stop.set(Interrupted("SIGINT"))
            raise BadResponse("?")

        teacher = FakeTeacher(answer=answer)
        with pytest.raises(TeacherError):
            run(teacher, stop=stop)
        assert len(teacher.requests) == 1


class TestAnswer:
    """What a response becomes."""

    @pytest.mark.parametrize(
        ("dirty", "clean"),
        [("a\ud83d", "a\ufffd"), ("\udc00b", "\ufffdb"), ("👍 ä", "👍 ä"), ("plain", "plain")],
        ids=["half a pair", "the other half", "Unicode", "ASCII"],
    )
    def test_lone_surrogates(self, dirty: str, clean: str):
        """What JSON can carry and UTF-8 can't is replaced, in answer, reasoning and finish reason."""
        choice = Choice(response=dirty, reasoning=dirty, finish_reason=dirty)
        answer, _ = run(FakeTeacher(answer=lambda request: completion(choice)))
        assert answer.completion.choices == (Choice(response=clean, reasoning=clean, finish_reason=clean),)

    @pytest.mark.parametrize("thought", ["", "\n\n", " \t"])
    def test_blank_reasoning(self, thought: str):
        """Reasoning of white space alone is none: an export would teach to open and close it. A choice of it alone is empty."""
        choices = [Choice(response=text, reasoning=thought) for text in ("", "4")]
        answer, _ = run(FakeTeacher(answer=lambda request: completion(*choices)))
        assert answer.completion.choices == (Choice(response="4", reasoning=None),)

    def test_empty_choices_are_left_out(self):
        """Of several choices, the empty ones are dropped."""
        answer, _ = run(FakeTeacher(answer=lambda request: completion(" ", "4")))
        assert [choice.response for choice in answer.completion.choices] == ["4"]

    @pytest.mark.parametrize(
        "choice",
        [
            Choice(response="", reasoning="Let me", finish_reason="length"),
            Choice(response="", reasoning_blocks='[{"type":"redacted_thinking"}]', finish_reason="length"),
            Choice(response="", finish_reason="refusal"),
        ],
        ids=["in its reasoning", "in reasoning that isn't shown", "by a refusal"],
    )
    def test_cut_off_before_the_answer(self, choice: Choice):
        """A response that was cut off before its answer was paid for, and isn't bought again."""
        teacher = FakeTeacher(answer=lambda request: completion(choice))
        answer, _ = run(teacher)
        assert (answer.completion.choices, len(teacher.requests)) == ((choice,), 1)

    def test_more_than_asked_for(self):
        """What a server gives beyond `n` has no slot, and is dropped."""
        answer, _ = run(FakeTeacher(answer=lambda request: completion("1", "2", "3")))
        assert [choice.response for choice in answer.completion.choices] == ["1", "2"]

    @pytest.mark.parametrize("said", [-5, 7, 999_999, 1_500_000, 2**31, 10**12, 10**30], ids=str)
    def test_absurd_counts(self, said: int, caplog: pytest.LogCaptureFixture):
        """A count of tokens that can't be costs neither the response nor a budget: it is billed by its length, and that is said."""
        given = Choice(response="4" * 80, reasoning="!" * 40)
        answer, _ = run(
            FakeTeacher(answer=lambda request: completion(given, tokens_in=said, tokens_out=said, tokens_reasoning=said))
        )
        found = answer.completion
        counted = 0 <= said <= 1_000_000
        assert (found.tokens_in, found.tokens_out, found.tokens_reasoning) == ((said,) * 3 if counted else (4, 30, 10))
        warned = [record.message for record in caplog.records if "billed by its texts' lengths" in record.message]
        assert [message.split(" counts")[0] for message in warned] == ([] if counted else ["teacher 'smol'"])

    def test_an_absurd_count_holds_nobody_up(self):
        """The limit on tokens isn't told of it: it would hold back all that comes after."""

        async def main() -> float:
            options = make_options(limits={"tokens_per_minute": 6_000, "concurrency": 1})
            desk = make_desk(options, FakeTeacher(answer=lambda request: completion("4", tokens_out=10**12)), Stop())
            for _ in range(3):
                await desk.ask(make_request(parameters={"max_tokens": 10}))
            return asyncio.get_running_loop().time()

        assert in_virtual_time(main()) < 10

    def test_estimate_is_settled(self):
        """The limit on tokens is told what was really used: an answer that is shorter than reserved lets the next go sooner."""

        async def main() -> float:
            options = make_options(limits={"tokens_per_minute": 600, "concurrency": 1})
            desk = make_desk(options, FakeTeacher(answer=lambda request: completion("4", tokens_in=10, tokens_out=90)), Stop())
            for _ in range(3):
                await desk.ask(make_request(parameters={"max_tokens": 1_000}))
            return asyncio.get_running_loop().time()

        assert in_virtual_time(main()) == pytest.approx(19.5)


class TestDistributions:
    """What becomes of a response without the distributions that were asked for."""

    WHOLE = Choice(response="4", logprobs=make_logprobs(b"4"))

    def ask(self, *steps: Completion | Exception, n: int = 1) -> tuple[list[Answer], FakeTeacher, list[Usage]]:
        """Ask twice for distributions, and return what came."""
        teacher, billed = FakeTeacher(answer=script(*steps)), list[Usage]()

        async def main() -> list[Answer]:
            desk = make_desk(make_options(retry=RETRY), teacher, Stop())
            request = make_request(n=n, parameters={"logprobs": True, "top_logprobs": 5})
            return [await desk.ask(request, billed=billed.append) for _ in range(2)]

        return in_virtual_time(main()), teacher, billed

    @pytest.mark.parametrize("lacking", [None, make_logprobs(b"4", alternatives=0)], ids=["none", "no alternatives"])
    def test_never_given(self, lacking: Logprobs | None):
        """A teacher whose first response has none is asked no more: whatever it sold would be of no use."""
        with pytest.raises(SetupError, match=r"^sampling\.logprobs: .*leave it out"):
            self.ask(completion(Choice(response="4", logprobs=lacking)))

    def test_given_before(self):
        """Once it has given some, a response without them is malformed: asked again, and billed."""
        answers, teacher, billed = self.ask(completion(self.WHOLE), completion("4"), completion(self.WHOLE))
        assert [answer.attempts for answer in answers] == [1, 2]
        assert [len(answer.wasted) for answer in answers] == [0, 1]
        assert len(teacher.requests) == len(billed) == 3

    def test_some_of_several(self):
        """Of several choices those that have them are kept, and the other slots are asked for again."""
        answers, _, _ = self.ask(completion(self.WHOLE, "5"), completion("5", self.WHOLE), n=2)
        assert [answer.completion.choices for answer in answers] == [(self.WHOLE,), (self.WHOLE,)]

    @pytest.mark.parametrize(
        "choice",
        [
            Choice(response="", finish_reason="length"),
            Choice(response="No.", finish_reason="refusal"),
            Choice(response="", reasoning="hm"),
        ],
        ids=["cut off", "refusal", "reasoning alone"],
    )
    def test_nothing_to_give(self, choice: Choice):
        """A response without a text of the model's needs none."""
        answers, _, _ = self.ask(completion(choice), completion(choice))
        assert [answer.completion.choices for answer in answers] == [(choice,), (choice,)]

    def test_not_asked_for(self):
        """Who asks for none, as judges do, gets what comes."""
        answer, _ = run(FakeTeacher(answer=script(completion("4", "5"))))
        assert len(answer.completion.choices) == 2
