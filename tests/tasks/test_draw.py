"""Draw: from missing slots to samples that are on disk."""

from __future__ import annotations

import asyncio
import json
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import (
    BadResponse,
    BudgetSpent,
    Interrupted,
    RequestRejected,
    SetupError,
    StorageError,
    TeacherDown,
    Unavailable,
    Unreachable,
    UserError,
)
from storage.identity import sample_id
from storage.records import Message, Sample
from storage.waste import Waste
from tasks.asking.ask import Desk
from tasks.draw import Budget, Draw, Drawn, Question, _chunks
from tasks.stop import Stop
from tasks.teachers.protocol import Choice, Completion, Request, Usage
from tasks.teachers.sampling import SamplingOptions
from tests.fakes import FakeJournal, FakeTeacher, completion, echo, make_desk, make_logprobs, make_options, user

PRICE = {"input": 1_000_000, "output": 1_000_000}
"""A USD a token."""


class Till:
    """A draw with all that it needs."""

    def __init__(
        self,
        answer: Callable[[Request], Completion] = echo,
        *,
        usd: float | None = None,
        spent: float = 0.0,
        sampling: Any = None,
        messages: tuple[Message, ...] = user("Hi"),
        **options: Any,
    ) -> None:
        """Ask a teacher that answers by a function."""
        self.teacher = FakeTeacher(answer=answer)
        self.stop = Stop()
        self.journal = FakeJournal()
        self.budget = Budget(usd, spent=spent)
        self.draw = Draw(sampling=SamplingOptions(**(sampling or {})), journal=self.journal, budget=self.budget, stop=self.stop)
        desk = make_desk(make_options(**options), self.teacher, self.stop)
        self.question = Question(prompt_id="p", desk=desk, messages=messages, key="key")

    async def ask(self, indices: Sequence[int] = (0,), drawn: Drawn | None = None) -> Drawn:
        """Draw."""
        return await self.draw.draw(self.question, indices, drawn)


class TestSample:
    """What a sample says."""

    async def test_everything(self):
        """A sample holds what was asked, what came and what it cost."""
        choice = Choice(response="4", reasoning="two", finish_reason="length")
        messages = (Message(role="system", content="Be brief."), *user("2 + 2?"))
        till = Till(
            lambda request: completion(choice, tokens_in=3, tokens_out=5, tokens_reasoning=2),
            messages=messages,
            sampling={"temperature": 0.5, "seed": 40},
            price={"input": 1, "output": 2},
        )
        sample = (await till.ask([2]))[2]
        assert isinstance(sample, Sample)
        assert (sample.sample_id, sample.prompt_id, sample.sample_index) == (sample_id("key", 2), "p", 2)
        assert (sample.teacher, sample.provider, sample.model) == ("smol", "fake", "fake-1")
        assert (sample.messages, sample.system) == (messages, "Be brief.")
        assert (sample.response, sample.reasoning, sample.finish_reason) == ("4", "two", "length")
        assert (sample.tokens_in, sample.tokens_out, sample.tokens_reasoning) == (3, 5, 2)
        assert sample.cost_usd == pytest.approx(13e-6)
        assert (sample.temperature, sample.seed, sample.attempts) == (0.5, 42, 1)

    @pytest.mark.parametrize(("said", "revision"), [(None, "served"), ("stated", "stated")])
    async def test_revision(self, said: str | None, revision: str):
        """Which revision answered is what the spec says, and else what the teacher found."""
        sample = (await Till(lambda request: completion("4", revision="served"), revision=said).ask())[0]
        assert isinstance(sample, Sample)
        assert sample.revision == revision

    async def test_unknown_price(self):
        """Without a price the cost is unknown, and not 0."""
        sample = (await Till().ask())[0]
        assert isinstance(sample, Sample)
        assert sample.cost_usd is None

    async def test_attempts(self):
        """Failed attempts are counted."""
        errors = [Unavailable("503"), BadResponse("?")]

        def answer(request: Request) -> Completion:
            if errors:
                raise errors.pop()
            return echo(request)

        sample = (await Till(answer).ask())[0]
        assert isinstance(sample, Sample)
        assert sample.attempts == 3

    async def test_distributions(self):
        """They are asked for, journaled, and let go: whoever judges the sample has no use for them."""
        logprobs = make_logprobs(b"4")
        till = Till(lambda request: completion(Choice(response="4", logprobs=logprobs)), sampling={"logprobs": 5})
        drawn = await till.ask()
        assert till.teacher.requests[0].parameters == {"logprobs": True, "top_logprobs": 5}
        assert [sample.logprobs for sample in till.journal.samples] == [logprobs]
        assert [sample.logprobs for sample in drawn.values() if isinstance(sample, Sample)] == [None]

    async def test_no_distributions(self):
        """A teacher that gives none stops the run with a line that names it, and what was billed is known."""
        till = Till(sampling={"logprobs": 5}, price=PRICE)
        assert await till.ask([0, 1]) == {}
        with pytest.raises(SetupError, match=r"^teacher 'smol': sampling\.logprobs: "):
            till.stop.check()
        assert till.budget.spent > 0


