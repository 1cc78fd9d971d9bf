"""Which files of a working copy the store has too, and in which order they go there.

Paths are below the lake, the same on both sides. A lake on a store is so what it is in a folder, less `catalog.duckdb`, and with
`journal/RUN-NNNNNN/commit-NNNNNN` in place of the journal's files.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from storage import footers
from storage.schemas import EMPTY, SNAPSHOTS, STORES

OWN = ".replica"
"""The folder of a working copy with what is about it alone."""
BATCHES = "journal/batches"
OUTBOXES = "journal/outbox"
"""What workers have put, each below RUN/WORKER: see `depot`. It isn't shared: the two sides have other files there."""
WASTE = "waste"
SMALL = ("manifests", "evaluations", WASTE, "answers", BATCHES)
"""What every command gets, before anything else."""
GROWING = (WASTE, "answers")
"""What grows during a run, a line at a time."""
LASTING = tuple(folder for folder in SMALL if folder not in {*GROWING, BATCHES})
"""What of the small may come while a writer is at work here: the rest it appends to, and removes."""
_ORDER = (*STORES, "index", "quarantine", *GROWING, BATCHES, *SNAPSHOTS, "evaluations", "manifests")
"""Whoever sees a file finds what it counts on: manifests are last."""


def shared(path: str) -> bool:
    """Return whether the store has, or is to have, what is at this path."""
    parts = PurePosixPath(path).parts
    return not any(part.startswith(".") for part in parts) and any(below(path, folder) for folder in _ORDER)


def below(path: str, folder: str) -> bool:
    """Return whether a path is in a folder, however deep."""
    return path.startswith(f"{folder}/")


def rank(path: str) -> int:
    """Return a number that is larger for what must come later."""
    return next(number for number, folder in enumerate(_ORDER) if below(path, folder))


def order(path: str) -> tuple[int, bool]:
    """Return what is larger for what must come later: among the same, a footer, which without its part is one that was lost."""
    return rank(path), path.endswith(".footer")


def footer(path: str) -> str:
    """Return where a part's footer is kept."""
    return footers.beside(PurePosixPath(path)).as_posix()


def growing(path: str) -> bool:
    """Return whether a path's content grows during a run."""
    return any(below(path, folder) for folder in GROWING)


def immutable(path: str) -> bool:
    """Return whether a path's content is the same for ever, once it is there."""
    return path.endswith((".parquet", ".footer")) and not path.endswith(EMPTY)


def part(path: str) -> bool:
    """Return whether it is a part of what all datasets share."""
    return path.endswith(".parquet") and not path.endswith(EMPTY) and any(below(path, table) for table in STORES)


def files(root: Path) -> list[str]:
    """Return what is in a working copy and belongs to the store, in the order in which it goes there."""
    found = (
        path.relative_to(root).as_posix()
        for folder in _ORDER
        for path in (root / folder).rglob("*")
        if path.is_file() and not path.is_symlink()
    )
    return sorted(filter(shared, found), key=lambda path: (*order(path), path))
