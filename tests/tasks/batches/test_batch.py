"""Asking through batches: gathered, noted, sent once, waited for and fetched. In virtual time, with a fake provider."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from storage.errors import (
    BadResponse,
    EmptyResponse,
    Interrupted,
    Overloaded,
    RateLimited,
    RequestRejected,
    SetupError,
    StillhouseError,
    StorageError,
    TeacherDown,
    TeacherError,
    Unavailable,
    UserError,
    Withheld,
)
from storage.intents import Intent, Intents, Item, new
from tasks.asking.ask import Answer
from tasks.batches.batch import BatchDesk
from tasks.draw import Budget
from tasks.stop import Stop
from tasks.teachers.batches import lines
from tasks.teachers.options import PriceOptions, RetryOptions
from tasks.teachers.protocol import Choice, Completion, Request, Usage
from tests.fakes import FakeBatchTeacher, completion, echo, in_virtual_time, make_options, make_request

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

        return await desk.ask(one, may_send=lambda: self.budget.left, billed=bill)

    async def ask_all(self, requests: Iterable[Request]) -> list[Answer | BaseException]:
        """Ask side by side in a run of its own, and return what came."""
        async with self.desk() as desk:
            return await asyncio.gather(*(self.ask(desk, one) for one in requests), return_exceptions=True)


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Return a house with a provider that answers all."""
    return House(folder=tmp_path / "batches", teacher=FakeBatchTeacher())


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


class TestGathering:
    """What becomes one batch."""

    def test_one_batch(self, house: House):
        """What is asked side by side is sent as one batch, and everybody gets the own answer, billed once."""
        answers = run(house.ask_all([request("a"), request("a", 1), request("b", n=2)]))
        assert texts(answers) == ["a #0", "a #1", "b #0"]
        assert [len(batch.requests) for batch in house.teacher.batches.values()] == [3]
        assert len(house.billed) == 3
        assert all(custom_id.startswith(f"{b.key}-") for b in house.teacher.batches.values() for custom_id in b.requests)
        assert all(len(custom_id) <= 64 for batch in house.teacher.batches.values() for custom_id in batch.requests)

    def test_full(self, house: House):
        """A batch that is full is sent at once, and the rest when nothing more comes."""
        house.options = {"batch": {"requests": 2, "linger_s": 5}}
        texts(run(house.ask_all([request(text) for text in "abcde"])))
        assert [len(batch.requests) for batch in house.teacher.batches.values()] == [2, 2, 1]

    def test_the_providers_limits(self, house: House):
        """No batch is larger than the provider takes, in requests and in bytes."""
        house.teacher = FakeBatchTeacher(most_requests=3, most_bytes=20)
        texts(run(house.ask_all([request("x" * 9 + text) for text in "abcde"])))
        assert [len(batch.requests) for batch in house.teacher.batches.values()] == [2, 2, 1]

    def test_lingers(self, house: House):
        """Whoever comes before the time is over is in the same batch."""

        async def main() -> None:
            async with house.desk() as desk:
                first = asyncio.create_task(house.ask(desk, request("a")))
                await asyncio.sleep(4)
                second = asyncio.create_task(house.ask(desk, request("b")))
                await asyncio.sleep(4)
                assert house.teacher.batches == {}
                await asyncio.gather(first, second)

        run(main())
        assert len(house.teacher.batches) == 1

    def test_who_is_gone_is_not_sent(self, house: House):
        """A request whose caller was cancelled before its batch was sent is not bought."""

        async def main() -> None:
            async with house.desk() as desk:
                gone = asyncio.create_task(house.ask(desk, request("a")))
                await asyncio.sleep(1)
                gone.cancel()
                await house.ask(desk, request("b"))

        run(main())
        assert house.teacher.asked == [("b", 0)]

    def test_no_judge(self, house: House):
        """Only samples can be found again by their address: anything else is refused."""
        (answer,) = run(house.ask_all([make_request("judge")]))
        assert isinstance(answer, RequestRejected)

    def test_a_refusal_is_an_answer(self, house: House):
        """A refusal without a text is a sample, as it is where it is asked for alone: it isn't bought again."""
        house.teacher.answer = lambda one: completion(Choice(response="", finish_reason="refusal"), tokens_in=-5)
        (answer,) = run(house.ask_all([request("a")]))
        assert answer.completion.choices[0].finish_reason == "refusal"
        assert answer.completion.tokens_in == 1  # by its length: the count can't be
        assert len(house.teacher.batches) == 1

    def test_a_prompt_that_is_not_counted(self, house: House):
        """Where a file of results doesn't count a prompt, it is billed by its length."""
        house.teacher.answer = lambda one: completion("4", tokens_in=0, tokens_out=3)
        (answer,) = run(house.ask_all([request("What is 2 + 2?")]))
        assert (answer.completion.tokens_in, answer.completion.tokens_out) == (3, 3)

    def test_what_it_costs(self, house: House):
        """The price is what is paid through a batch."""
        house.options = {"price": PriceOptions(input=1, output=4, cached_input=0.5, batch_discount=0.25)}
        price = house.desk().options.price
        assert price is not None
        assert (price.input, price.output, price.cached_input, price.cache_write) == (0.75, 3.0, 0.375, None)


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
        """Where a batch can't be noted, it isn't sent."""
        house.folder.write_text("in the way")
        (answer,) = run(house.ask_all([request("a")]))
        assert isinstance(answer, StorageError)
        assert house.teacher.batches == {}


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


