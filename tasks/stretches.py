"""Stretches: a part of the dataset at a time, for steps that need memory which DuckDB can't spill."""

from __future__ import annotations

from collections.abc import Iterator

from storage.workspace import Workspace

SLOTS = 250_000
"""In a stretch: joining, sorting and gathering them takes a part of DuckDB's memory, however large the dataset is."""


def stretches(workspace: Workspace) -> Iterator[str]:
    """Yield conditions on `ord`, which part `slots` into stretches of consecutive prompts."""
    ((slots, prompts),) = workspace.rows("SELECT count(*), coalesce(max(ord), -1) + 1 FROM slots")
    # Every prompt has as many slots as any other, and what `spread` leaves is spread evenly.
    step = max(1, prompts * SLOTS // max(slots, 1))
    for first in range(0, prompts, step):
        yield f"ord BETWEEN {first} AND {first + step - 1}"
