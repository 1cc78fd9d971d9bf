"""What keeps a journal's commits a second time, away from this machine's disk."""

from __future__ import annotations

from collections.abc import Iterable
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


class Depots(Protocol):
    """Where the lake is on an object store: what workers have put there of their outboxes. For whoever holds the lake."""

    def known(self) -> Iterable[str]:
        """Return the outboxes that something is there of, each as `RUN/WORKER`."""
        ...

    def bring(self, folder: Path) -> None:
        """Bring to an outbox's folder what is there of it and not here, be its worker gone or only out of sight."""
        ...

    def clear(self, folder: Path) -> None:
        """Return once what has become of an outbox is durable there, and what was brought is gone from there."""
        ...