def noted(requests: Iterable[Request], *, batch_id: str | None, key: str = "k") -> Intent:
    """Return the note of an earlier run's batch."""
    items = [Item(one.key, one.sample_index, one.n) for one in requests]
    made = new(key=key, teacher="smol", provider="fake-batch", model="fake-1", items=items)
    return Intent(**({name: getattr(made, name) for name in made.__slots__} | {"batch_id": batch_id}))


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


class TestSeveralSamples:
    """Requests for several samples, of which an open batch has some: each sample is bought once."""

    def open(self, house: House, index: int, n: int) -> None:
        """Leave a batch of an earlier run behind, with so many samples of one prompt."""
        one = request("p", index, n=n)
        intent = noted([one], batch_id=f"batch-{len(house.teacher.batches)}", key=f"k{index}")
        house.intents.write(intent)
        run(house.teacher.submit({f"k{index}-{intent.items[0].ids[0]}": one}, key=intent.key))

    def ask(self, house: House, index: int, n: int) -> list[str]:
        """Ask for samples as `Draw` does, until there are all, and return their texts."""

        async def main() -> list[str]:
            come: list[str] = []
            async with house.desk() as desk:
                while len(come) < n:
                    answer = await house.ask(desk, request("p", index + len(come), n=n - len(come)))
                    come += [choice.response for choice in answer.completion.choices]
            return come

        return run(main())

    def bought(self, house: House) -> list[tuple[int, int]]:
        """Return first index and number of each request that was ever sent."""
        return [(one.sample_index, one.n) for batch in house.teacher.batches.values() for one in batch.requests.values()]

    def test_more_are_wanted(self, house: House):
        """Where k was raised while a batch is open, only what it lacks is bought."""
        self.open(house, 0, 4)
        assert self.ask(house, 0, 6) == [f"p #{n}" for n in range(6)]
        assert self.bought(house) == [(0, 4), (4, 2)]

    def test_the_last_ones_are_wanted(self, house: House):
        """Where the first samples came from elsewhere meanwhile, the others are taken from the batch, and billed alone."""
        self.open(house, 0, 4)
        assert self.ask(house, 2, 2) == ["p #2", "p #3"]
        assert self.bought(house) == [(0, 4)]
        assert [usage.tokens_out for usage in house.billed] == [20]

    def test_fewer_and_then_all(self, house: House):
        """Each part of an answer is billed once, to whoever takes it."""
        self.open(house, 0, 4)
        assert self.ask(house, 0, 2) == ["p #0", "p #1"]
        assert self.ask(house, 2, 2) == ["p #2", "p #3"]
        assert self.bought(house) == [(0, 4)]
        assert [usage.tokens_out for usage in house.billed] == [20, 20]

    def test_a_batch_in_the_middle(self, house: House):
        """What lies before an open batch's samples and after them is bought, and they are not."""
        self.open(house, 2, 2)
        assert self.ask(house, 0, 6) == [f"p #{n}" for n in range(6)]
        assert self.bought(house) == [(2, 2), (0, 2), (4, 2)]

    def test_several_batches(self, house: House):
        """Samples of several open batches are all waited for."""
        self.open(house, 0, 2)
        self.open(house, 2, 3)
        assert self.ask(house, 0, 5) == [f"p #{n}" for n in range(5)]
        assert self.bought(house) == [(0, 2), (2, 3)]

    def test_two_callers(self, house: House):
        """Two who want different samples of one request both get theirs, from one download."""
        self.open(house, 0, 4)
        first, last = run(house.ask_all([request("p"), request("p", 3)]))
        assert texts([first, last]) == ["p #0", "p #3"]
        assert [usage.tokens_out for usage in house.billed] == [10, 10]
        assert (self.bought(house), house.teacher.read) == ([(0, 4)], 1)

    def test_fewer_came(self, house: House):
        """What a request didn't give, though it was asked for, is bought; a later run knows that."""
        house.teacher.answer = lambda one: completion(*(f"#{one.sample_index + n}" for n in range(min(one.n, 3))))
        self.open(house, 0, 4)
        assert self.ask(house, 0, 4) == ["#0", "#1", "#2", "#3"]
        assert self.bought(house) == [(0, 4), (3, 1)]
        assert [item[1:] for intent in house.intents.all() for item in intent.items] == [(0, 3), (3, 1)]
        assert self.ask(house, 3, 1) == ["#3"]
        assert len(house.teacher.batches) == 2

    def test_a_later_one_did_not_come(self, house: House):
        """So is what an open batch was taken to have, and doesn't."""
        house.teacher.answer = lambda one: completion(*(f"#{one.sample_index + n}" for n in range(min(one.n, 3))))
        self.open(house, 0, 4)
        assert self.ask(house, 3, 1) == ["#3"]
        assert self.bought(house) == [(0, 4), (3, 1)]

    def test_nothing_of_it_was_begun(self, house: House):
        """Where an earlier run's batch was refused, what is wanted of it is bought, and no more."""
        self.open(house, 0, 4)
        house.teacher.refused = {"batch-0": RateLimited("too much enqueued")}
        assert self.ask(house, 2, 2) == ["p #2", "p #3"]
        assert self.bought(house) == [(0, 4), (2, 2)]


