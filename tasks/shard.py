"""One shard: a few hundred prompts, drawn and verified in turn until each has what it needs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from storage.errors import UserError
from storage.identity import sample_id
from storage.parquet import PartWriter
from storage.records import Prompt, Sample, Verdict
from storage.rows import prompt_of
from storage.workspace import Workspace
from tasks.draw import Asks, Draw, Drawn, Question
from tasks.prepare import staged_near
from tasks.templates import Template
from tasks.verify import Case, Rule, Verification

PROMPTS = 256
"""In a shard: its Prefect task run costs milliseconds, its prompts are held in memory."""
ASKED = pa.schema(
    [
        ("ord", pa.int64()),
        ("teacher", pa.int16()),
        ("sample_index", pa.int32()),
        ("bought", pa.bool_()),
        ("error", pa.string()),
    ]
)
"""Every slot that was asked for. `bought` by this run; `error` where no response came."""


@dataclass(slots=True)
class Tally:
    """What has come of slots so far; the progress display reads it."""

    asked: int = 0
    """Slots that have come to an end."""
    failed: int = 0
    """Without a response."""
    accepted: int = 0
    """With verdicts that the spec's rule accepts."""
    judged: int = 0
    """With verdicts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One sample that a prompt wants of one teacher."""

    teacher: int
    """Its number in the spec."""
    sample_index: int
    """0 … k - 1."""
    key: str
    """The request's address."""
    here: bool
    """Whether the lake has it."""
    shared: int
    """How many slots of the build ask for the very same sample where it isn't here; 0 where only this one does."""
    accepted: bool
    """Whether the lake has it and its verdicts are good."""