class TestRequests:
    """How slots become requests."""

    @pytest.mark.parametrize(
        ("indices", "width", "expected"),
        [
            ([0], 1, [[0]]),
            ([0, 1, 2], 1, [[0], [1], [2]]),
            ([0, 1, 2, 3, 4], 2, [[0, 1], [2, 3], [4]]),
            ([0, 1, 2], 9, [[0, 1, 2]]),
            ([0, 2, 3, 7], 4, [[0], [2, 3], [7]]),
            ([], 4, []),
        ],
        ids=str,
    )
    def test_chunks(self, indices: list[int], width: int, expected: list[list[int]]):
        """A request asks for consecutive indices, no more than it may."""
        assert _chunks(indices, width) == expected

    async def test_several(self):
        """Samples of one request have their own indices."""
        till = Till(samples_per_request=4)
        drawn = await till.ask([3, 1, 2, 0])
        assert [request.n for request in till.teacher.requests] == [4]
        assert {index: sample.response for index, sample in drawn.items() if isinstance(sample, Sample)} == {
            n: f"Hi #{n}" for n in range(4)
        }

    async def test_seeds(self):
        """The i-th sample is asked for with seed + i; without a seed none is sent."""
        till = Till(sampling={"seed": 100}, samples_per_request=2)
        await till.ask(range(4))
        assert sorted(request.parameters["seed"] for request in till.teacher.requests) == [100, 102]
        unseeded = Till()
        await unseeded.ask()
        assert "seed" not in unseeded.teacher.requests[0].parameters

    @pytest.mark.parametrize("gives", [1, 2, 3])
    async def test_fewer_than_asked_for(self, gives: int):
        """What a server leaves out is asked for again, from there on."""
        till = Till(
            lambda request: completion(*(f"#{request.sample_index + n}" for n in range(min(gives, request.n)))),
            samples_per_request=7,
        )
        drawn = await till.ask(range(7))
        assert [sample.response for sample in drawn.values() if isinstance(sample, Sample)] == [f"#{n}" for n in range(7)]
        assert sum(min(gives, request.n) for request in till.teacher.requests) == 7

    async def test_empty_among_several(self):
        """An empty choice among others is asked for again, and the others are kept."""
        answers = iter([completion("a", "", "b"), completion("c")])
        till = Till(lambda request: next(answers), samples_per_request=3)
        drawn = await till.ask(range(3))
        assert [sample.response for sample in drawn.values() if isinstance(sample, Sample)] == ["a", "b", "c"]
        assert [request.sample_index for request in till.teacher.requests] == [0, 2]

    @pytest.mark.parametrize("fails", [False, True])
    async def test_a_slow_disk(self, fails: bool):
        """Until its samples are on disk a request is in flight: a kill never costs more than may be."""
        on_the_way = []

        class SlowJournal(FakeJournal):
            async def append(self, samples: list[Sample], **how: Any) -> None:
                for _ in range(9):
                    on_the_way.append(len(till.teacher.requests) - len(self.samples))
                    await asyncio.sleep(0)
                await super().append(samples, **how)

        till = Till(limits={"concurrency": 3})
        till.draw.journal = till.journal = SlowJournal(refuse=StorageError("no space") if fails else None)
        drawn = await till.ask(range(12))
        assert max(on_the_way) == 3
        assert len(drawn) == len(till.teacher.requests) == len(till.journal.samples) == 12 or fails


class TestShares:
    """One bill, several samples."""

    @given(
        st.lists(st.text(min_size=1, max_size=30).filter(str.strip), min_size=1, max_size=8),
        st.integers(0, 9_999),
        st.integers(0, 9_999),
    )
    def test_bill(self, texts: list[str], tokens_in: int, tokens_out: int):
        """Whatever choices a request has, its samples' tokens and cost sum to the request's."""

        async def main() -> tuple[Till, Drawn]:
            reply = completion(*texts, tokens_in=tokens_in, tokens_out=tokens_out)
            till = Till(lambda request: reply, samples_per_request=8, price=PRICE)
            return till, await till.ask(range(len(texts)))

        till, drawn = asyncio.run(main())
        samples = [sample for sample in drawn.values() if isinstance(sample, Sample)]
        assert len(samples) == len(texts)
        assert sum(sample.tokens_in for sample in samples) == tokens_in
        assert sum(sample.tokens_out for sample in samples) == tokens_out
        assert sum(sample.cost_usd or 0 for sample in samples) == tokens_in + tokens_out
        spending = till.draw.spending
        assert (spending.paid, spending.tokens_in, spending.tokens_out) == (len(texts), tokens_in, tokens_out)
        assert spending.cost_usd == till.budget.spent == tokens_in + tokens_out


