"""One shard: a few hundred prompts, drawn and verified in turn until each has what it needs."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from storage.errors import StorageError, UserError
from storage.identity import check_inputs, sample_id
from storage.records import Prompt, Sample, Verdict
from tasks.draw import Asks, Draw, Drawn, Question
from tasks.orders import Slot, Source
from tasks.shared import Shared
from tasks.tally import Passing, Tally
from tasks.templates import Template
from tasks.verify import Case, Rule

ASKED = pa.schema(
    [
        ("ord", pa.int64()),
        ("arm", pa.int16()),
        ("sample_index", pa.int32()),
        ("bought", pa.bool_()),
        ("error", pa.string()),
    ]
)
"""Every slot that was asked for. `bought` by this run; `error` where no response came."""
Place = tuple[int, int, int]
"""(ord, arm, sample_index)."""
Bought = dict[Place, Sample | str]
"""A sample, or why there is none."""
Judged = dict[Place, list[Verdict]]
"""The verdicts on what was bought."""
Come = dict[int, tuple[Sample | str, bool, bool]]
"""What came of missing slots, by sample index: the result, whether the slot itself bought it, and whether it was accepted."""


class Judges(Protocol):
    """What a shard needs of a verification."""

    @property
    def fingerprints(self) -> frozenset[str]:
        """Those of the verifiers."""
        ...

    async def judge(self, prompt: Prompt, cases: Sequence[Case]) -> list[list[Verdict]]:
        """Return each case's verdicts, as `Verification.judge` does."""
        ...


