"""What came of growing prompts from one source, in numbers that add up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from storage.wording import counted
from tasks.sources.shown import shown


@dataclass(frozen=True, slots=True, kw_only=True)
class GrownCounts:
    """One growing source of a build."""

    source: str
    """Where the seeds come from."""
    method: str
    """self_instruct, evolve or rephrase."""
    teacher: str
    """Who was asked."""
    seeds: int
    """Prompts of the source from which others were grown."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Prompts from which none were, seeds and grown ones: `repeated`, or by the stage that bars them."""
    requests: int
    """Requests, of all rounds."""
    reused: int
    """Answers that the lake had."""
    paid: int
    """Answers that this run bought."""
    asked: int
    """Prompts that were asked for, and those that answers had beyond that: kept + rejected + failed."""
    kept: int
    """Grown prompts."""
    rejected: Mapping[str, int] = field(default_factory=dict)
    """By kind of reason."""
    failed: int
    """Prompts whose request got no answer."""

    def lines(self) -> list[tuple[str, str]]:
        """Return it as (name, value) for a terminal."""
        less = "".join(f", {number:,} of {what} left out" for what, number in self.left_out.items())
        rejected = sum(self.rejected.values())
        sums = f"{self.kept:,} kept + {rejected:,} rejected + {self.failed:,} failed = {self.asked:,}"
        lines = [
            (
                f"grown from {shown(self.source)}",
                f"by {self.method} of {self.teacher}, of {counted(self.seeds, 'seed')}{less}: {sums}",
            ),
            ("", f"{counted(self.requests, 'request')}: {self.reused:,} answers reused, {self.paid:,} paid"),
        ]
        if rejected:
            lines.append(("", "rejected: " + ", ".join(f"{kind} {number:,}" for kind, number in self.rejected.items())))
        return lines
