"""What a line's meter counts of the requests on it. In virtual time."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

import pytest

from storage.errors import BadResponse, Overloaded, RateLimited, RequestRejected, TeacherError, TimedOut, Unavailable, Unreachable
from tasks.asking.meter import BUCKETS_S, OUTCOMES, Meter
from tasks.stop import Stop
from tasks.teachers.options import RetryOptions
from tasks.teachers.protocol import Completion, Request
from tests.fakes import FakeTeacher, completion, in_virtual_time, make_desk, make_options, make_request


@dataclass(kw_only=True)
class SlowTeacher(FakeTeacher):
    """Takes its time."""

    delay_s: float

    async def complete(self, request: Request) -> Completion:
        """Wait, and answer."""
        await asyncio.sleep(self.delay_s)
        return await super().complete(request)


def test_a_request_that_is_sent_again() -> None:
    """Each attempt counts once, by how it ended; what is answered, by how long it took and what was billed."""
    steps: list[Exception | Completion] = [RateLimited("429"), Unavailable("500"), completion("4", tokens_in=10, tokens_out=20)]

    async def ask() -> Meter:
        desk = make_desk(make_options(retry=RetryOptions(first_wait_s=0.1, max_wait_s=0.1)), teacher, Stop())
        await desk.ask(make_request())
        (line,) = desk.states()
        assert (line.teacher, line.line, line.standing, line.in_flight, line.waiting) == ("smol", 0, "well", 0, 0)
        return line.meter

    def answer(request: Request) -> Completion:
        step = steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    teacher = SlowTeacher(answer=answer, delay_s=2.0)
    meter = in_virtual_time(ask())
    assert (meter.sent, meter.again, meter.tokens, meter.refused) == (3, 2, 30, 1)
    assert meter.ended == {"refused": 1, "unavailable": 1, "answered": 1}
    assert meter.seconds == pytest.approx(2.0)
    assert meter.buckets[BUCKETS_S.index(2.5)] == sum(meter.buckets) == 1


def test_what_is_in_flight_and_what_waits() -> None:
    """Of five requests with room for two, two are in flight and three wait; one that is cancelled leaves no trace but having been sent."""

    async def ask() -> None:
        desk = make_desk(make_options(limits={"concurrency": 2}), SlowTeacher(delay_s=60.0), Stop())
        asking = [asyncio.create_task(desk.ask(make_request())) for _ in range(5)]
        await asyncio.sleep(1)
        (line,) = desk.states()
        assert (line.in_flight, line.window, line.waiting) == (2, 2, 3)
        for each in asking:
            each.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        (line,) = desk.states()
        assert (line.in_flight, line.waiting, line.meter.sent, line.meter.ended.total()) == (0, 0, 2, 0)

    in_virtual_time(ask())


def test_a_time_limit() -> None:
    """A request without an answer in time is told apart from a server's error."""

    async def ask() -> Meter:
        options = make_options(timeout_s=1, retry=RetryOptions(attempts=1, first_wait_s=0.1, max_wait_s=0.1))
        desk = make_desk(options, SlowTeacher(delay_s=60.0), Stop())
        with contextlib.suppress(TeacherError):
            await desk.ask(make_request())
        return desk.states()[0].meter

    assert in_virtual_time(ask()).ended == {"timed_out": 1}


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (RateLimited(""), "refused"),
        (Overloaded(""), "overloaded"),
        (Unreachable(""), "unreachable"),
        (TimedOut(""), "timed_out"),
        (Unavailable(""), "unavailable"),
        (RequestRejected(""), "rejected"),
        (BadResponse(""), "malformed"),
        (ValueError(""), "other"),
    ],
)
def test_every_error_has_an_outcome(error: Exception, outcome: str) -> None:
    """An error counts as what it most exactly is."""
    meter = Meter()
    meter.failed(error)
    assert meter.ended == {outcome: 1}
    assert outcome in OUTCOMES