class TestBudget:
    """A batch is under way as a whole."""

    def test_no_more_than_is_left(self, house: House):
        """A batch is as large as what is left allows, at the most that its requests may cost."""
        house.usd, house.budget = 50.0, Budget(50.0)
        house.options = {"price": PRICE}
        house.teacher.answer = lambda one: completion(one.prompt_id, tokens_out=10)
        requests = [request(text, parameters={"max_tokens": 20}) for text in "abcdefgh"]
        answers = run(house.ask_all(requests))
        sizes = [len(batch.requests) for batch in house.teacher.batches.values()]
        assert sizes[0] == 2  # at most 20 USD each
        assert house.budget.spent == pytest.approx(50)
        assert sum(sizes) == 5 == sum(isinstance(answer, Answer) for answer in answers)
        assert sum(isinstance(answer, Withheld) for answer in answers) == 3
        assert house.budget.reserved == pytest.approx(0)

    def test_learns(self, house: House):
        """Later batches are sized by what such requests cost so far."""
        house.budget = Budget(100.0)
        house.options = {"price": PRICE}
        house.teacher.answer = lambda one: completion(one.prompt_id, tokens_out=10)
        texts(run(house.ask_all([request(text, parameters={"max_tokens": 50}) for text in "abcdefgh"])))
        sizes = [len(batch.requests) for batch in house.teacher.batches.values()]
        assert sizes[0] == 2
        assert max(sizes) >= 4
        assert len(sizes) <= 3

    def test_one_always_goes(self, house: House):
        """A request that may cost more than is left goes alone, since it rarely does."""
        house.budget = Budget(1.0)
        house.options = {"price": PRICE}
        house.teacher.answer = lambda one: completion(one.prompt_id, tokens_out=1)
        first, second = run(house.ask_all([request(text, parameters={"max_tokens": 9}) for text in "ab"]))
        assert isinstance(first, Answer)
        assert isinstance(second, Withheld)

    def test_what_an_earlier_run_sent(self, house: House):
        """A batch that is taken up is counted on before its answers come: it isn't overspent meanwhile."""
        house.options = {"price": PRICE, "batch": {"linger_s": 5, "requests": 1}}
        house.teacher.answer = lambda one: completion(one.prompt_id, tokens_out=10)
        one = request("a", parameters={"max_tokens": 10})
        run(house.ask_all([one]))
        house.budget = Budget(10.0)
        first, second = run(house.ask_all([one, request("b", parameters={"max_tokens": 10})]))
        assert isinstance(first, Answer)
        assert isinstance(second, Withheld)
        assert len(house.teacher.batches) == 1


class TestStop:
    """Whoever waits is let go."""

    def test_before_it_is_sent(self, house: House):
        """What is still being gathered is not sent."""

        async def main() -> Answer | BaseException:
            async with house.desk() as desk:
                asking = asyncio.create_task(house.ask(desk, request("a")))
                await asyncio.sleep(1)
                house.stop.set(Interrupted("SIGINT"))
                return (await asyncio.gather(asking, return_exceptions=True))[0]

        assert isinstance(run(main()), Withheld)
        assert house.teacher.batches == {}
        assert house.intents.all() == []

    def test_after(self, house: House):
        """Nothing is asked once the run has stopped."""
        house.stop.set(Interrupted("SIGINT"))
        (answer,) = run(house.ask_all([request("a")]))
        assert isinstance(answer, Withheld)

    def test_while_it_is_sent(self, house: House):
        """A submission under way gets a moment to become known."""

        class Slow(FakeBatchTeacher):
            async def submit(self, requests: Any, *, key: str) -> str:
                house.stop.set(Interrupted("SIGINT"))
                await asyncio.sleep(3)
                return await super().submit(requests, key=key)

        house.teacher = Slow()
        (answer,) = run(house.ask_all([request("a")]))
        assert isinstance(answer, Withheld)
        assert [intent.batch_id for intent in house.intents.all()] == ["batch-0"]

    def test_everybody_hears_the_same(self, house: House):
        """An error for all is an object of its own for each, since each is raised."""
        house.teacher.submitting = [(SetupError("401"), False)]
        first, second = run(house.ask_all([request("a"), request("b")]))
        assert isinstance(first, UserError)
        assert first is not second


async def test_lines():
    """Only a line feed ends a line: other separators may stand in a text."""

    async def chunks() -> Any:
        for chunk in (b'{"a": "x\xe2\x80\xa8', b'y"}\n\n{"b"', b": 1}\r\n", b"{}"):
            yield chunk

    assert [line async for line in lines(chunks())] == [b'{"a": "x\xe2\x80\xa8y"}', b'{"b": 1}', b"{}"]
