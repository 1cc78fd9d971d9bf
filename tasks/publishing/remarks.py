"""Remarks: what whoever exports should know of what isn't in the rows, a line each."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from storage.wording import counted
from tasks.publishing.mix import MIXED


def left_out(samples: Collection[str]) -> Iterator[str]:
    """Yield how many refuted samples have held-out items in them."""
    if samples:
        yield f"{counted(len(samples), 'refuted sample')} left out of all pairs, with items of held-out benchmarks"


def held_back(traces: Mapping[str, int]) -> Iterator[str]:
    """Yield that nothing is to be trained on. `traces`: how many each split has."""
    if MIXED not in traces:
        held = ", ".join(f"{number:,} in {name!r}" for name, number in traces.items())
        yield f"there is no trace in the split {MIXED!r}: all are held back ({held}); by groups that share texts, all may be one"


def empty(rows: Mapping[str, int]) -> Iterator[str]:
    """Yield which splits have no rows. `rows`: how many each has."""
    without = [name for name, number in rows.items() if not number]
    if len(without) == len(rows):
        yield "the export has no rows, and `datasets` loads nothing that has none"
    else:
        yield from (f"the split {name!r} has no rows in this form, and is left out of the export" for name in without)