class TestFailures:
    """What doesn't come."""

    async def test_disturbs_no_neighbour(self):
        """A request that fails is the outcome of its slots, and of no others."""

        def answer(request: Request) -> Completion:
            if request.sample_index == 2:
                raise RequestRejected("400 too long")
            return echo(request)

        till = Till(answer, samples_per_request=2)
        drawn = await till.ask(range(6))
        assert {index: type(result) for index, result in drawn.items()} == {
            n: RequestRejected if n in {2, 3} else Sample for n in range(6)
        }
        assert not till.stop

    @pytest.mark.parametrize(
        ("error", "expected"),
        [(Unreachable("refused"), TeacherDown), (SetupError("401"), SetupError), (StorageError("full"), StorageError)],
        ids=["down", "refused", "disk"],
    )
    async def test_stops(self, error: Exception, expected: type[UserError]):
        """A teacher that is down, or refuses the key, stops the run and is no slot's outcome."""

        def answer(request: Request) -> Completion:
            raise error

        till = Till(answer)
        assert await till.ask() == {}
        assert type(till.stop.reason) is expected
        assert "teacher 'smol'" in str(till.stop.reason)

    async def test_samples_in_hand_are_kept(self):
        """What had come when a teacher went down is returned."""

        def answer(request: Request) -> Completion:
            if request.sample_index >= 2:
                raise SetupError("401")
            return echo(request)

        till = Till(answer, limits={"concurrency": 1})
        drawn = await till.ask(range(5))
        assert sorted(drawn) == [0, 1]
        assert len(till.journal.samples) == till.draw.spending.paid == 2

    async def test_interrupted(self):
        """What is withheld when a run is interrupted is nobody's outcome, and the reason stays; with or without a budget."""
        for usd in (None, 5.0):
            till = Till(usd=usd, price=PRICE)
            till.stop.set(Interrupted("SIGINT"))
            assert await till.ask(range(3)) == {}
            assert isinstance(till.stop.reason, Interrupted)
            assert till.teacher.requests == []

    async def test_full_disk(self):
        """Where the journal refuses, the run stops: asking on would buy what can't be kept."""
        till = Till(limits={"concurrency": 1})
        till.journal.refuse = StorageError("No space left on device")
        assert await till.ask(range(5)) == {}
        assert isinstance(till.stop.reason, StorageError)
        assert till.draw.spending.paid == 0
        assert len(till.teacher.requests) == 1

    async def test_what_was_bought_before_a_defect(self):
        """Where something raises that nobody expected, the caller has what was bought by then."""

        def answer(request: Request) -> Completion:
            if request.sample_index == 3:
                raise ZeroDivisionError
            return echo(request)

        till = Till(answer, limits={"concurrency": 1})
        drawn: Drawn = {}
        with pytest.raises(ExceptionGroup):
            await till.ask(range(5), drawn)
        assert sorted(drawn) == [0, 1, 2]
        assert len(till.journal.samples) == till.draw.spending.paid == 3


class TestBudget:
    """When to stop spending."""

    async def test_spent(self):
        """Once the budget is spent nothing more is sent; what was in flight is kept."""
        till = Till(usd=55.0, price=PRICE, limits={"concurrency": 1})
        drawn = await till.ask(range(9))
        assert sorted(drawn) == [0, 1, 2]
        assert till.budget.spent == 60.0
        assert isinstance(till.stop.reason, BudgetSpent)
        assert str(till.stop.reason).startswith("budget.usd: 60.0000 of 55 USD are spent")

    async def test_in_flight(self):
        """The error names what is spent when it is shown: what was in flight when the budget ran out came later."""
        till = Till(usd=55.0, spent=55.0, price=PRICE)
        await till.ask()
        till.draw.spending.bill(Usage(tokens_in=1_000_000, tokens_out=0), make_options(price=PRICE), till.budget)
        assert till.budget.spent > 55.0
        assert f"{till.budget.spent:.4f} of 55 USD are spent" in str(till.stop.reason)
        assert str(pickle.loads(pickle.dumps(till.stop.reason))) == str(till.stop.reason)

    async def test_a_control_in_the_end(self, tmp_path: Path):
        """What a control costs that is asked when all else is done is known to later runs as well."""

        def answer(request: Request) -> Completion:
            if request.prompt_id == "control":
                return completion("7", tokens_in=5, tokens_out=1)
            raise Unavailable("500")

        till = Till(answer, price=PRICE, retry={"attempts": 1})
        with Waste(tmp_path, run="r") as waste:
            till.draw.waste = waste
            await till.ask()
            assert isinstance(till.question.desk, Desk)
            await till.question.desk.conclude()
        (noted,) = (json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines())
        assert (noted["sample_id"], noted["cost_usd"], till.budget.spent) == (sample_id("key", 0), 6, 6)

    async def test_spent_by_earlier_runs(self):
        """What earlier runs spent counts."""
        till = Till(usd=55.0, spent=55.0, price=PRICE)
        assert await till.ask() == {}
        assert till.teacher.requests == []
        assert isinstance(till.stop.reason, BudgetSpent)

    async def test_enough(self):
        """A budget that suffices stops nothing."""
        till = Till(usd=1_000.0, price=PRICE)
        assert len(await till.ask(range(9))) == 9
        assert not till.stop
