"""What is billed before a sample is there is known to later runs at any moment, and counts once."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from storage.errors import StorageError, Unavailable
from storage.records import Sample
from storage.waste import Waste
from tasks.teachers.protocol import Choice, Completion, Request
from tests.fakes import FakeJournal, completion
from tests.tasks.test_draw import PRICE, Till

CUT = completion(Choice(response="I was", finish_reason="length"), tokens_in=5, tokens_out=2)
GOOD = completion("4", tokens_in=3, tokens_out=1)
EMPTY = completion("", tokens_in=4, tokens_out=0)


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
        lines = [json.loads(line) for path in self._folder.glob("*.jsonl") for line in path.read_text().splitlines()]
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
