"""What may have been billed for requests that saw no answer. In virtual time."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from storage.errors import (
    BadResponse,
    BudgetSpent,
    Overloaded,
    RateLimited,
    RequestRejected,
    StillhouseError,
    TeacherError,
    Unavailable,
    Unreachable,
    Withheld,
)
from tasks.asking.conditions import Conditions
from tasks.stop import Stop
from tasks.teachers.options import RetryOptions
from tasks.teachers.protocol import FLIGHT, Completion, Request, Usage
from tests.fakes import FakeTeacher, completion, in_virtual_time, make_desk, make_options, make_request

ONCE = RetryOptions(attempts=1, first_wait_s=1, max_wait_s=8)
PROMPT = "x" * 79
"""Of 19 tokens, by the rule of thumb."""


class Slow(FakeTeacher):
    """Answers after `takes_s`, and has a connection by then, or not."""

    takes_s = 1e6
    connects = True

    async def complete(self, request: Request) -> Completion:
        """Take long."""
        FLIGHT.get().sent = self.connects
        await asyncio.sleep(self.takes_s)
        return await super().complete(request)


def broken() -> Unavailable:
    """Return what the wire says where a connection broke."""
    error = Unavailable("the connection broke")
    error.unanswered = True
    return error


def ask(teacher: FakeTeacher, *, cancelled: bool = False, retry: RetryOptions = ONCE) -> list[tuple[Usage, bool]]:
    """Ask for two samples, and return what was heard of."""
    heard: list[tuple[Usage, bool]] = []

    async def main() -> None:
        desk = make_desk(make_options(retry=retry, timeout_s=60), teacher, Stop())
        conditions = Conditions(unanswered=lambda usage, given_up: heard.append((usage, given_up)))
        asking = asyncio.create_task(desk.ask(make_request(PROMPT, n=2, parameters={"max_tokens": 50}), conditions))
        if cancelled:
            await asyncio.sleep(10)
            asking.cancel()
        with contextlib.suppress(StillhouseError, asyncio.CancelledError):
            await asking

    in_virtual_time(main())
    return heard


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (RateLimited("429"), False),
        (Overloaded("503"), False),
        (Unavailable("500"), False),
        (Unreachable("nobody"), False),
        (RequestRejected("400"), False),
        (BadResponse("?"), False),
        (broken(), True),
    ],
    ids=str,
)
def test_errors(error: TeacherError, counts: bool):
    """A connection that broke after the request was sent may have been billed; what a server refuses, or never got, is free."""

    def answer(request: Request) -> Completion:
        raise error

    heard = ask(FakeTeacher(answer=answer))
    assert bool(heard) == counts
    assert all(each == (Usage(tokens_in=19, tokens_out=100), False) for each in heard[:1])


@pytest.mark.parametrize(("cancelled", "given_up"), [(False, False), (True, True)], ids=["too late", "given up"])
@pytest.mark.parametrize("connects", [True, False])
def test_no_answer(cancelled: bool, given_up: bool, connects: bool):
    """So it is with what runs into the time limit, and what is in flight when the run ends, but for what was never sent."""
    teacher = Slow()
    teacher.connects = connects
    assert [each for _, each in ask(teacher, cancelled=cancelled)[:1]] == [given_up] * connects


def test_every_attempt():
    """Each attempt counts, since each was sent; an answer that comes in the end is billed as ever."""
    left = [broken(), broken()]

    def answer(request: Request) -> Completion:
        if left:
            raise left.pop()
        return completion("4", "5")

    heard = ask(FakeTeacher(answer=answer), retry=RetryOptions(attempts=3, first_wait_s=1, max_wait_s=8))
    assert len(heard) == 2


@pytest.mark.parametrize(
    ("tokens_in", "tokens_out", "max_tokens", "expected"),
    [
        (40, 30, 500, Usage(tokens_in=40, tokens_out=54)),
        (400, 30, 40, Usage(tokens_in=400, tokens_out=30)),
        (40, 900, 40, Usage(tokens_in=40, tokens_out=857)),
    ],
    ids=["as the others'", "prompts count more", "max_tokens isn't kept to"],
)
def test_estimate(tokens_in: int, tokens_out: int, max_tokens: int, expected: Usage):
    """It goes by what the answers took that came, in and out."""
    heard: list[Usage] = []
    left = 19

    def answer(request: Request) -> Completion:
        nonlocal left
        left -= 1
        if left < 0:
            raise broken()
        return completion("4", tokens_in=tokens_in, tokens_out=tokens_out)

    async def main() -> None:
        desk = make_desk(make_options(retry=ONCE), FakeTeacher(answer=answer), Stop())
        conditions = Conditions(unanswered=lambda usage, _: heard.append(usage))
        request = make_request(PROMPT, parameters={"max_tokens": max_tokens})
        for _ in range(20):
            with contextlib.suppress(TeacherError):
                await desk.ask(request, conditions)

    in_virtual_time(main())
    assert heard[0] == expected


@pytest.mark.parametrize("retrying", [True, False], ids=["a retry", "an answer"])
def test_a_run_that_stops(retrying: bool):
    """What is in flight comes to its end and isn't sent again; nobody waits for a retry's turn."""
    stop = Stop()

    def answer(request: Request) -> Completion:
        if retrying:
            raise Unavailable("500")
        return completion("4")

    async def main() -> tuple[int, float]:
        teacher = Slow(answer=answer)
        teacher.takes_s = 30
        desk = make_desk(make_options(retry=RetryOptions(attempts=5, first_wait_s=600, max_wait_s=600)), teacher, stop)
        loop = asyncio.get_running_loop()
        asking = asyncio.create_task(desk.ask(make_request()))
        loop.call_later(31 if retrying else 10, stop.set, BudgetSpent("spent"))
        await asyncio.sleep(20)
        assert stop.in_flight == 1
        with pytest.raises(Withheld) if retrying else contextlib.nullcontext():
            await asking
        return len(teacher.requests), loop.time()

    assert in_virtual_time(main()) == (1, pytest.approx(31 if retrying else 30))
    assert stop.in_flight == 0


def test_a_failure_meanwhile():
    """What fails once the run stops isn't sent again."""
    stop = Stop()

    def answer(request: Request) -> Completion:
        raise Unavailable("500")

    async def main() -> int:
        teacher = Slow(answer=answer)
        teacher.takes_s = 30
        desk = make_desk(make_options(retry=RetryOptions(attempts=5, first_wait_s=600, max_wait_s=600)), teacher, stop)
        asyncio.get_running_loop().call_later(10, stop.set, BudgetSpent("spent"))
        with pytest.raises(Unavailable):
            await desk.ask(make_request())
        return len(teacher.requests)

    assert in_virtual_time(main()) == 1
