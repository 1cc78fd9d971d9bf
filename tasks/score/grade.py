"""Grade: from stored samples that a scorer hasn't seen to scores that are on disk."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pyarrow as pa

from storage import scores
from storage.errors import RequestRejected, SetupError, StorageError, TeacherError, UserError, Withheld
from storage.identity import showing
from storage.journal import Journal
from storage.records import Message, Score
from storage.sql import literal
from storage.waste import Note, Waste
from storage.workspace import Workspace
from tasks.asking.ask import Answer as Answered
from tasks.asking.ask import Desk
from tasks.asking.conditions import Conditions
from tasks.asking.usable import billable
from tasks.bill import Bill
from tasks.draw import Budget, Spending
from tasks.score import as_teacher
from tasks.score.answers import Answer, Shown
from tasks.stop import Stop
from tasks.teachers.protocol import Choice, Request, Usage

BATCH = 64
"""Samples that are read at a time."""
REFUSED = 20
"""Responses of which none could be scored, after which it isn't the responses' fault."""
SHOWN = 200
"""Characters of a reason by which failures are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """What there is to score."""

    samples: int
    """That are asked about."""
    stored: int
    """Of these, with a score by this very scorer in the lake."""
    left_out: Mapping[str, int]
    """Of these, those that no scorer can be asked about, by reason."""
    missing: int
    """The rest."""
    reasoned: int
    """Of all, those whose reasoning stands apart from their response."""


def find(workspace: Workspace, fingerprints: Sequence[str]) -> Missing:
    """Make `missing` of those samples in `wanted` that the scorer has no score of, and that it can be asked about."""
    scores.unscorable(workspace, "wanted")
    mine = f"FROM scores WHERE fingerprint IN ({', '.join(map(literal, fingerprints))})"
    workspace.execute(f"CREATE OR REPLACE TABLE have AS SELECT DISTINCT sample_id {mine} AND reason IS NULL")
    workspace.execute(f"CREATE OR REPLACE TABLE refused AS SELECT DISTINCT sample_id, reason {mine} AND reason IS NOT NULL")
    workspace.execute(
        "CREATE OR REPLACE TABLE missing AS SELECT sample_id FROM wanted ANTI JOIN have USING (sample_id) "
        "ANTI JOIN unscorable USING (sample_id)"
    )
    counts = {name: int(workspace.rows(f"SELECT count(*) FROM {name}")[0][0]) for name in ("wanted", "missing")}
    left_out = dict(workspace.rows("SELECT reason, count(*) FROM unscorable ANTI JOIN have USING (sample_id) GROUP BY reason"))
    stored = counts["wanted"] - counts["missing"] - sum(left_out.values())
    return Missing(
        samples=counts["wanted"],
        stored=stored,
        left_out=left_out,
        missing=counts["missing"],
        reasoned=scores.reasoned(workspace, "wanted"),
    )


