"""How long a batch is waited for, and what is shown meanwhile. In virtual time, with a fake provider."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from storage.errors import (
    RateLimited,
    RequestRejected,
    SetupError,
    StillhouseError,
    TeacherDown,
    Unavailable,
)
from tasks.asking.ask import Answer
from tasks.teachers.options import RetryOptions
from tasks.teachers.protocol import Completion
from tests.fakes import FakeBatchTeacher
from tests.tasks.batches.house import House, failing, noted, request, run, texts


class TestWaiting:
    """Looking until it ends."""

    def test_trouble_passes(self, house: House):
        """A look that fails is repeated, and so are a search and a reading."""
        house.teacher.trouble = [Unavailable("503"), RateLimited("429", retry_after_s=100), Unavailable("503")]
        assert texts(run(house.ask_all([request("a")]))) == ["a #0"]

    def test_nobody_there(self, house: House):
        """A provider that can't be asked for long ends the run; the batch stays noted, and the next run has its answer."""
        house.teacher.trouble = [Unavailable("503")] * 1_000
        house.options = {"retry": RetryOptions()}
        (answer,) = run(house.ask_all([request("a")]))
        assert isinstance(answer, TeacherDown)
        house.teacher.trouble.clear()
        assert texts(run(house.ask_all([request("a")]))) == ["a #0"]
        assert len(house.teacher.batches) == 1

    def test_unknown_to_the_provider(self, house: House):
        """A noted batch that the provider doesn't know names the file: nothing is bought again unasked."""
        house.intents.write(noted([request("a")], batch_id="batch-9"))
        house.teacher.trouble = [SetupError("doesn't know it")]
        (answer,) = run(house.ask_all([request("a")]))
        assert isinstance(answer, SetupError)
        assert f"{house.folder / 'k.json'}" in str(answer)
        assert house.teacher.batches == {}

    def test_overdue(self, house: House):
        """A batch that is too old is cancelled; what it has is fetched, and the rest is asked again."""
        house.teacher.polls = 10**6
        house.options = {"batch": {"linger_s": 1, "timeout_s": 1e-9}}
        house.teacher.answer = failing(Unavailable("cancelled"))
        assert texts(run(house.ask_all([request("a"), request("b")]))) == ["a #0", "b #0"]
        assert [batch.cancelled for batch in house.teacher.batches.values()] == [True, True]

    @pytest.mark.parametrize("error", [RequestRejected("400 is cancelling"), Unavailable("409"), SetupError("404")], ids=repr)
    def test_a_refused_cancellation(self, house: House, error: Exception):
        """A batch that can't be cancelled, since it has just ended or is being cancelled, is waited for."""

        class Refusing(FakeBatchTeacher):
            async def cancel(self, batch_id: str) -> None:
                raise error

        house.teacher = Refusing(polls=5)
        house.options = {"batch": {"linger_s": 1, "timeout_s": 1e-9}}
        assert texts(run(house.ask_all([request("a")]))) == ["a #0"]
        assert len([line for line in house.said if "not done in time" in line]) == 1

    def test_cancelled_by_somebody(self, house: House):
        """A batch that a person cancelled is not sent again by the same run."""

        async def main() -> list[Answer | BaseException]:
            async with house.desk() as desk:
                asking = [asyncio.create_task(house.ask(desk, request(text))) for text in "ab"]
                await house.teacher.sent.wait()
                await house.teacher.cancel("batch-0")
                return await asyncio.gather(*asking, return_exceptions=True)

        house.teacher.polls = 10**6
        house.teacher.answer = failing(Unavailable("cancelled"))
        first, second = run(main())
        assert isinstance(first, Answer)
        assert isinstance(second, RequestRejected)
        assert len(house.teacher.batches) == 1

    def test_a_torn_download(self, house: House):
        """Results that are cut off on their way are read again: what they lack isn't taken for unanswered."""
        house.teacher.torn = 1
        assert texts(run(house.ask_all([request(text) for text in "abc"]))) == ["a #0", "b #0", "c #0"]
        assert (len(house.teacher.batches), len(house.billed), house.teacher.read) == (1, 3, 2)

    @pytest.mark.parametrize("stray", ["k9-7", None], ids=["a stranger's", "one that came before"])
    def test_lines_that_stand_in_for_others(self, house: House, stray: str | None):
        """A result that is no request's, or stands twice, doesn't hide that another one is missing: that isn't bought again."""

        class Careless(FakeBatchTeacher):
            async def results(self, batch_id: str) -> AsyncIterator[tuple[str, Completion | StillhouseError]]:
                first, again = None, self.read > 0
                async for custom_id, result in super().results(batch_id):
                    first = first or custom_id
                    yield (custom_id if again or "b" not in self.named(custom_id) else stray or first), result

            def named(self, custom_id: str) -> str:
                return self.batches["batch-0"].requests[custom_id].prompt_id

        house.teacher = Careless()
        assert texts(run(house.ask_all([request(text) for text in "abc"]))) == ["a #0", "b #0", "c #0"]
        assert (len(house.teacher.batches), len(house.billed), house.teacher.read) == (1, 3, 2)

    @pytest.mark.parametrize("failed", [Unavailable("500"), RequestRejected("400")], ids=repr)
    @pytest.mark.parametrize("first", [True, False])
    def test_a_result_that_stands_twice(self, house: House, failed: StillhouseError, first: bool):
        """A request with an answer and an error has its answer, whichever is first, and its note stays until that is on disk."""

        class Twice(FakeBatchTeacher):
            async def results(self, batch_id: str) -> AsyncIterator[tuple[str, Completion | StillhouseError]]:
                async for custom_id, result in super().results(batch_id):
                    for each in (failed, result) if first else (result, failed):
                        yield custom_id, each

        async def main() -> Answer:
            async with house.desk() as desk:
                answer = await house.ask(desk, request("a"))
                await asyncio.sleep(60)  # the note may be written later
                return answer

        house.teacher = Twice()
        assert texts([run(main())]) == ["a #0"]
        assert (len(house.teacher.batches), len(house.billed)) == (1, 1)
        (note,) = house.intents.all()
        assert len(note.items) == 1

    def test_results_that_stay_away(self, house: House):
        """Where some never come, the rest is delivered, and the run ends with a line that says how to buy those again."""
        house.teacher.torn = 1_000
        house.options = {"retry": RetryOptions()}
        first, second = run(house.ask_all([request("a"), request("b")]))
        assert isinstance(first, Answer)
        assert isinstance(second, TeacherDown)
        (note,) = house.intents.all()
        assert f"1 of 2 results could be fetched; where it stays so, remove {house.intents.path(note.key)}" in str(second)

    def test_results_that_are_gone(self, house: House):
        """Where a provider has a batch and its results no more, that names the note, as what is bought again is the user's to say."""

        class Emptied(FakeBatchTeacher):
            async def results(self, batch_id: str) -> AsyncIterator[tuple[str, Completion | StillhouseError]]:
                raise SetupError("has its results no more")
                yield

        house.teacher = Emptied()
        (answer,) = run(house.ask_all([request("a")]))
        assert isinstance(answer, SetupError)
        (note,) = house.intents.all()
        assert f"{house.intents.path(note.key)}: " in str(answer)
        assert "remove this file to buy its samples again" in str(answer)

    def test_what_is_shown(self, house: House):
        """Each batch has a line with its state and counts while it is waited for; a new state is said once."""
        seen: list[str] = []

        class Watched(FakeBatchTeacher):
            async def poll(self, batch_id: str) -> Any:
                state = await super().poll(batch_id)
                seen.extend(house.board.values())
                return state

        house.teacher = Watched(polls=4)
        run(house.ask_all([request("a"), request("b")]))
        assert "teacher 'smol': batch batch-0: in progress 0/2" in seen
        assert house.board == {}
        assert len([line for line in house.said if "in progress" in line]) == 1
