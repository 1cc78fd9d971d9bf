"""What stands in an export's rows as they are written: a form may leave some of what it was given out."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Written:
    """Conversations, by who answered them."""

    rows: int = 0
    """All; 0 where rows don't say whose they are."""
    people: array[int] = field(default_factory=lambda: array("Q"))
    """Those that no teacher answered, by `short`."""

    def see(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Count some rows, each of one conversation or of several."""
        for row in rows:
            ids, teachers = row.get("sample_id"), row.get("teacher")
            if isinstance(ids, str):
                ids, teachers = [ids], [teachers]
            self.rows += len(ids or ())
            self.people.extend(short(name) for name, teacher in zip(ids or (), teachers or (), strict=False) if teacher is None)


def short(sample_id: str) -> int:
    """Return a number for an id."""
    return int(sample_id[:16], 16)
