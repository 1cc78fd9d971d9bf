"""A desk for batches on a folder, with a fake provider, and what became of what was asked at it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from storage.errors import (
    TeacherError,
)
from storage.intents import Intent, Intents, Item, new
from tasks.asking.ask import Answer
from tasks.asking.conditions import Conditions
from tasks.batches.batch import BatchDesk
from tasks.draw import Budget
from tasks.stop import Stop
from tasks.teachers.options import PriceOptions
from tasks.teachers.protocol import Completion, Request, Usage
from tests.fakes import FakeBatchTeacher, echo, in_virtual_time, make_options, make_request

PRICE = PriceOptions(input=0, output=2_000_000)
"""One USD for a token that comes out, through a batch."""


def request(text: str, index: int = 0, **given: Any) -> Request:
    """Return a request for a sample."""
    return make_request(text, key=f"key of {text}", sample_index=index, **given)


@dataclass(kw_only=True)
class House:
    """A desk on a folder, and what became of what was asked at it."""

    folder: Path
    teacher: FakeBatchTeacher
    options: dict[str, Any] = field(default_factory=dict)
    usd: float | None = None
    spent: float = 0.0
    stop: Stop = field(default_factory=Stop)
    billed: list[Usage] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    board: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.budget = Budget(self.usd, spent=self.spent)
        self.intents = Intents(self.folder)

    def desk(self) -> BatchDesk:
        """Return a new desk, as a new run would have it."""
        options = make_options(**({"provider": "fake-batch", "batch": {"linger_s": 5}} | self.options))
        return BatchDesk(
            options,
            self.teacher,
            self.stop,
            intents=self.intents,
            budget=self.budget,
            say=self.said.append,
            board=self.board,
        )

    async def ask(self, desk: BatchDesk, one: Request) -> Answer:
        """Ask, and count what is billed."""

        def bill(usage: Usage) -> None:
            self.billed.append(usage)
            self.budget.spent += desk.options.price.cost(usage) if desk.options.price else 0.0

        return await desk.ask(one, Conditions(may_send=lambda: self.budget.left, billed=bill))

    async def ask_all(self, requests: Iterable[Request]) -> list[Answer | BaseException]:
        """Ask side by side in a run of its own, and return what came."""
        async with self.desk() as desk:
            return await asyncio.gather(*(self.ask(desk, one) for one in requests), return_exceptions=True)


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run in virtual time."""
    return in_virtual_time(coroutine)


def texts(answers: list[Answer | BaseException]) -> list[str]:
    """Return the first response of each answer; raise the first error."""
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return [answer.completion.choices[0].response for answer in answers if isinstance(answer, Answer)]


def failing(*errors: TeacherError | Completion) -> Callable[[Request], Completion]:
    """Return an answer that plays these for the prompt `b`, and then answers."""
    left = list(errors)

    def answer(one: Request) -> Completion:
        if one.prompt_id == "b" and left:
            step = left.pop(0)
            if isinstance(step, Exception):
                raise step
            return step
        return echo(one)

    return answer


def noted(requests: Iterable[Request], *, batch_id: str | None, key: str = "k") -> Intent:
    """Return the note of an earlier run's batch."""
    items = [Item(one.key, one.sample_index, one.n) for one in requests]
    made = new(key=key, teacher="smol", provider="fake-batch", model="fake-1", items=items)
    return Intent(**({name: getattr(made, name) for name in made.__slots__} | {"batch_id": batch_id}))
