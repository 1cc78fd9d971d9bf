"""Several lines to one model, each with its own limits. In virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from storage.errors import (
    QuotaSpent,
    RateLimited,
    SetupError,
    TeacherDown,
    Unreachable,
)
from tasks.asking.ask import Answer, Desk
from tasks.asking.line import open_line
from tasks.stop import Stop
from tasks.teachers.protocol import Completion, Request
from tests.fakes import FakeTeacher, in_virtual_time, make_options, make_request
from tests.tasks.asking.scripted import RETRY, raise_


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
