"""No batch is submitted twice, whatever dies when. In virtual time, with a fake provider."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from storage.errors import (
    Interrupted,
    Overloaded,
    TeacherDown,
    Unavailable,
    Withheld,
)
from storage.intents import Intent
from tasks.asking.ask import Answer
from tasks.stop import Stop
from tests.fakes import FakeBatchTeacher
from tests.tasks.batches.house import House, failing, noted, request, run, texts


class TestNeverTwice:
    """Whatever dies when."""

    def test_noted_before_it_is_sent(self, house: House):
        """The note is on disk when the provider is asked, and has the id once that is known."""
        before: list[Intent] = []

        class Looking(FakeBatchTeacher):
            async def submit(self, requests: Any, *, key: str) -> str:
                before.extend(house.intents.all())
                return await super().submit(requests, key=key)

        house.teacher = Looking()
        run(house.ask_all([request("a")]))
        assert [(intent.batch_id, intent.requests) for intent in before] == [(None, 1)]
        assert [intent.batch_id for intent in house.intents.all()] == ["batch-0"]

    def test_an_answer_that_got_lost(self, house: House):
        """Where the provider's answer to a submission is lost, the batch is looked for before it is sent again."""
        house.teacher.submitting = [(Unavailable("timed out"), True)]
        assert texts(run(house.ask_all([request("a")]))) == ["a #0"]
        assert len(house.teacher.batches) == 1

    def test_a_submission_that_got_lost(self, house: House):
        """Where it isn't found after a while, it is sent again."""
        house.teacher.submitting = [(Unavailable("timed out"), False)]
        assert texts(run(house.ask_all([request("a")]))) == ["a #0"]
        assert len(house.teacher.batches) == 1

    @pytest.mark.parametrize("kind", [Unavailable, Overloaded], ids=repr)
    def test_uncertain_with_a_pause(self, house: House, kind: type[Unavailable]):
        """A server's own error that says how long to wait is waited for, and the batch is looked for before it is sent again."""

        class Watched(FakeBatchTeacher):
            looked: float = 0.0

            async def find(self, key: str, **given: Any) -> str | None:
                self.looked = asyncio.get_running_loop().time()
                return await super().find(key, **given)

        house.teacher = Watched(submitting=[(kind("504", retry_after_s=100), True)])
        assert texts(run(house.ask_all([request("a")]))) == ["a #0"]
        assert len(house.teacher.batches) == 1
        assert house.teacher.looked == pytest.approx(105)

    def test_uncertain_with_too_long_a_pause(self, house: House):
        """A batch that may have been sold stays noted where the run ends, and the next run finds it."""
        house.teacher.submitting = [(Unavailable("504", retry_after_s=1_000), True)]
        (answer,) = run(house.ask_all([request("a")]))
        assert isinstance(answer, TeacherDown)
        assert [intent.batch_id for intent in house.intents.all()] == [None]
        assert texts(run(house.ask_all([request("a")]))) == ["a #0"]
        assert len(house.teacher.batches) == 1

    def test_killed_long_after_it_was_noted(self, house: House):
        """A batch that was sent long after its note was made may not be listed yet either."""

        class Late(FakeBatchTeacher):
            async def find(self, key: str, **given: Any) -> str | None:
                return await super().find(key, **given) if asyncio.get_running_loop().time() > 10 else None

        intent = noted([request("a")], batch_id=None)
        house.intents.write(replace(intent, created_at=intent.created_at - 180))
        house.teacher = Late()
        run(house.teacher.submit({f"k-{intent.items[0].ids[0]}": request("a")}, key="k"))
        assert texts(run(house.ask_all([request("a")]))) == ["a #0"]
        assert len(house.teacher.batches) == 1

    def test_a_late_batch(self, house: House):
        """A batch that the provider lists only after a moment is found all the same."""

        class Late(FakeBatchTeacher):
            searches = 0

            async def find(self, key: str, **given: Any) -> str | None:
                self.searches += 1
                return await super().find(key, **given) if self.searches > 1 else None

        house.teacher = Late(submitting=[(Unavailable("timed out"), True)])
        assert texts(run(house.ask_all([request("a")]))) == ["a #0"]
        assert len(house.teacher.batches) == 1

    def test_a_later_run_waits_for_it(self, house: House):
        """A run that stops leaves its batch at the provider, and the next one waits for that."""

        async def stopped() -> Answer | BaseException:
            async with house.desk() as desk:
                asking = asyncio.create_task(house.ask(desk, request("a")))
                await house.teacher.sent.wait()
                house.stop.set(Interrupted("SIGINT"))
                return (await asyncio.gather(asking, return_exceptions=True))[0]

        house.teacher.polls = 10**6
        assert isinstance(run(stopped()), Withheld)
        house.teacher.polls = 1
        house.stop = Stop()
        assert texts(run(house.ask_all([request("a"), request("b")]))) == ["a #0", "b #0"]
        assert house.teacher.asked == [("a", 0), ("b", 0)]
        assert any("a rerun picks them up" in line for line in house.said)

    @pytest.mark.parametrize("there", [True, False], ids=["sent", "not sent"])
    def test_killed_before_the_id_was_noted(self, house: House, there: bool):
        """A note without an id is cleared up by the provider: the batch is taken up, or sent for the first time."""
        intent = noted([request("a")], batch_id=None)
        house.intents.write(intent)
        if there:
            run(house.teacher.submit({f"k-{intent.items[0].ids[0]}": request("a")}, key="k"))
        assert texts(run(house.ask_all([request("a")]))) == ["a #0"]
        assert house.teacher.asked == [("a", 0)]

    def test_killed_after_it_was_fetched(self, house: House):
        """What was fetched and isn't in the lake is fetched again, and not bought."""
        run(house.ask_all([request("a"), request("b")]))
        assert texts(run(house.ask_all([request("a"), request("b")]))) == ["a #0", "b #0"]
        assert len(house.teacher.batches) == 1

    def test_asked_again_in_the_same_run(self, house: House):
        """Whoever comes after a batch was fetched gets the answer from it."""

        async def main() -> list[str]:
            async with house.desk() as desk:
                await house.ask(desk, request("a"))
                return texts([await house.ask(desk, request("a"))])

        assert run(main()) == ["a #0"]
        assert len(house.teacher.batches) == 1

    def test_what_nobody_asks_for(self, house: House):
        """Results that nobody asks for now stay noted, and can be fetched later."""
        run(house.ask_all([request("a"), request("b")]))
        run(house.ask_all([request("b")]))
        (intent,) = house.intents.all()
        assert len(intent.items) == 2

    def test_another_teachers(self, house: House):
        """Batches of another provider or model are nobody's business here."""
        run(house.ask_all([request("a")]))
        house.options = {"model": "other"}
        run(house.ask_all([request("a")]))
        assert len(house.teacher.batches) == 2

    def test_two_notes_of_one_request(self, house: House):
        """Where a request was sent again, its newest batch counts."""
        house.teacher.answer = failing(Unavailable("expired"))
        run(house.ask_all([request("a"), request("b")]))
        assert [len(intent.items) for intent in house.intents.all()] == [1, 1]