@dataclass(slots=True, kw_only=True)
class Grade:
    """Buys scores. One a run."""

    desk: Desk
    """Where the scorer is asked, as a teacher that answers with what is given (`tasks.score.as_teacher`)."""
    fingerprint: str
    """`storage.identity.scorer`, of samples without reasoning."""
    top: int
    """Alternatives at each position."""
    shown: Shown
    """How reasoning is."""
    journal: Journal
    """Where a score is safe."""
    budget: Budget
    """When to stop."""
    stop: Stop
    """Whether to."""
    waste: Waste
    """Where later runs find what was billed in vain."""
    spending: Spending = field(default_factory=Spending)
    """What was bought."""
    scored: int = 0
    """Scores that are on disk."""
    failed: Counter[str] = field(default_factory=Counter)
    """Responses without one, by the beginning of the reason."""
    _held: list[Score] = field(default_factory=list, init=False)
    """Refusals, until it is known that something can be scored at all."""

    async def grade(self, workspace: Workspace, *, workers: int) -> None:
        """Score what is `missing`, so many side by side, until nothing is or the run stops.

        A scorer that is down, a refused key, a full disk or a spent budget sets `stop`.
        """
        rows, twice = await asyncio.to_thread(_rows, workspace)
        source = _Source(rows, twice)
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(self._work(source))

    async def _work(self, source: _Source) -> None:
        while not self.stop and (row := await source.next()) is not None:
            await self._one(row)

    async def _one(self, row: Mapping[str, Any]) -> None:
        messages = tuple(Message(role=turn["role"], content=turn["content"]) for turn in row["messages"])
        request = as_teacher.request(row["sample_id"], messages, Answer.of(row["response"], row["reasoning"], self.shown))
        bill = Bill(waste=self.waste, sample_id=row["sample_id"], options=self.desk.options)
        try:
            answer = await self._asked(request, bill)
            completion, billed = answer.completion, (billable(answer.completion), *answer.wasted)
            score = self._score(row, completion.choices[0], billed, revision=completion.revision)
            try:
                await self._keep(score, carries=bill.carries(answer.told), carried=lambda: bill.carried(answer.told))
            except StorageError:
                bill.refused()
                raise
            self.scored += 1
        except Withheld:
            if not self.stop:
                self.stop.set(self.budget.exhausted())
        except TeacherError as error:
            if not self.stop:
                await self._fail(row, error)
        except UserError as error:
            self.stop.set(error)

    async def _asked(self, request: Request, bill: Bill) -> Answered:
        def billed(usage: Usage) -> None:
            self.spending.bill(usage, bill.options, self.budget)
            bill.add(usage)

        def unanswered(usage: Usage, given_up: bool) -> None:
            self.spending.lose(usage, bill.options, self.budget, given_up=given_up)
            bill.unanswered(usage, given_up)

        conditions = Conditions(may_send=lambda: self.budget.left, billed=billed, in_vain=bill.in_vain, unanswered=unanswered)
        try:
            return await self.desk.ask(request, conditions)
        except BaseException:
            bill.lost()
            raise

    def _score(
        self,
        row: Mapping[str, Any],
        choice: Choice | None,
        billed: Sequence[Usage] = (),
        *,
        reason: str | None = None,
        revision: str | None = None,
    ) -> Score:
        options = self.desk.options
        return Score(
            sample_id=row["sample_id"],
            scorer=options.name,
            provider=options.provider,
            model=options.model,
            revision=options.revision or revision,
            fingerprint=showing(self.fingerprint, self.shown) if row["reasoning"] else self.fingerprint,
            top=self.top,
            reasoning=self.shown if row["reasoning"] else scores.NONE,
            logprobs=choice.logprobs if choice else None,
            ended=isinstance(choice, as_teacher.ScoredChoice) and choice.ended,
            reason=reason,
            tokens_in=sum(usage.tokens_in for usage in billed),
            cost_usd=sum(map(options.price.cost, billed)) if options.price else None,
            created_at=datetime.now(UTC),
        )

    async def _keep(self, score: Score, *, carries: Sequence[Note], carried: Callable[[], object]) -> None:
        held, self._held = self._held, []
        # It counts as bought where a disk that is full took it from its reserve, too.
        bought = partial(self.spending.count, paid=1)
        await self.journal.append([*held, score], carries=carries, carried=carried, on_disk=bought)

    async def _fail(self, row: Mapping[str, Any], error: TeacherError) -> None:
        """Count a response that got no score. A refusal is kept, so that whoever reads scores knows that there will be none."""
        self.failed[f"{type(error).__name__}: {error}"[:SHOWN]] += 1
        if not isinstance(error, RequestRejected):
            return
        if row["refused"] != str(error):
            self._held.append(self._score(row, None, reason=str(error)))
        if self.scored:
            held, self._held = self._held, []
            try:
                await self.journal.append(held)
            except StorageError as refused:
                self.stop.set(refused)
        elif self.failed.total() >= REFUSED:
            self.stop.set(
                SetupError(
                    f"teacher {self.desk.options.name!r} could score none of the first {self.failed.total():,} responses; "
                    f"the last: {error}"
                )
            )


class _Source:
    """Rows one by one, for whoever of several is free."""

    def __init__(self, batches: Iterator[pa.RecordBatch], twice: set[str]) -> None:
        """`twice` are the samples that stand in more than one row: the first counts."""
        self._batches = batches
        self._twice = dict.fromkeys(twice, False)
        self._rows: list[dict[str, Any]] = []
        self._reading = asyncio.Lock()

    async def next(self) -> dict[str, Any] | None:
        """Return the next row; None where there is none."""
        async with self._reading:
            while not self._rows:
                batch = await asyncio.to_thread(next, self._batches, None)
                if batch is None:
                    return None
                self._rows = [row for row in batch.to_pylist() if not self._seen(row["sample_id"])]
            return self._rows.pop()

    def _seen(self, sample_id: str) -> bool:
        seen = self._twice.get(sample_id, False)
        if sample_id in self._twice:
            self._twice[sample_id] = True
        return seen


def _rows(workspace: Workspace) -> tuple[Iterator[pa.RecordBatch], set[str]]:
    parts = workspace.holding("missing")
    found = f"FROM {parts} AS samples SEMI JOIN missing USING (sample_id)"
    twice = workspace.rows(f"SELECT sample_id {found} GROUP BY sample_id HAVING count(*) > 1")
    workspace.execute("CREATE OR REPLACE TABLE why AS SELECT sample_id, min(reason) AS reason FROM refused GROUP BY sample_id")
    return workspace.stream(
        f"SELECT sample_id, messages, response, reasoning, why.reason AS refused {found} LEFT JOIN why USING (sample_id)",
        rows=BATCH,
    ), {sample_id for (sample_id,) in twice}
