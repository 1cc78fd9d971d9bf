"""What one request is billed for: what is of no use, or of none yet, is noted at once. A kill may come before the sample."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from storage.errors import StorageError
from storage.waste import Note, Waste
from tasks.teachers.options import TeacherOptions
from tasks.teachers.protocol import Usage


@dataclass(slots=True, kw_only=True)
class Bill:
    """The bill for one request, from its first attempt to its last."""

    waste: Waste | None
    """Where later runs find what was billed in vain. None: nowhere."""
    sample_id: str
    """The slot that it is asked for."""
    options: TeacherOptions
    """The teacher's."""
    _open: list[Usage] = field(default_factory=list)
    """Of responses that something may come of."""

    def add(self, usage: Usage) -> None:
        """Hear of a response."""
        self._open.append(usage)

    def in_vain(self, usage: Usage) -> None:
        """Hear that it is asked for again. Raise StorageError where that can't be noted."""
        if usage in self._open:
            self._open.remove(usage)
        self._note([usage])

    def unanswered(self, usage: Usage, given_up: bool) -> None:
        """Hear of an attempt that saw no answer, and what may be billed for it. Raise StorageError where that can't be noted."""
        note = self._of([usage])
        if self.waste is not None and note["cost_usd"]:
            note["estimated"] = f"{'given up in flight' if given_up else 'no answer seen'}, estimated"
            self.waste.note(**note)

    def lost(self) -> None:
        """Hear that nothing comes of it any more. Raise StorageError where that can't be noted."""
        left, self._open = self._open, []
        self._note(left)

    def refused(self) -> None:
        """Hear that no disk, as it says, takes the sample: what that cost is noted, unless it is on one all the same."""
        with contextlib.suppress(StorageError):  # the run ends by that disk
            self.lost()

    def carries(self, told: Sequence[Usage]) -> list[Note]:
        """Return the notes of what isn't in vain any more once a sample that carries its cost is on disk."""
        return [self._of([usage]) for usage in told] if self.waste is not None else []

    def carried(self, told: Sequence[Usage]) -> None:
        """Hear that the sample is on disk. Where a kill comes before, `storage.waste.settle` finds that in the journal."""
        self._open = []
        if self.waste is not None and told:
            with contextlib.suppress(StorageError):  # it counts twice then: better than not at all, and the run ends by that disk
                self.waste.take_back(self.carries(told))

    def _note(self, usages: Sequence[Usage]) -> None:
        if self.waste is not None and usages:
            self.waste.note(**self._of(usages))

    def _of(self, usages: Sequence[Usage]) -> Note:
        price = self.options.price
        return {
            "sample_id": self.sample_id,
            "teacher": self.options.name,
            "cost_usd": sum(map(price.cost, usages)) if price else 0.0,
            "tokens_in": sum(usage.tokens_in for usage in usages),
            "tokens_out": sum(usage.tokens_out for usage in usages),
            "responses": len(usages),
        }
