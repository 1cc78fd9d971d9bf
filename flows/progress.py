"""How far a run has come."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tasks.asking.ask import Desk
from tasks.asking.meter import LineState, together
from tasks.batches.batch import BatchDesk
from tasks.draw import Budget, Spending
from tasks.tally import Passing, Tally

Say = Callable[[str], None]
"""Shows a line to whoever watches."""


@dataclass(slots=True)
class Stage:
    """One step of a run."""

    name: str
    """For a person."""
    began: float
    """On the clock of `time.monotonic`."""
    ended: float | None = None
    """Likewise; None: it is the present one."""
    share: float | None = None
    """Which part of it is done; None: nobody counts."""
    paid: int = 0
    """Samples that the run had bought when it began."""
    wanted: int = 0
    """Answers that it buys, as far as is known; 0: nobody counts."""


@dataclass(slots=True, kw_only=True)
class Progress:
    """What a display shows; the run keeps it up to date."""

    stages: list[Stage] = field(default_factory=list)
    """What was done and, last, what is being done."""
    slots: int = 0
    """Samples that the spec wants; once drawing begins, those that were missing then."""
    stored: int = 0
    """Samples that were there before this run."""
    tally: Tally = field(default_factory=Tally)
    """What has come of the rest so far."""
    passing: Passing = field(default_factory=Passing)
    """How many of what was drawn passed, by teacher, strategy, verifier and tag."""
    spending: Spending = field(default_factory=Spending)
    """What was bought."""
    budget: Budget = field(default_factory=lambda: Budget(None))
    """The spec's, and what all runs have spent of it."""
    batches: dict[str, str] = field(default_factory=dict)
    """How each batch that is waited for stands, in a line."""
    outcomes: dict[str, int] = field(default_factory=dict)
    """Once they are decided: the slots that were kept, rejected and failed."""
    desks: Sequence[Desk | BatchDesk] = ()
    """The spec's teachers, where they are asked."""
    afar: dict[str, list[LineState]] = field(default_factory=dict)
    """How the lines of a cluster's workers stand, by worker."""

    @property
    def stage(self) -> str:
        """What is being done."""
        return self.stages[-1].name if self.stages else "starting"

    @stage.setter
    def stage(self, name: str) -> None:
        now = time.monotonic()
        if self.stages:
            self.stages[-1].ended = now
        self.stages.append(Stage(name, now, paid=self.spending.paid))

    def part(self, done: int, of: int) -> None:
        """Say which part of the present stage is done."""
        if self.stages:
            self.stages[-1].share = min(done / of, 1.0) if of else None

    def wants(self, answers: int) -> None:
        """Say that the present stage buys so many answers more."""
        if self.stages:
            self.stages[-1].wanted += answers

    @property
    def lines(self) -> list[LineState]:
        """How the lines to all teachers stand that are asked by single requests, in the spec's order, over all workers."""
        own = [state for desk in self.desks if isinstance(desk, Desk) for state in desk.states()]
        return together(own, list(self.afar.values())) if self.afar else own

    @property
    def wanted(self) -> int:
        """Return how many samples this run will ask for at most, as far as is known: solved prompts need no more."""
        return max(self.slots - self.tally.spared, self.tally.asked)

    @property
    def share(self) -> float:
        """Return which part of the slots has come to an end, asked for or not: all of them, once each has its outcome."""
        if self.outcomes:
            return 1.0
        return min((self.tally.asked + self.tally.spared) / self.slots, 1.0) if self.slots else 0.0
