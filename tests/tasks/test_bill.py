"""What is billed before a sample is there is known to later runs at any moment, and counts once."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from storage.errors import StorageError, TimedOut, Unavailable
from storage.records import Sample
from storage.waste import Waste
from tasks.teachers.protocol import Choice, Completion, Request
from tests.fakes import FakeJournal, FakeTeacher, completion
from tests.tasks.test_draw import PRICE, Till

CUT = completion(Choice(response="I was", finish_reason="length"), tokens_in=5, tokens_out=2)
GOOD = completion("4", tokens_in=3, tokens_out=1)
EMPTY = completion("", tokens_in=4, tokens_out=0)


def noted_in(folder: Path) -> list[dict[str, Any]]:
    """Return what is noted there."""
    return [json.loads(line) for path in folder.glob("*.jsonl") for line in path.read_text().splitlines()]


class Book:
    """A draw of one teacher that plays steps, and what is noted when each of them is asked for."""

    def __init__(self, folder: Path, *steps: Completion | Exception, **retry: object) -> None:
        self._folder, self._left = folder, list(steps)
        self.then: list[float] = []
        """What a later run would have known of when each request was sent."""
        self.till = Till(
            self._answer,
            price=PRICE,
            retry={"attempts": 3, "first_wait_s": 0.001, "max_wait_s": 0.002, "length": "retry"} | retry,
        )

    @property
    def noted(self) -> float:
        """USD that are noted as billed in vain."""
        lines = noted_in(self._folder)
        for name in ("tokens_in", "tokens_out", "cost_usd"):
            assert sum(line[name] for line in lines) >= 0
        assert bool(sum(line["responses"] for line in lines)) == bool(sum(line["cost_usd"] for line in lines))
        return sum(line["cost_usd"] for line in lines)

    def _answer(self, request: Request) -> Completion:
        self.then.append(self.noted)
        step = self._left.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    async def draw(self) -> float | None:
        """Draw a sample, and return its cost."""
        with Waste(self._folder, run="r") as waste:
            self.till.draw.waste = waste
            drawn = await self.till.ask()
        return getattr(drawn.get(0), "cost_usd", None)


@pytest.mark.parametrize(
    ("steps", "then", "cost"),
    [
        ((GOOD,), [0], 4),
        ((CUT, GOOD), [0, 7], 11),
        ((CUT, EMPTY, GOOD), [0, 7, 11], 15),
        ((CUT, CUT, CUT), [0, 7, 14], 21),
        ((CUT, Unavailable("503"), Unavailable("503")), [0, 7, 7], 7),
        ((EMPTY, CUT, Unavailable("503")), [0, 4, 11], 11),
    ],
)
async def test_a_sample(tmp_path: Path, steps: tuple[Completion | Exception, ...], then: list[float], cost: float):
    """What is asked for again is noted before it is; a sample carries it, and what was noted is taken back."""
    book = Book(tmp_path, *steps)
    assert await book.draw() == cost
    assert (book.then, book.noted, book.till.budget.spent) == (then, 0, cost)


async def test_no_sample(tmp_path: Path):
    """Where none comes, it stays noted, once."""
    book = Book(tmp_path, EMPTY, EMPTY, EMPTY, GOOD)  # the last one is for a control
    assert await book.draw() is None
    assert book.noted == 12


async def test_a_run_that_ends(tmp_path: Path):
    """Where the run ends while a response is in hand, it stays noted."""
    book = Book(tmp_path, CUT, GOOD)
    book.till.budget.usd = 7
    assert await book.draw() is None
    assert (book.noted, book.till.budget.spent, len(book.then)) == (7, 7, 1)


async def test_a_cancelled_run(tmp_path: Path):
    """It stays noted until the journal, which may be slow, has the sample on disk: a kill may come before."""

    class SlowJournal(FakeJournal):
        async def append(self, samples: list[Sample], **how: Any) -> None:
            self.carried = how["carried"]
            began.set()
            await asyncio.sleep(60)

    began, book = asyncio.Event(), Book(tmp_path, CUT, GOOD)
    journal = book.till.draw.journal = SlowJournal()
    with Waste(tmp_path, run="r") as book.till.draw.waste:
        drawing = asyncio.create_task(book.till.ask())
        await began.wait()
        drawing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await drawing
        assert book.noted == 7
        journal.carried()
        assert book.noted == 0


async def test_what_is_not_stored(tmp_path: Path):
    """Where the disk takes no sample, what came before it stays noted, and what it cost itself is."""
    book = Book(tmp_path, CUT, GOOD)
    book.till.journal.refuse = StorageError("full")
    assert await book.draw() is None
    assert (book.noted, book.till.budget.spent) == (11, 11)
    assert book.till.draw.spending.paid == 0


async def test_what_is_stored_all_the_same(tmp_path: Path):
    """Where a disk that is full took the sample from its reserve, it carries its cost, and nothing stays noted."""

    class Full(FakeJournal):
        async def append(self, samples: list[Sample], **how: Any) -> None:
            await super().append(samples, **how)
            raise StorageError("full")

    book = Book(tmp_path, CUT, GOOD)
    book.till.draw.journal = Full()
    assert await book.draw() is None
    assert book.noted == 0
    assert book.till.draw.spending.paid == 1


@pytest.mark.parametrize(
    ("error", "answered", "noted", "told"),
    [
        (TimedOut("late"), False, [512] * 3, "3 requests got no answer in time and may have been billed, about $1,536.0000"),
        (TimedOut("late"), True, [512], "1 request got no answer in time and may have been billed, about $512.0000"),
        (Unavailable("503"), False, [], None),
    ],
    ids=["never", "a retry", "refused"],
)
async def test_no_answer(tmp_path: Path, error: Unavailable, answered: bool, noted: list[float], told: str | None):
    """What saw no answer may have been billed: it counts against the budget by an estimate, is noted as one, and told apart.

    A sample that comes in the end carries its own cost alone.
    """
    book = Book(tmp_path, error, *([GOOD] if answered else [error, error]), GOOD, GOOD)
    assert await book.draw() == (4 if answered else None)
    late = [line for line in noted_in(tmp_path) if "estimated" in line]
    assert [(line["cost_usd"], line["tokens_out"], line["estimated"]) for line in late] == [
        (usd, usd, "no answer seen, estimated") for usd in noted
    ]
    spending = book.till.draw.spending
    assert (spending.unanswered, spending.given_up, spending.unanswered_usd) == (len(noted), 0, sum(noted))
    assert book.till.budget.spent == spending.cost_usd + sum(noted)
    assert (told in spending.line()) if told else ("answer" not in spending.line())


async def test_no_answer_and_no_price(tmp_path: Path):
    """What costs nothing is counted, and that is all."""
    book = Book(tmp_path, TimedOut("late"), GOOD)
    book.till = Till(book._answer, price={"input": 0, "output": 0})
    assert await book.draw() == 0
    assert book.till.budget.spent == 0
    assert noted_in(tmp_path) == []
    assert book.till.draw.spending.line().endswith("; 1 request got no answer in time")


async def test_given_up(tmp_path: Path):
    """What is in flight when the run is cut off is noted as given up."""

    class Hanging(FakeTeacher):
        async def complete(self, request: Request) -> Completion:
            began.set()
            await asyncio.sleep(60)
            return GOOD

    began, till = asyncio.Event(), Till(price=PRICE)
    till.question.desk.lines[0].teacher = Hanging()  # type: ignore[attr-defined]
    with Waste(tmp_path, run="r") as till.draw.waste:
        drawing = asyncio.create_task(till.ask())
        await began.wait()
        drawing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await drawing
    (line,) = noted_in(tmp_path)
    assert (line["cost_usd"], line["estimated"]) == (512, "given up in flight, estimated")
    assert till.budget.spent == 512
    assert "; 1 request in flight was given up and may have been billed, about $512.0000" in till.draw.spending.line()
