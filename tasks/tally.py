"""Tally: what has come of a run's slots so far, for whoever watches. Counted as it goes; the outcomes decide in the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from storage.records import Verdict
from tasks.measures.breakdown import PLAIN, TAG_VALUES

TEACHER, STRATEGY, VERIFIER, TAG = "teacher", "strategy", "verifier", "tag "
"""What samples are grouped by. TAG is followed by the tag's name."""


@dataclass(slots=True)
class Tally:
    """What has come of slots so far; the progress display reads it."""

    asked: int = 0
    """Slots that were missing, and have come to an end."""
    spared: int = 0
    """Slots that are missing, and won't be asked for, since their prompts have enough without them."""
    failed: int = 0
    """Without a response."""
    accepted: int = 0
    """With verdicts that the spec's rule accepts."""
    judged: int = 0
    """With verdicts."""


@dataclass(slots=True)
class Passed:
    """How many of some samples passed."""

    judged: int = 0
    """Samples that were judged."""
    accepted: int = 0
    """Of these, such as passed."""
    undecided: int = 0
    """Of these, such as a verifier could not decide."""

    @property
    def rate(self) -> float | None:
        """Return the share that passed, of those that were decided; None where there are none."""
        decided = self.judged - self.undecided
        return self.accepted / decided if decided else None


@dataclass(slots=True)
class Passing:
    """How many of the samples that were drawn and judged passed, by whom and by what."""

    groups: dict[str, dict[str, Passed]] = field(default_factory=dict)
    """By what samples are grouped by and name. A tag with more than TAG_VALUES values is an id, and has no entry any more."""
    _ids: set[str] = field(default_factory=set)

    def judge(
        self,
        *,
        teacher: str,
        strategy: str | None,
        tags: Mapping[str, str],
        verdicts: Iterable[Verdict],
        accepted: bool,
    ) -> None:
        """Count a sample that was judged. Samples of the plain template have a line where others are of strategies."""
        self._count(TEACHER, teacher, accepted)
        if strategy is not None or STRATEGY in self.groups:
            self._count(STRATEGY, strategy or PLAIN, accepted)
        for tag, value in tags.items():
            self._count(TAG + tag, value, accepted)
        for verdict in verdicts:
            self._count(VERIFIER, verdict.verifier, verdict.passed)

    def _count(self, by: str, name: str, passed: bool | None) -> None:
        names = self.groups.get(by)
        part = names.get(name) if names is not None else None  # as it nearly always is there
        if part is None:
            part = self._part(by, name)
            if part is None:
                return
        part.judged += 1
        if passed:
            part.accepted += 1
        elif passed is None:
            part.undecided += 1

    def _part(self, by: str, name: str) -> Passed | None:
        if by in self._ids:
            return None
        names = self.groups.setdefault(by, {})
        if name not in names and len(names) >= TAG_VALUES and by.startswith(TAG):
            self._ids.add(by)
            del self.groups[by]
            return None
        return names.setdefault(name, Passed())

    def totals(self) -> dict[str, dict[str, list[int]]]:
        """Return all counts as what JSON holds, for a process that counts for another one."""
        return {
            by: {name: [part.judged, part.accepted, part.undecided] for name, part in names.items()}
            for by, names in self.groups.items()
        }

    def add(self, totals: Mapping[str, Mapping[str, Sequence[int]]], *, less: bool = False) -> None:
        """Add what another process has counted, or (`less`) take away what was added of it before."""
        sign = -1 if less else 1
        for by, names in totals.items():
            for name, (judged, accepted, undecided) in names.items():
                part = self._part(by, name)
                if part is not None:
                    part.judged += sign * judged
                    part.accepted += sign * accepted
                    part.undecided += sign * undecided
