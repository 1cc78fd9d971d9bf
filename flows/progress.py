"""How far a run has come."""

from __future__ import annotations

from dataclasses import dataclass, field

from tasks.draw import Budget, Spending
from tasks.shard import Tally


@dataclass(slots=True, kw_only=True)
class Progress:
    """What a display shows; the run keeps it up to date."""

    stage: str = "reading prompts"
    """What is being done."""
    slots: int = 0
    """Samples that the spec wants; once drawing begins, those that were missing then."""
    stored: int = 0
    """Samples that were there before this run."""
    tally: Tally = field(default_factory=Tally)
    """What has come of the rest so far."""
    spending: Spending = field(default_factory=Spending)
    """What was bought."""
    budget: Budget = field(default_factory=lambda: Budget(None))
    """The spec's, and what all runs have spent of it."""
    batches: dict[str, str] = field(default_factory=dict)
    """How each batch that is waited for stands, in a line."""

    @property
    def wanted(self) -> int:
        """Return how many samples this run will ask for at most, as far as is known: solved prompts need no more."""
        return max(self.slots - self.tally.spared, self.tally.asked)

    @property
    def share(self) -> float:
        """Return which part of the slots has come to an end, asked for or not."""
        return min((self.tally.asked + self.tally.spared) / self.slots, 1.0) if self.slots else 0.0
