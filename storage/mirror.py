"""What keeps a journal's commits a second time, away from this machine's disk."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class Mirror(Protocol):
    """Where the lake is on an object store, that store.

    A segment is named by its file here. Its commits have numbers in their order; each holds whole lines.
    """

    async def put(self, segment: Path, number: int, data: bytes) -> None:
        """Return once a commit is durable there. Raise StorageError where it can't be made so."""
        ...

    async def landed(self, segment: Path, part: Path) -> None:
        """Return once the part that a segment has become is durable there, and its commits are gone."""
        ...


class Keeper(Protocol):
    """For small files that are written whole."""

    def keep(self, path: Path) -> None:
        """Return once what is at this path is durable there too."""
        ...

    def drop(self, path: Path) -> None:
        """Return once nothing is at this path there either."""
        ...
