"""Draw: from missing sample slots to samples that are on disk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from types import MappingProxyType
from typing import Any, Protocol

from storage.errors import BudgetSpent, QuotaSpent, SpecError, StorageError, TeacherError, UserError, Withheld
from storage.identity import sample_id
from storage.records import Message, Sample
from storage.waste import Note, Waste
from storage.wording import counted
from tasks.asking.ask import Answer
from tasks.asking.conditions import Conditions
from tasks.bill import Bill
from tasks.lapsed import Lapsed
from tasks.report import lost
from tasks.samples import samples_of
from tasks.stop import Stop
from tasks.teachers.options import TeacherOptions
from tasks.teachers.protocol import Request, Usage
from tasks.teachers.sampling import SamplingOptions

logger = logging.getLogger(__name__)


class Budget:
    """USD that a dataset may cost over all of its runs."""

    def __init__(self, usd: float | None, *, spent: float = 0.0) -> None:
        """Allow `usd`, or anything; `spent` is what the build's stored samples cost."""
        self.usd = usd
        """The most; None: no limit."""
        self.spent = spent
        """USD so far, earlier runs included."""
        self.reserved = 0.0
        """USD that batches under way may cost."""

    @property
    def left(self) -> bool:
        """Whether another request may be sent. What is in flight when it is spent may exceed it, and nothing else."""
        return self.usd is None or self.spent < self.usd

    def covers(self, usd: float) -> bool:
        """Whether so much more may be spent beside what is reserved."""
        return self.usd is None or self.spent + self.reserved + usd <= self.usd

    def exhausted(self) -> BudgetSpent:
        """Return the error that says so."""
        return _Exhausted(self)

    def __str__(self) -> str:
        return f"{self.spent:.4f} USD" if self.usd is None else f"{self.spent:.4f} of {self.usd:g} USD"


class _Exhausted(BudgetSpent):
    """Reads the budget when it is shown: what is in flight when it is raised is billed as well."""

    def __str__(self) -> str:
        return f"budget.usd: {self.args[0]} are spent; what was paid for is landed, and a rerun with a larger budget goes on"


@dataclass(slots=True)
class Spending:
    """What this run bought."""

    paid: int = 0
    """Samples."""
    cost_usd: float = 0.0
    """USD, as far as prices are known."""
    tokens_in: int = 0
    """Prompt tokens."""
    tokens_out: int = 0
    """Completion tokens."""
    unanswered: int = 0
    """Requests that were sent and saw no answer."""
    given_up: int = 0
    """Of these, such as were in flight when the run ended."""
    unanswered_usd: float = 0.0
    """USD that may have been billed for these, by estimate. The budget counts it, `cost_usd` has what was really billed."""
    by_teacher: dict[str, Spending] = field(default_factory=dict)
    """Of these, each teacher's."""

    def of(self, teacher: str) -> Spending:
        """Return what was bought of one teacher."""
        return self.by_teacher.setdefault(teacher, Spending())

    def count(self, **more: float) -> None:
        """Add to the sums, by their names, not to a teacher's."""
        for name, number in more.items():
            setattr(self, name, getattr(self, name) + number)

    def totals(self) -> dict[str, Any]:
        """Return the sums, without the teachers."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "by_teacher"}

    def line(self) -> str:
        """Return them as a line for a terminal."""
        tokens = f"{counted(self.tokens_in, 'token')} in, {self.tokens_out:,} out"
        more = f"; {lost(self.unanswered, self.given_up, self.unanswered_usd)}" if self.unanswered else ""
        return f"this run bought {counted(self.paid, 'sample')} for ${self.cost_usd:,.4f} ({tokens}){more}"

    def bill(self, usage: Usage, options: TeacherOptions, budget: Budget) -> float:
        """Count what a response costs as soon as it is there, since another may be sent next and must see it; return USD."""
        cost = options.price.cost(usage) if options.price else 0.0
        budget.spent += cost
        for each in (self, self.of(options.name)):
            each.count(cost_usd=cost, tokens_in=usage.tokens_in, tokens_out=usage.tokens_out)
        return cost

    def lose(self, usage: Usage, options: TeacherOptions, budget: Budget, *, given_up: bool) -> float:
        """Count a request that saw no answer, and what may have been billed for it; return USD."""
        cost = options.price.cost(usage) if options.price else 0.0
        budget.spent += cost
        for each in (self, self.of(options.name)):
            each.count(unanswered=1, given_up=given_up, unanswered_usd=cost)
        return cost


class Durable(Protocol):
    """What draw needs of the journal."""

    async def append(
        self, samples: list[Sample], *, carries: Sequence[Note], carried: Callable[[], object], on_disk: Callable[[], object]
    ) -> None:
        """Return once the samples count. `on_disk` is called as soon as no kill loses them.

        `carried` is called once what one of them `carries` is to be taken back.
        """
        ...


class Asks(Protocol):
    """What draw needs of a desk."""

    @property
    def options(self) -> TeacherOptions:
        """The teacher's, with the price that is really paid."""
        ...

    async def ask(self, request: Request, conditions: Conditions) -> Answer:
        """Return the answer to one request, as `tasks.asking.ask.Desk.ask` does."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What one prompt asks of one teacher."""

    prompt_id: str
    """The prompt."""
    desk: Asks
    """The teacher."""
    messages: tuple[Message, ...]
    """As sent."""
    key: str
    """`storage.identity.request_key`."""
    strategy: str | None = None
    """The strategy that `messages` are of."""


