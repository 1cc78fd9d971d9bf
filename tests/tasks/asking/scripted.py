"""Teachers that play a script, and desks to ask them at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

from storage.errors import (
    TeacherError,
    Unavailable,
    UserError,
)
from tasks.asking.ask import Answer, Desk
from tasks.asking.conditions import Conditions
from tasks.stop import Stop
from tasks.teachers.options import RetryOptions
from tasks.teachers.protocol import Completion, Request, Usage
from tests.fakes import FakeTeacher, completion, in_virtual_time, make_desk, make_options, make_request

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
    teacher: FakeTeacher,
    *,
    stop: Stop | None = None,
    may_send: Callable[[], bool] = lambda: True,
    billed: Callable[[Usage], object] = lambda usage: None,
    **given: Any,
) -> tuple[Answer, float]:
    """Ask once, and return the answer and the (virtual) seconds that it took."""

    async def main() -> tuple[Answer, float]:
        desk = make_desk(make_options(**({"retry": RETRY} | given)), teacher, Stop() if stop is None else stop)
        answer = await desk.ask(make_request(n=2), Conditions(may_send=may_send, billed=billed))
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


def raise_(error: Exception) -> Completion:
    """Raise, in an expression."""
    raise error
