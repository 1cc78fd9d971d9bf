"""Asking through batches: gathered, sent, and what a budget and a stop do to them. In virtual time, with a fake provider."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from storage.errors import (
    Interrupted,
    RateLimited,
    RequestRejected,
    SetupError,
    UserError,
    Withheld,
)
from tasks.asking.ask import Answer
from tasks.draw import Budget
from tasks.teachers.batches import lines
from tasks.teachers.options import PriceOptions
from tasks.teachers.protocol import Choice
from tests.fakes import FakeBatchTeacher, completion, make_request
from tests.tasks.batches.house import PRICE, House, noted, request, run, texts


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
