"""Stretches: a part of the dataset at a time, for steps that need memory which DuckDB can't spill."""

from __future__ import annotations

from collections.abc import Iterator

from storage.workspace import Workspace

SLOTS = 50_000
"""In a stretch: joining, sorting and gathering them takes a part of DuckDB's memory, however large the dataset is."""
BLOCKS = 16
"""Counted at a time in a stretch: it has so much less than `SLOTS` at most."""


def stretches(workspace: Workspace) -> Iterator[str]:
    """Yield conditions on `ord`, which part the dataset into stretches of consecutive prompts; every prompt is in one.

    A prompt has as many `slots` as any other or, where it is barred or a probe leaves it out, none.
    """
    ((each,),) = workspace.rows("SELECT coalesce((max(arm) + 1) * (max(sample_index) + 1), 1) FROM slots")
    block = max(1, SLOTS // (BLOCKS * each))
    counted = workspace.rows(f"SELECT ord // {block} AS block, count(*) FROM slots GROUP BY block ORDER BY block")
    first, slots = 0, 0
    for number, here in counted:
        if slots and slots + here > SLOTS:
            yield f"ord BETWEEN {first} AND {number * block - 1}"
            first, slots = number * block, 0
        slots += here
    yield f"ord >= {first}"  # prompts without slots may follow