Drawn = dict[int, Sample | TeacherError]
"""By sample index. An index that isn't there was not asked for: the run stops, or the teacher may not be asked any more today."""


@dataclass(slots=True, kw_only=True)
class Draw:
    """Buys samples for questions. One a run."""

    sampling: SamplingOptions
    """How to ask."""
    journal: Durable
    """Where a sample is safe."""
    budget: Budget
    """When to stop."""
    stop: Stop
    """Whether to."""
    spending: Spending = field(default_factory=Spending)
    """What was bought."""
    waste: Waste | None = None
    """Where later runs find what was billed in vain. None: nowhere."""
    asking: frozenset[str] = frozenset()
    """The teachers' names: where one of them may not be asked any more today, the others go on."""
    spent: set[str] = field(default_factory=set)
    """Of these, such as may not be asked any more today."""
    lapsed: Lapsed = field(default_factory=Lapsed)
    """What came of asking again for what failed in an earlier build."""

    async def draw(
        self,
        question: Question,
        indices: Sequence[int],
        drawn: Drawn | None = None,
        *,
        failed: Mapping[int, str] = MappingProxyType({}),
    ) -> Drawn:
        """Ask for the samples of these indices and return each one's sample or error.

        A teacher that is down, a refused key, a full disk or a spent budget sets `stop`; samples in hand are still returned. Of
        a teacher that may not be asked any more today, indices are left out, and others go on.
        `drawn` is filled as they come: where this raises, its caller still has what was bought by then.
        `failed` has the errors of those that failed in an earlier build: they are asked for where that is of use.
        """
        drawn = {} if drawn is None else drawn
        width = question.desk.options.samples_per_request
        chunks = _chunks(sorted(indices), width)
        if len(chunks) == 1:
            await self._wanted(question, chunks[0], drawn, failed)
        else:
            async with asyncio.TaskGroup() as group:
                for chunk in chunks:
                    group.create_task(self._wanted(question, chunk, drawn, failed))
        return drawn

    async def _wanted(self, question: Question, indices: list[int], drawn: Drawn, failed: Mapping[int, str]) -> None:
        """Ask, but not for what failed before where asking for the like is in vain."""
        options = question.desk.options
        # Whether a batch is of use is known when all of them are there, and what fails in one isn't billed.
        if options.batched or not all(index in failed for index in indices):
            await self._chunk(question, indices, drawn)
            return
        again = self.lapsed.of(options.name, failed[indices[0]])
        if not await again.worth():
            if not self.stop:
                if again.first_told():
                    logger.warning("teacher %r: %s", options.name, again.said(failed[indices[0]]))
                drawn.update({index: TeacherError(failed[index]) for index in indices})
            return
        try:
            await self._chunk(question, indices, drawn, again.helps)
        finally:
            again.settled(came=any(isinstance(drawn.get(index), Sample) for index in indices))

    async def _chunk(
        self, question: Question, indices: list[int], drawn: Drawn, may_repeat: Callable[[], bool] = lambda: True
    ) -> None:
        # A server may return fewer choices than it was asked for: the rest is asked for again.
        while indices:
            request = self._request(question, indices)
            bill = Bill(waste=self.waste, sample_id=sample_id(question.key, request.sample_index), options=question.desk.options)
            try:
                answer = await self._asked(question, request, bill, may_repeat)
            except Withheld:
                if not self.stop:
                    self.stop.set(self.budget.exhausted())
                return
            except TeacherError as error:
                if not self.stop:
                    drawn.update(dict.fromkeys(indices, error))
                return
            except QuotaSpent as error:
                self._leave(question.desk, error)
                return
            except UserError as error:
                self.stop.set(_named(error, question.desk))
                return
            samples = samples_of(question, request, answer)
            if not await self._kept(samples, answer, bill, drawn):
                return
            indices = indices[len(samples) :]

    async def _kept(self, samples: list[Sample], answer: Answer, bill: Bill, drawn: Drawn) -> bool:
        """Have samples on disk, and return whether that takes more."""
        here = False

        def on_disk() -> None:
            nonlocal here
            here = True
            answer.safe()

        try:
            carries, carried = bill.carries(answer.told), partial(bill.carried, answer.told)
            await self.journal.append(samples, carries=carries, carried=carried, on_disk=on_disk)
        except StorageError as error:
            self.stop.set(error)  # asking on would buy what can't be kept
            bill.refused()
            if here:  # from the journal's reserve: bought, though nobody judges it on a full disk
                self._bought(samples, {})
            return False
        except asyncio.CancelledError:
            self._bought(samples, drawn)  # the journal has them all the same
            raise
        finally:
            answer.safe()
        self._bought(samples, drawn)
        return True

    def _leave(self, desk: Asks, error: QuotaSpent) -> None:
        """Leave open what a teacher was to give, and go on with the others', if there are any."""
        if desk.options.name in self.spent:
            return  # those that were under way may have been told another time
        self.spent.add(desk.options.name)
        named = _named(error, desk)
        self.stop.put_off(named)
        if self.asking - self.spent:
            logger.warning("%s; the other teachers go on", named)
        else:
            self.stop.conclude()

    async def _asked(self, question: Question, request: Request, bill: Bill, may_repeat: Callable[[], bool]) -> Answer:
        """Ask. Where no answer comes, note what was billed all the same."""

        def billed(usage: Usage) -> None:
            self.spending.bill(usage, bill.options, self.budget)
            bill.add(usage)

        def unanswered(usage: Usage, given_up: bool) -> None:
            self.spending.lose(usage, bill.options, self.budget, given_up=given_up)
            bill.unanswered(usage, given_up)

        conditions = Conditions(
            may_send=lambda: self.budget.left,
            billed=billed,
            in_vain=bill.in_vain,
            unanswered=unanswered,
            may_repeat=may_repeat,
            keeps_place=True,
        )
        try:
            return await question.desk.ask(request, conditions)
        except BaseException:
            bill.lost()
            raise

    def _bought(self, samples: Sequence[Sample], drawn: Drawn) -> None:
        for sample in samples:
            self.spending.paid += 1
            self.spending.of(sample.teacher).paid += 1
            drawn[sample.sample_index] = sample.light()  # whoever judges it has no use for more, and it may be long

    def _request(self, question: Question, indices: list[int]) -> Request:
        parameters = self.sampling.parameters()
        if self.sampling.seed is not None:
            parameters["seed"] = self.sampling.seed + indices[0]
        return Request(
            prompt_id=question.prompt_id,
            messages=question.messages,
            parameters=parameters,
            sample_index=indices[0],
            n=len(indices),
            key=question.key,
        )


def _chunks(indices: list[int], width: int) -> list[list[int]]:
    """Return runs of consecutive indices, none longer than `width`: one request each."""
    chunks: list[list[int]] = []
    for index in indices:
        if chunks and len(chunks[-1]) < width and chunks[-1][-1] == index - 1:
            chunks[-1].append(index)
        else:
            chunks.append([index])
    return chunks


def _named(error: UserError, desk: Asks) -> UserError:
    name = repr(desk.options.name)
    return error if name in str(error) or isinstance(error, SpecError) else type(error)(f"teacher {name}: {error}")
