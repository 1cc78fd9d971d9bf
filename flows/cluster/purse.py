"""One budget over all workers: the run grants it in blocks, so that together they exceed it by what was in flight and no more."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from flows.cluster.notes import Ledger
from storage.errors import Withheld
from tasks.asking.ask import Answer, Desk
from tasks.asking.conditions import UNCONDITIONAL, Conditions
from tasks.draw import Budget
from tasks.stop import Stop
from tasks.teachers.protocol import Request

PARTS = 2
"""A block is what is free, divided by the workers and by this."""
LEAST = 1e-4
"""Of the money that there was, a block has this part at least: the last of it isn't worth a thousand blocks."""


class Purse:
    """The run's side: how much each worker may spend."""

    def __init__(self, usd: float) -> None:
        """Have so much to grant."""
        self._usd = usd
        self.granted: dict[str, float] = {}
        """By worker, USD in all."""
        self.exhausted = False
        """Whether nothing is left, and nobody who works has any."""

    def look(self, ledgers: Mapping[str, Ledger]) -> None:
        """Grant more where it is wanted. `ledgers` has every worker that there ever was."""
        free = self._usd - sum(granted - ledgers[name].returned for name, granted in self.granted.items())
        wanting = [name for name, ledger in ledgers.items() if ledger.active and ledger.wants]
        for name in wanting:
            block = min(free, max(free / (PARTS * len(ledgers)), LEAST * self._usd))
            if block <= 0:
                break
            self.granted[name] = self.granted.get(name, 0.0) + block
            free -= block
        active = [ledger for ledger in ledgers.values() if ledger.active]
        self.exhausted = free <= 0 and bool(active) and all(ledger.starved for ledger in active)


class Allowance:
    """A worker's side: a budget that grows as it is granted more."""

    def __init__(self, budget: Budget) -> None:
        """Spend nothing yet. `budget` is the worker's own, and counts what it spends."""
        self.budget = budget
        self.returned = 0.0
        """USD in all."""
        self._granted = self._block = 0.0
        self._more = asyncio.Event()
        self._waiting = 0
        self._over = False
        budget.usd = 0.0

    @property
    def wants(self) -> bool:
        """Whether to ask for more: half of the last block is spent."""
        return self._granted - self.returned - self.budget.spent < self._block / 2 or self.starved

    @property
    def starved(self) -> bool:
        """Whether requests wait for more."""
        return self._waiting > 0 and not self.budget.left

    def grant(self, usd: float) -> None:
        """Hear what may be spent in all."""
        if usd > self._granted:
            self._granted, self._block = usd, usd - self._granted
            self._settle()

    def give_back(self) -> None:
        """Return what is left: there is nothing to spend it on just now."""
        self.returned += max(0.0, self._granted - self.returned - self.budget.spent)
        self._block = 0.0
        self._settle()

    def _settle(self) -> None:
        self.budget.usd = self._granted - self.returned
        if self.budget.left:
            self._more.set()
            self._more = asyncio.Event()

    def end(self) -> None:
        """Let everybody go who waits: the run stops."""
        self._over = True
        self._more.set()

    async def wait(self) -> None:
        """Return when there is something to spend, or the run stops."""
        self._waiting += 1
        try:
            while not (self.budget.left or self._over):
                await self._more.wait()
        finally:
            self._waiting -= 1


class MeteredDesk(Desk):
    """A desk that waits for the worker's allowance where one process would find the budget spent."""

    def __init__(self, desk: Desk, allowance: Allowance, stop: Stop) -> None:
        """Ask in place of a desk."""
        super().__init__(desk.options, desk.lines, stop)
        self._allowance = allowance

    async def ask(self, request: Request, conditions: Conditions = UNCONDITIONAL) -> Answer:
        """See `Desk.ask`."""
        while True:
            await self._allowance.wait()
            try:
                return await super().ask(request, conditions)
            except Withheld:
                if self._stop:
                    raise
