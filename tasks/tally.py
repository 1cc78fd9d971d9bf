"""Tally: what has come of a run's slots so far, for whoever watches. Counted as it goes; the outcomes decide in the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from storage.records import Verdict
from tasks.measures.breakdown import PLAIN, TAG_VALUES


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
class Tally:
    """What has come of slots so far; the progress display and Prefect's tables read it."""

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
    by_teacher: dict[str, Passed] = field(default_factory=dict)
    """Of those with verdicts, by teacher."""
    by_strategy: dict[str, Passed] = field(default_factory=dict)
    """Likewise by strategy; empty while only the plain template was used."""
    by_verifier: dict[str, Passed] = field(default_factory=dict)
    """Verdicts by verifier."""
    by_tag: dict[str, dict[str, Passed]] = field(default_factory=dict)
    """By tag and value. A tag with more than TAG_VALUES values is an id, and has no entry any more."""
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
        """Count a sample that was judged."""
        self.judged += 1
        self.accepted += accepted
        parts = [self.by_teacher.setdefault(teacher, Passed())]
        if strategy is not None or self.by_strategy:
            parts.append(self.by_strategy.setdefault(strategy or PLAIN, Passed()))
        for tag, value in tags.items():
            if tag in self._ids:
                continue
            values = self.by_tag.setdefault(tag, {})
            if len(values) < TAG_VALUES or value in values:
                parts.append(values.setdefault(value, Passed()))
            else:
                self._ids.add(tag)
                del self.by_tag[tag]
        for part in parts:
            part.judged += 1
            part.accepted += accepted
        for verdict in verdicts:
            part = self.by_verifier.setdefault(verdict.verifier, Passed())
            part.judged += 1
            part.accepted += verdict.passed is True
            part.undecided += verdict.passed is None
