"""What fails in a batch, and a batch that fails. In virtual time, with a fake provider."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from storage.errors import (
    BadResponse,
    EmptyResponse,
    RateLimited,
    RequestRejected,
    SetupError,
    StorageError,
    TeacherDown,
    TeacherError,
    Unavailable,
    UserError,
)
from tasks.asking.ask import Answer
from tasks.teachers.protocol import BrokenOff, Completion, Malformed, Request, Usage
from tests.fakes import FakeBatchTeacher, completion
from tests.tasks.batches.house import PRICE, House, failing, request, run, texts


class TestErrors:
    """What fails alone, and what fails for all."""

    @pytest.mark.parametrize("error", [Unavailable("expired"), RateLimited("429"), BadResponse("?"), completion("")], ids=repr)
    def test_passing_trouble(self, house: House, error: TeacherError | Completion):
        """What may pass, an empty response included, is asked again in a later batch."""
        house.teacher.answer = failing(error)
        answers = run(house.ask_all([request(text) for text in "abc"]))
        assert texts(answers) == ["a #0", "b #0", "c #0"]
        assert [len(batch.requests) for batch in house.teacher.batches.values()] == [3, 1]
        assert [answer.attempts for answer in answers] == [1, 2, 1]
        assert len(house.billed) == 3 + isinstance(error, Completion)

    @pytest.mark.parametrize("kind", [BrokenOff, Malformed])
    def test_billed_in_vain(self, house: House, kind: type[BrokenOff | Malformed]):
        """What is no answer and says what it used is billed, once, to the sample that was asked for."""
        house.teacher.answer = failing(kind("?", usage=Usage(tokens_out=9)))
        answers = run(house.ask_all([request(text) for text in "abb"]))
        assert texts(answers) == ["a #0", "b #0", "b #0"]
        assert [usage.tokens_out for usage in house.billed].count(9) == 1
        assert len(house.billed) == 3
        assert sorted(len(answer.wasted) for answer in answers) == [0, 0, 1]

    def test_to_the_end(self, house: House):
        """After `retry.attempts` batches the error stands, for its own slot alone."""
        house.teacher.answer = failing(*[Unavailable("expired")] * 9)
        first, second = run(house.ask_all([request("a"), request("b")]))
        assert isinstance(first, Answer)
        assert isinstance(second, Unavailable)
        assert (second.attempts, len(house.teacher.batches)) == (3, 3)

    @pytest.mark.parametrize("known", [False, True])
    @pytest.mark.parametrize(
        ("given", "kind", "batches"),
        [(EmptyResponse("nothing"), TeacherDown, 3), (RequestRejected("400"), SetupError, 1)],
        ids=str,
    )
    def test_never_of_use(self, house: House, given: TeacherError, kind: type[UserError], batches: int, known: bool):
        """Where nothing that it ever answered was of use, no second batch is sent to find the same, and the run says so.

        `batches`: those in which a teacher that has answered before is asked.
        """

        def answer(_: Request) -> Completion:
            raise given

        house.teacher.answer = answer

        async def main() -> tuple[list[Any], UserError | None]:
            async with house.desk() as desk:
                desk.known = known
                found = await asyncio.gather(*(house.ask(desk, request(name)) for name in "abc"), return_exceptions=True)
                try:
                    await desk.conclude()
                except UserError as error:
                    return found, error
                return found, None

        found, ended = run(main())
        assert type(ended) is (type(None) if known else kind)
        assert {type(error) for error in found} <= {EmptyResponse, RequestRejected, TeacherDown}
        assert len(house.teacher.batches) == (batches if known else 1)

    def test_rejected(self, house: House):
        """A request that is at fault isn't sent again."""
        house.teacher.answer = failing(RequestRejected("400 too long"))
        first, second = run(house.ask_all([request("a"), request("b")]))
        assert isinstance(first, Answer)
        assert isinstance(second, RequestRejected)
        assert len(house.teacher.batches) == 1

    def test_what_failed_is_struck_out(self, house: House):
        """A request without an answer isn't waited for by a later run: it is asked again."""
        house.teacher.answer = failing(RequestRejected("400"))
        run(house.ask_all([request("a"), request("b")]))
        texts(run(house.ask_all([request("b")])))
        assert house.teacher.asked == [("a", 0), ("b", 0), ("b", 0)]

    @pytest.mark.parametrize("error", [SetupError("401"), RequestRejected("400")], ids=repr)
    def test_a_refused_submission(self, house: House, error: Exception):
        """A batch that the provider refuses is one line for the user, to everybody; nothing is noted of it."""
        house.teacher.submitting = [(error, False)]
        answers = run(house.ask_all([request("a"), request("b")]))
        assert all(isinstance(answer, SetupError) for answer in answers)
        assert house.intents.all() == []

    def test_a_refused_batch(self, house: House):
        """A batch that fails validation is one line for the user, and nothing is noted of it."""
        house.teacher.refused = {"batch-0": SetupError("line 3: no such model")}
        answers = run(house.ask_all([request("a"), request("b")]))
        assert {str(answer) for answer in answers} == {"line 3: no such model"}
        assert house.intents.all() == []

    def test_refused_for_now(self, house: House):
        """A batch that is refused because others are under way is sent again, after a while, and costs no attempt."""
        house.teacher.refused = {f"batch-{n}": RateLimited("too much enqueued") for n in range(5)}
        answers = run(house.ask_all([request("a")]))
        assert answers[0].attempts == 1
        assert len(house.teacher.batches) == 6
        assert len({batch.key for batch in house.teacher.batches.values()}) == 6
        assert len(house.intents.all()) == 1

    def test_too_large_by_itself(self, house: House):
        """A batch that is refused while nothing else of ours is under way is sent in halves, and none is larger after that."""

        class Small(FakeBatchTeacher):
            async def poll(self, batch_id: str) -> Any:
                if len(self.batches[batch_id].requests) > 3:
                    self.refused[batch_id] = RateLimited("token_limit_exceeded")
                return await super().poll(batch_id)

        house.teacher = Small(polls=1)
        assert len(texts(run(house.ask_all([request(f"p{n}") for n in range(20)])))) == 20
        sizes = [len(batch.requests) for batch in house.teacher.batches.values()]
        assert sizes[:2] == [20, 10]
        assert len(sizes) < 60
        taken = [one for name, one in house.teacher.batches.items() if name not in house.teacher.refused]
        assert sum(len(batch.requests) for batch in taken) == 20
        assert house.budget.reserved == pytest.approx(0)

    def test_too_large_for_now(self, house: House):
        """A batch that is refused while another one of ours is under way stays whole."""

        class Crowded(FakeBatchTeacher):
            async def poll(self, batch_id: str) -> Any:
                if batch_id != "batch-0" and self.batches["batch-0"].polls < self.polls:
                    self.refused[batch_id] = RateLimited("token_limit_exceeded")
                return await super().poll(batch_id)

        house.teacher = Crowded(polls=10)
        house.options = {"batch": {"requests": 4, "linger_s": 5}}
        assert len(texts(run(house.ask_all([request(f"p{n}") for n in range(8)])))) == 8
        sizes = [len(batch.requests) for batch in house.teacher.batches.values()]
        assert len(sizes) > 2
        assert set(sizes) == {4}

    def test_a_defect_that_cannot_be_copied(self, house: House):
        """An error that can't be copied is raised all the same."""

        class Odd(Exception):
            def __reduce__(self) -> Any:
                raise TypeError

        house.teacher.trouble = [Odd()]
        (answer,) = run(house.ask_all([request("a")]))
        assert isinstance(answer, Odd)

    def test_what_was_wasted(self, house: House):
        """What an empty answer was billed for is told with the answer that came for it."""
        house.teacher.answer = failing(completion("", tokens_in=3, tokens_out=4))
        first, second = run(house.ask_all([request("a"), request("b")]))
        assert first.wasted == ()
        assert second.wasted == (Usage(tokens_in=3, tokens_out=4),)

    def test_a_defect(self, house: House):
        """What isn't a teacher's error is a defect, and is raised where the answer is waited for."""
        house.teacher.trouble = [ZeroDivisionError()]
        (answer,) = run(house.ask_all([request("a")]))
        assert isinstance(answer, ZeroDivisionError)

    def test_a_full_disk(self, house: House):
        """Where a batch can't be noted, it isn't sent, and nothing is reserved for it."""
        house.options["price"] = PRICE
        house.folder.write_text("in the way")
        (answer,) = run(house.ask_all([request("a")]))
        assert isinstance(answer, StorageError)
        assert house.teacher.batches == {}
        assert house.budget.reserved == pytest.approx(0)
