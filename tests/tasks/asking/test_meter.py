"""What a line's meter counts of the requests on it. In virtual time."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from storage.errors import BadResponse, Overloaded, RateLimited, RequestRejected, TeacherError, TimedOut, Unavailable, Unreachable
from tasks.asking.meter import BUCKETS_S, OUTCOMES, LineState, Meter, together
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


def state(**given: Any) -> LineState:
    """Return how a line stands, with a meter of five answered requests and a refusal."""
    meter = Meter(sent=6, again=1, in_flight=given.get("in_flight", 0), tokens=90)
    for _ in range(5):
        meter.answered(0.2)
    meter.failed(RateLimited("429"))
    known = {"teacher": "t", "line": 0, "standing": "well", "in_flight": 0, "window": 4, "waiting": 0}
    return LineState(**(known | {"requests_per_minute": 60.0, "tokens_per_minute": 0.0, "meter": meter} | given))


def test_what_a_worker_notes() -> None:
    """A line's state is the same after a trip through JSON; of a process that has ended, what it counted remains."""
    there = LineState.of(orjson.loads(orjson.dumps(state(in_flight=2, waiting=3, standing="failing").as_dict())))
    assert there == state(in_flight=2, waiting=3, standing="failing")
    over = there.over()
    assert (over.standing, over.in_flight, over.window, over.waiting, over.meter.in_flight) == ("well", 0, 0, 0, 0)
    assert (over.meter.sent, over.meter.ended, over.meter.buckets) == (6, {"answered": 5, "refused": 1}, there.meter.buckets)


def test_several_processes() -> None:
    """What they counted, have in flight and have waiting is added up; places are the workers' shares, a rate is everybody's."""
    others = [[state(in_flight=2, window=3, waiting=1)], [state(in_flight=1, window=2, standing="paused")], [state().over()]]
    (found,) = together([state(window=64)], others)
    assert (found.in_flight, found.meter.in_flight, found.waiting, found.window) == (3, 3, 1, 5)
    assert (found.requests_per_minute, found.standing) == (60.0, "paused")
    assert (found.meter.sent, found.meter.again, found.meter.tokens, found.meter.refused) == (24, 4, 360, 4)
    assert sum(found.meter.buckets) == found.meter.ended["answered"] == 20
    assert found.meter.seconds == pytest.approx(4.0)


def test_a_line_that_no_worker_asks() -> None:
    """It is as this process has it, and counting doesn't change what is counted."""
    own = [state(), state(teacher="judge", window=7)]
    for _ in range(2):
        _, judge = together(own, [[state()]])
        assert (judge.window, judge.meter) == (7, own[1].meter)
    assert own[0] == state()