class Asked(Protocol):
    """Where it is noted what was asked for."""

    def extend(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Note one shard's slots."""
        ...


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

    source: Source
    """Has their prompts and slots."""
    template: Template
    """What prompts become."""
    desks: Sequence[Asks]
    """The teachers, in the order of the workspace's `arms`: each once, or once for each strategy."""
    strategies: Sequence[str | None]
    """The strategies, in the same order."""
    draw: Draw
    """Buys samples."""
    verification: Judges
    """Judges them."""
    rule: Rule
    """When a sample is accepted."""
    asked: Asked
    """Gets rows of `ASKED`, a shard's at once."""
    cascades: Sequence[Sequence[int]] = ()
    """For each strategy its arms from the cheap teacher's to the strong one's. Empty: all are asked side by side."""
    tally: Tally = field(default_factory=Tally)
    """Of all shards."""
    passing: Passing = field(default_factory=Passing)
    """Likewise, by teacher, strategy, verifier and tag."""
    worked: dict[int, int] = field(default_factory=dict)
    """The shards that came to their end, and how many rows `asked` got of each."""
    verdicts_lost: bool = False
    """Whether some may be missing, since a process that worked shards beside this one was killed."""
    _done: dict[int, tuple[Bought, Judged]] = field(default_factory=dict)
    _shared: Shared = field(default_factory=Shared)

    async def work(self, number: int) -> dict[str, int]:
        """Draw and verify one shard and return its counts.

        Safe to call again where it raised: what was bought and judged by then is kept, and not paid for twice.
        """
        prompts, slots = await asyncio.to_thread(self.source.load, number)
        rows: list[dict[str, Any]] = []
        bought, judged = self._done.setdefault(number, ({}, {}))
        accepted: list[int] = []
        async with asyncio.TaskGroup() as group:
            for ord_, prompt in prompts:
                if ord_ not in slots:
                    continue  # barred, or not among those that a probe looks at
                task = _Task(ord=ord_, prompt=prompt, bought=bought, judged=judged, rows=rows, accepted=accepted)
                group.create_task(self._prompt(task, slots[ord_]))
        try:
            self.asked.extend(rows)
        except StorageError as error:
            self.draw.stop.set(error)  # the outcomes of others may be gone with these: the build can't land any more
            raise
        self.worked[number] = len(rows)
        del self._done[number]
        self._shared.let_go(slot for by_arm in slots.values() for own in by_arm.values() for slot in own)
        return {
            "prompts": len(slots),
            "asked": len(rows),
            "bought": sum(row["bought"] for row in rows),
            "failed": sum(row["error"] is not None for row in rows),
            "accepted": sum(accepted),
        }

    async def resume(self, number: int, samples: Mapping[str, Sample], verdicts: Mapping[str, Sequence[Verdict]]) -> None:
        """Begin a shard with what was bought and judged of it by somebody who didn't come to its end, each by its `sample_id`.

        What lacks a verdict gets it now; what has none is judged when its turn comes.
        """
        prompts, slots = await asyncio.to_thread(self.source.load, number)
        bought, judged = self._done.setdefault(number, ({}, {}))
        for ord_, prompt in prompts:
            inputs = check_inputs(prompt)
            for slot in (slot for own in slots.get(ord_, {}).values() for slot in own if not slot.here):
                identifier = sample_id(slot.key, slot.sample_index)
                if identifier not in samples or identifier in self._shared:
                    continue
                sample, place = samples[identifier], (ord_, slot.arm, slot.sample_index)
                if slot.shared:
                    self._shared.give(identifier, sample)
                bought[place] = sample
                known = {verdict.fingerprint: verdict for verdict in verdicts.get(identifier, ()) if verdict.inputs == inputs}
                if known:
                    lacking = Case(sample=sample, fingerprints=self.verification.fingerprints - known.keys())
                    (more,) = await self.verification.judge(prompt, [lacking])
                    judged[place] = [*known.values(), *more]

    async def _prompt(self, task: _Task, by_arm: dict[int, list[Slot]]) -> None:
        """Ask all teachers side by side or, in a cascade, the next one only while those before have not solved the prompt.

        Each strategy has its own k samples, and so a cascade of its own. What is asked for depends on what is stored and on its
        verdicts alone. What is stored and accepted counts before anything is asked for, so a rerun doesn't try failed slots again
        where the prompt was solved without them.
        """
        name = task.prompt.prompt_id
        messages = {
            strategy: self.template.render(task.prompt, place=name, strategy=strategy)
            for strategy in dict.fromkeys(self.strategies[arm] for arm in by_arm)
        }
        questions = {
            arm: Question(
                prompt_id=name,
                desk=self.desks[arm],
                messages=messages[self.strategies[arm]],
                key=slots[0].key,
                strategy=self.strategies[arm],
            )
            for arm, slots in by_arm.items()
        }
        asked: list[Coroutine[Any, Any, object]]
        if self.cascades:
            chains = [[arm for arm in cascade if arm in questions] for cascade in self.cascades]
            asked = [self._cascade(task, {each: questions[each] for each in chain}, by_arm) for chain in chains if chain]
        else:
            asked = [
                self._rounds(task, question, by_arm[arm], lacking=self.draw.sampling.solved_at, later=0)
                for arm, question in questions.items()
            ]
        if len(asked) == 1:
            await asked[0]
            return
        async with asyncio.TaskGroup() as group:
            for each in asked:
                group.create_task(each)

    async def _cascade(self, task: _Task, questions: dict[int, Question], by_arm: dict[int, list[Slot]]) -> None:
        """Ask one teacher after the other until they have solved the prompt."""
        lacking = self.draw.sampling.solved_at
        later = sum(slot.accepted for arm in questions for slot in by_arm[arm])
        for arm, question in questions.items():
            slots = by_arm[arm]
            # Where a teacher was not asked for all that it was to be (the run stops, or its day is used), the next one must not
            # stand in.
            if self.draw.stop:
                return
            if lacking <= 0:
                self.tally.spared += sum(not slot.here for slot in slots)
                continue
            later -= sum(slot.accepted for slot in slots)
            found = await self._rounds(task, question, slots, lacking=lacking, later=later)
            if found is None:
                return
            lacking -= found

    async def _rounds(self, task: _Task, question: Question, slots: list[Slot], *, lacking: int, later: int) -> int | None:
        """Ask for all that is missing at once or, where k is adaptive, for as many as are still wanted, until there are enough.

        `later` samples are stored and accepted of the cascade's teachers behind this one. Return how many of its own count; None
        where something is left open that may still count.
        """
        adaptive = self.draw.sampling.adaptive is not None
        accepted = sum(slot.accepted for slot in slots)
        missing = [slot for slot in slots if not slot.here]
        left = missing
        if not adaptive and accepted < lacking <= accepted + later:
            left = []  # solved by one behind, which was asked since these slots had failed
        come: Come = {}
        whole = True
        while whole and left and not self.draw.stop and (not adaptive or accepted + later < lacking):
            width = lacking - accepted - later if adaptive else len(left)
            now, left = left[:width], left[width:]
            accepted += await self._round(task, question, now, come)
            whole = all(slot.sample_index in come for slot in now)
        if whole and not self.draw.stop:
            self.tally.spared += len(missing) - len(come)
        counted = _note(task, slots, come, lacking if adaptive else None)
        return counted if whole else None

    async def _round(self, task: _Task, question: Question, now: list[Slot], come: Come) -> int:
        """Ask for missing slots and judge what comes. Return how many were accepted."""
        bought = task.bought
        places = {slot.sample_index: (task.ord, slot.arm, slot.sample_index) for slot in now}
        missing = [slot for slot in now if places[slot.sample_index] not in bought]
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
        good = {place[2] for place in samples if self.rule.accepts(task.judged[place])}
        for place in samples:
            self.passing.judge(
                teacher=question.desk.options.name,
                strategy=question.strategy,
                tags=task.prompt.tags,
                verdicts=task.judged[place],
                accepted=place[2] in good,
            )
        for index, result in results.items():
            come[index] = result, index not in others, index in good
        self.tally.asked += len(results)
        self.tally.failed += sum(isinstance(result, str) for result in results.values())
        self.tally.judged += len(samples)
        self.tally.accepted += len(good)
        task.accepted.append(len(good))
        return len(good)

    async def _draw(
        self, question: Question, missing: list[Slot], places: dict[int, Place], bought: Bought
    ) -> dict[int, Sample | str]:
        """Buy what is missing into `bought`, and return what other slots of the build bought meanwhile.

        Nobody waits for another before its own claims are settled.
        """
        others: dict[int, Sample | str] = {}
        while missing and not self.draw.stop:
            claimed, waiting = self._shared.claim(missing)
            drawn: Drawn = {}
            try:
                indices = [slot.sample_index for slot in missing if slot.sample_index not in waiting]
                if indices:
                    failed = {slot.sample_index: slot.failed for slot in missing if slot.failed is not None}
                    await self.draw.draw(question, indices, drawn, failed=failed)
            finally:
                got = {index: result if isinstance(result, Sample) else str(result) for index, result in drawn.items()}
                bought.update({places[index]: result for index, result in got.items()})
                self._shared.settle(claimed, got)
            for index, claim in waiting.items():
                if (result := await asyncio.shield(claim)) is not None:
                    others[index] = result
            # Where whoever claimed a sample gave up without an answer, somebody else must buy it.
            missing = [slot for slot in missing if slot.sample_index in waiting and slot.sample_index not in others]
        return others


def _note(task: _Task, slots: list[Slot], come: Come, enough: int | None) -> int:
    """Note the slots that were asked for, by this build or an earlier one, up to the one that made `enough` accepted ones.

    What is stored behind that was drawn under another spec, or before a failed slot in front of it was asked for again. Return
    how many accepted ones there are.
    """
    accepted = 0
    for slot in slots:
        if enough is not None and accepted >= enough:
            break
        if slot.here:
            task.rows.append(_row(task.ord, slot, None, own=False))
            accepted += slot.accepted
        elif slot.sample_index in come:
            result, own, good = come[slot.sample_index]
            task.rows.append(_row(task.ord, slot, result, own=own))
            accepted += good
    return accepted


def _row(ord_: int, slot: Slot, result: Sample | str | None, *, own: bool) -> dict[str, Any]:
    return {
        "ord": ord_,
        "arm": slot.arm,
        "sample_index": slot.sample_index,
        "bought": own and isinstance(result, Sample),
        "error": result if isinstance(result, str) else None,
    }
