"""Growing a spec's prompts, before a build prepares all of them: round by round, from what is stored or by asking."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from flows import wiring
from flows.loading import placed
from flows.process.waiting import with_grace
from flows.progress import Say
from flows.spec import Spec
from storage.intents import Intents
from storage.journal import Journal
from storage.parquet import PartWriter
from storage.waste import Waste
from storage.wording import counted
from storage.workspace import Workspace
from tasks.batches import underway
from tasks.draw import Asks, Budget, Draw, Spending
from tasks.growth.buying import buy
from tasks.growth.counts import GrownCounts
from tasks.growth.files import FAILED
from tasks.growth.growing import Growing
from tasks.sources import Found
from tasks.sources.shown import shown
from tasks.stop import Stop


def from_store(spec: Spec, path: Path, grown: Mapping[int, Growing], stop: Stop | None = None) -> None:
    """Grow what the lake's answers give, having asked nobody."""
    for number, growing in grown.items():
        with placed(path):
            growing.stage(_seeds(spec, number, stop))
        for _ in range(growing.options.rounds):
            growing.ask()
            growing.read()


@dataclass(slots=True, kw_only=True)
class Growth:
    """All growing sources of one run."""

    spec: Spec
    """The run's."""
    grown: Mapping[int, Growing]
    """By the number of the source."""
    workspace: Workspace
    """The run's."""
    desks: Sequence[Asks]
    """Of the spec's teachers, in its order."""
    journal: Journal
    """The run's."""
    intents: Intents
    """What is in batches."""
    budget: Budget
    """The spec's."""
    foresee: Callable[[], float]
    """Returns what earlier runs have spent of it. Raises what the guard would of what is to be grown."""
    stop: Stop
    """Whether to go on."""
    spending: Spending
    """What the run bought."""
    waste: Waste
    """Where what was billed in vain is noted."""
    say: Say
    """Tells whoever watches."""
    wants: Callable[[int], None] = lambda _: None
    """Is told how many answers a round buys."""
    paid: dict[int, int] = field(default_factory=dict)
    """Answers that were bought, by the number of the source."""
    _foreseen: bool = False
    """Whether the guard has let it through, and the budget has what earlier runs spent."""

    async def grow(self, most: int | None = None) -> None:
        """Go through all sources and rounds, buying what is missing; `most`: so many requests of a round. Raise why it stops."""
        for number, growing in self.grown.items():
            await asyncio.to_thread(growing.stage, _seeds(self.spec, number, self.stop))
            for _ in range(growing.options.rounds):
                await self._round(number, growing, most)

    async def _round(self, number: int, growing: Growing, most: int | None) -> None:
        self.stop.check()
        missing = await asyncio.to_thread(growing.ask)
        failed = growing.files.failed(len(growing.rounds))
        with PartWriter(failed, FAILED) as writer:
            if missing:
                await self._buy(number, growing, missing, writer, most)
        unasked = await asyncio.to_thread(growing.read, failed)
        self.stop.check()
        if unasked and most is None:
            raise AssertionError(f"{unasked} requests were never asked")

    async def _buy(self, number: int, growing: Growing, missing: int, failed: PartWriter, most: int | None) -> None:
        now = growing.rounds[-1]
        whose = f"{shown(growing.source.source)}: round {len(growing.rounds)} of {growing.options.rounds}"
        self.say(f"growing prompts from {whose}: {counted(now.requests, 'request')}, of which {missing:,} are to be asked")
        self.wants(missing if most is None else min(missing, most))
        await asyncio.to_thread(underway.check_growth, self.workspace, self.intents, growing.teacher)
        if not self._foreseen:
            self.budget.spent += await asyncio.to_thread(self.foresee)
            self._foreseen = True
        draw = Draw(
            sampling=growing.options.sampling,
            journal=self.journal,
            budget=self.budget,
            stop=self.stop,
            spending=self.spending,
            waste=self.waste,
        )
        desk = self.desks[self.spec.teacher(growing.teacher.name)[0]]
        before = self.spending.of(growing.teacher.name).paid
        try:
            await with_grace(self.stop, buy(islice(growing.wanted(), most), draw, desk, failed))
        finally:
            self.paid[number] = self.paid.get(number, 0) + self.spending.of(growing.teacher.name).paid - before
        self.stop.check()
        await self.journal.settle()

    @property
    def rows(self) -> list[Path]:
        """Return the files of the table `grown`, in order."""
        return [each.files.grown(number) for each in self.grown.values() for number in range(1, len(each.rounds) + 1)]

    def counts(self) -> list[GrownCounts]:
        """Return what came of it, by source."""
        return [growing.counts(self.paid.get(number, 0)) for number, growing in self.grown.items()]


def _seeds(spec: Spec, number: int, stop: Stop | None) -> Iterator[Found]:
    for found in wiring.read_source(spec, number):
        if stop is not None:
            stop.check()
        yield found