Place = tuple[int, int, int]
"""(ord, teacher, sample_index)."""
Bought = dict[Place, Sample | str]
"""A sample, or why there is none."""
Judged = dict[Place, list[Verdict]]
"""The verdicts on what was bought."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """One prompt of a shard at work."""

    ord: int
    prompt: Prompt
    bought: Bought
    judged: Judged
    rows: list[dict[str, Any]]
    accepted: list[int]


@dataclass(slots=True, kw_only=True)
class Shards:
    """Works shards of one build; shards may run side by side in one event loop."""

    workspace: Workspace
    """Has `prompts` and `open_slots`."""
    template: Template
    """What prompts become."""
    desks: Sequence[Asks]
    """The teachers, in the spec's order."""
    draw: Draw
    """Buys samples."""
    verification: Verification
    """Judges them."""
    rule: Rule
    """When a sample is accepted."""
    asked: PartWriter
    """Gets rows of `ASKED`."""
    cascade: Sequence[int] = ()
    """The teachers' numbers from cheap to strong. Empty: all are asked side by side."""
    tally: Tally = field(default_factory=Tally)
    """Of all shards."""
    _done: dict[int, tuple[Bought, Judged]] = field(default_factory=dict)
    _claims: dict[str, asyncio.Future[Sample | str | None]] = field(default_factory=dict)
    _left: dict[str, int] = field(default_factory=dict)
    """How many slots of shards to come share a sample."""

    async def work(self, number: int) -> dict[str, int]:
        """Draw and verify one shard and return its counts.

        Safe to call again where it raised: what was bought and judged by then is kept, and not paid for twice.
        """
        prompts, slots = await asyncio.to_thread(self._load, number)
        rows: list[dict[str, Any]] = []
        bought, judged = self._done.setdefault(number, ({}, {}))
        accepted: list[int] = []
        async with asyncio.TaskGroup() as group:
            for ord_, prompt in prompts:
                task = _Task(ord=ord_, prompt=prompt, bought=bought, judged=judged, rows=rows, accepted=accepted)
                group.create_task(self._prompt(task, slots.get(ord_, {})))
        for row in rows:
            self.asked.write(row)
        del self._done[number]
        self._let_go(slots)
        return {
            "prompts": len(prompts),
            "asked": len(rows),
            "bought": sum(row["bought"] for row in rows),
            "failed": sum(row["error"] is not None for row in rows),
            "accepted": sum(accepted),
        }

    def _let_go(self, slots: dict[int, dict[int, list[Slot]]]) -> None:
        """Forget the shared samples that no shard to come has a slot for: texts that would pile up until the run ends."""
        for slot in (slot for by_teacher in slots.values() for own in by_teacher.values() for slot in own if slot.shared):
            identifier = sample_id(slot.key, slot.sample_index)
            left = self._left.pop(identifier, slot.shared) - 1
            if left:
                self._left[identifier] = left
            else:
                self._claims.pop(identifier, None)

    def _load(self, number: int) -> tuple[list[tuple[int, Prompt]], dict[int, dict[int, list[Slot]]]]:
        within = f"ord BETWEEN {number * PROMPTS} AND {number * PROMPTS + PROMPTS - 1}"
        # Not from `prompts`, which would open all files.
        staged = staged_near(self.workspace, number * PROMPTS)
        table = self.workspace.table(
            f"FROM {staged} WHERE {within} AND ord NOT IN (SELECT ord FROM folded WHERE {within}) ORDER BY ord"
        )
        prompts = [(row["ord"], prompt_of(row)) for row in table.to_pylist()]
        slots: dict[int, dict[int, list[Slot]]] = {}
        columns = "teacher, sample_index, key, here, shared, accepted"
        for ord_, *values in self.workspace.rows(
            f"SELECT ord, {columns} FROM open_slots WHERE {within} ORDER BY ord, teacher, sample_index"
        ):
            slot = Slot(**dict(zip(columns.split(", "), values, strict=True)))
            slots.setdefault(ord_, {}).setdefault(slot.teacher, []).append(slot)
        return prompts, slots

    async def _prompt(self, task: _Task, by_teacher: dict[int, list[Slot]]) -> None:
        """Ask all teachers side by side or, in a cascade, the next one only while those before have not solved the prompt.

        What is asked for depends on verdicts in the order of teachers and slots alone, so a rerun that finds some of them stored
        asks for the same ones.
        """
        messages = self.template.render(task.prompt, place=task.prompt.prompt_id)
        questions = {
            teacher: Question(
                prompt_id=task.prompt.prompt_id, desk=self.desks[teacher], messages=messages, key=by_teacher[teacher][0].key
            )
            for teacher in self.cascade or by_teacher
            if teacher in by_teacher
        }
        if not self.cascade:
            async with asyncio.TaskGroup() as group:
                for teacher, question in questions.items():
                    group.create_task(self._rounds(task, question, by_teacher[teacher]))
            return
        accepted = 0
        for teacher, question in questions.items():
            # Where the run stops, a teacher may not have been asked for all that it was to be: the next one must not stand in.
            if self.draw.stop or accepted >= self.draw.sampling.solved_at:
                return
            accepted += await self._rounds(task, question, by_teacher[teacher])

    async def _rounds(self, task: _Task, question: Question, slots: list[Slot]) -> int:
        """Ask for all at once or, where k is adaptive, for as many as are still wanted, until there are enough.

        Return how many were accepted.
        """
        adaptive = self.draw.sampling.adaptive
        accepted = 0
        while slots and not self.draw.stop and (adaptive is None or accepted < adaptive.accept):
            width = len(slots) if adaptive is None else adaptive.accept - accepted
            now, slots = slots[:width], slots[width:]
            accepted += await self._round(task, question, now)
        return accepted

    async def _round(self, task: _Task, question: Question, now: list[Slot]) -> int:
        bought = task.bought
        places = {slot.sample_index: (task.ord, slot.teacher, slot.sample_index) for slot in now if not slot.here}
        missing = [slot for slot in now if not slot.here and places[slot.sample_index] not in bought]
        others = await self._draw(question, missing, places, bought)
        results = {index: bought[place] for index, place in places.items() if place in bought} | others
        wants = question.desk.options.retry.wants
        samples = {
            places[index]: result
            for index, result in results.items()
            if isinstance(result, Sample) and wants(result.finish_reason, result.response)
        }
        new = {place: sample for place, sample in samples.items() if place not in task.judged}
        try:
            verdicts = await self.verification.judge(task.prompt, [Case(sample=sample) for sample in new.values()])
        except UserError:
            return 0  # the run was told to stop
        task.judged.update(zip(new, verdicts, strict=True))
        good = sum(self.rule.accepts(task.judged[place]) for place in samples)
        for slot in now:
            come = results.get(slot.sample_index)
            if slot.here or come is not None:
                own = slot.sample_index not in others
                task.rows.append(_row(task.ord, slot, come, own=own))
                self.tally.asked += 1
                self.tally.failed += isinstance(come, str)
        self.tally.judged += len(samples)
        self.tally.accepted += good
        task.accepted.append(good)
        return good + sum(slot.accepted for slot in now)

    async def _draw(
        self, question: Question, missing: list[Slot], places: dict[int, Place], bought: Bought
    ) -> dict[int, Sample | str]:
        """Buy what is missing into `bought`, and return what other slots of the build bought meanwhile.

        Whoever comes first claims a shared sample and buys it; nobody waits for another before its own claims are settled.
        """
        others: dict[int, Sample | str] = {}
        while missing and not self.draw.stop:
            waiting: dict[int, asyncio.Future[Sample | str | None]] = {}
            claimed: dict[int, str] = {}
            for slot in missing:
                if slot.shared:
                    identifier = sample_id(slot.key, slot.sample_index)
                    if identifier in self._claims:
                        waiting[slot.sample_index] = self._claims[identifier]
                    else:
                        self._claims[identifier] = asyncio.get_running_loop().create_future()
                        claimed[slot.sample_index] = identifier
            drawn: Drawn = {}
            try:
                indices = [slot.sample_index for slot in missing if slot.sample_index not in waiting]
                if indices:
                    await self.draw.draw(question, indices, drawn)
            finally:
                got = {index: result if isinstance(result, Sample) else str(result) for index, result in drawn.items()}
                bought.update({places[index]: result for index, result in got.items()})
                for index, identifier in claimed.items():
                    self._claims[identifier].set_result(got.get(index))
                    if index not in got:
                        del self._claims[identifier]
            for index, claim in waiting.items():
                if (result := await asyncio.shield(claim)) is not None:
                    others[index] = result
            # Where whoever claimed a sample gave up without an answer, somebody else must buy it.
            missing = [slot for slot in missing if slot.sample_index in waiting and slot.sample_index not in others]
        return others


def _row(ord_: int, slot: Slot, result: Sample | str | None, *, own: bool) -> dict[str, Any]:
    return {
        "ord": ord_,
        "teacher": slot.teacher,
        "sample_index": slot.sample_index,
        "bought": own and isinstance(result, Sample),
        "error": result if isinstance(result, str) else None,
    }
