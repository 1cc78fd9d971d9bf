"""The guard: what keeps a dataset from feeding on itself."""

from __future__ import annotations

from tasks.guard_diversity import MinDiversity
from tasks.options import Options


class GuardOptions(Options):
    """The spec's `guard`."""

    min_diversity: MinDiversity | None = None
    """Bounds of the traces' diversity; a build beyond them isn't landed."""
