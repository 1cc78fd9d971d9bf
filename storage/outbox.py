"""Outboxes: what processes beside the lake's writer bought, until that one takes it over.

    journal/outbox/RUN/lock             held by the run for as long as it lives
    journal/outbox/RUN/WORKER/lock      held by one worker of its, likewise
    journal/outbox/RUN/WORKER/…         the worker's journal and verdicts, and the parts that it has made of them

A response is on disk in its worker's outbox before it is counted, and only who holds the lake's lock moves it on. The locks are
the kernel's, so each ends with its process however that ends: a worker sees by its run's lock that nobody waits for it any more,
and a run, or the next one, sees by a worker's lock that nothing more will come. Where the lake is on an object store its working
copy has the outboxes, and the store what was put of each, its depot (`storage.remote.depot`): by it the next run has them on
another machine too.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from storage import checks, segments, verdicts
from storage.disk import sync, writing
from storage.errors import StorageError
from storage.locks import taken
from storage.protocol import Depots
from storage.waste import settle_segment as settle_waste

LOOK_S = 0.2
"""Between two looks at a lock that somebody holds."""


class Outbox:
    """The folder of one worker in one run."""

    def __init__(self, folder: Path) -> None:
        """Name it; nothing is read or made."""
        self.folder = folder
        self.name = f"{folder.parent.name}-{folder.name}"
        """What its parts are called: no other run's or worker's are called so."""
        self.journal = folder / "journal"
        self.judged = folder / "judged"
        self.samples = folder / "samples"
        self.verdicts = folder / "verdicts"
        self.waste = folder / "waste"
        self.answers = folder / "answers"
        self.checks = folder / "checks"
        self.asked = folder / "asked"
        """By shard, the slots that were asked for: the run reads them when it hears that the shard is done."""
        self.ledger = folder / "ledger.json"
        """What the worker spent and how it stands, written anew about once a second."""
        self.segments = {"samples": self.journal, "verdicts": self.judged}
        """By table, what was bought and is in no part yet."""
        self.parts = {"samples": self.samples, "verdicts": self.verdicts}
        """By table, parts."""

    def noted(self, shard: int, kind: str) -> Path:
        """Return where it is noted what was asked for of a shard, or that it was judged."""
        return self.asked / f"{shard:06d}-{kind}.parquet"

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Be its worker. Raise StorageError where the run's folder is gone: it has ended."""
        with writing(self.folder):
            self.folder.mkdir()
        with _lock(self.folder / "lock"):
            yield

    def is_free(self) -> bool:
        """Whether its worker has ended."""
        return _is_free(self.folder / "lock")

    def take_over(self, root: Path, waste: Path, answers: Path, depots: Depots | None = None) -> list[Path]:
        """Move all that is in it to the lake's places, and remove it; return the parts of samples that there are now of it.

        The caller holds the lake's lock, and the outbox is free. `depots`: where more of it may be, and what it becomes is to be
        durable too. Safe to repeat where it was broken off. Segments are landed from the lake's own journal: where one is
        damaged, a repair finds it there. Raise LakeDamaged then.
        """
        if depots is not None:
            depots.bring(self.folder)
        # Before the segments, which are landed even where this is broken off, and then have their waste settled.
        for folder, target in ((self.waste, waste), (self.answers, answers)):
            _move_grown(sorted(folder.glob("*.jsonl")), target)
        self.move_parts(root)
        bought = _move(sorted(self.journal.glob("*.jsonl")), root / "journal")
        judged = _move(sorted(self.judged.glob("*.jsonl")), root / "journal" / "verdicts")
        # By name: a run that lives has segments of its own in these folders.
        for segment in bought:
            settle_waste(segment, waste)
            segments.land(segment, root / "samples")
        for segment in judged:
            verdicts.land(segment, root / "verdicts", root / "quarantine" / "verdicts")
        checks.recover(self.checks, answers, waste, root / "verdicts")
        if depots is not None:
            depots.clear(self.folder)
        with writing(self.folder):
            shutil.rmtree(self.folder)
        return sorted((root / "samples").glob(f"{self.name}-*.parquet"))

    def move_parts(self, root: Path) -> None:
        """Move its parts to the lake's tables."""
        for table, folder in self.parts.items():
            # A part goes before its footer: a footer without a part is one that was lost.
            for pattern in ("*.parquet", "*.footer"):
                _move(sorted(folder.glob(pattern)), root / table)


@contextlib.contextmanager
def open_run(folder: Path) -> Iterator[None]:
    """Let workers have outboxes in a run's folder until this is left."""
    with writing(folder):
        folder.mkdir(parents=True)
    try:
        with _lock(folder / "lock"):
            yield
    finally:
        with contextlib.suppress(OSError):  # an outbox that is still there is taken over by the next run
            (folder / "lock").unlink()
            folder.rmdir()


def run_lives(folder: Path) -> bool:
    """Whether the run whose folder this is still waits for its workers."""
    return not _is_free(folder / "lock")


def outboxes(folder: Path) -> list[Outbox]:
    """Return the outboxes in a run's folder."""
    return [Outbox(path) for path in sorted(folder.glob("*")) if path.is_dir()]


def anybody_writes(folder: Path) -> bool:
    """Whether an outbox in the folder of all runs has its worker yet."""
    return any(not box.is_free() for run in folder.glob("*") for box in outboxes(run))


def settle(
    folder: Path,
    root: Path,
    waste: Path,
    answers: Path,
    *,
    depots: Depots | None = None,
    patience_s: float = 0.0,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Take over what workers of ended runs left in the folder of all runs, and in the depots. The caller holds the lake's lock.

    A worker that is still there sees within seconds that its run has ended, and is waited for. Raise StorageError where it
    doesn't end; with no patience it is left alone.
    """
    until = time.monotonic() + patience_s
    for name in depots.known() if depots is not None else ():
        with writing(folder):
            (folder / name).mkdir(parents=True, exist_ok=True)
    for run in sorted(folder.glob("*")):
        for box in outboxes(run):
            while not box.is_free() and time.monotonic() < until:
                check()
                time.sleep(LOOK_S)
            if box.is_free():
                box.take_over(root, waste, answers, depots)
            elif patience_s:
                raise StorageError(
                    f"{box.folder}: a worker of a run that has ended still writes here; end it (its ledger.json says where it "
                    "runs), and start again"
                )
        if not outboxes(run):
            shutil.rmtree(run, ignore_errors=True)


def _move_grown(paths: list[Path], target: Path) -> None:
    """Move files that only grew, but not over one that has more: what is brought from a store again may be older."""
    for path in paths:
        with writing(path):
            there = target / path.name
            if there.exists() and there.stat().st_size >= path.stat().st_size:
                path.unlink()
    _move([path for path in paths if path.exists()], target)


def _move(paths: list[Path], target: Path) -> list[Path]:
    """Move files to a folder, and return where they are now."""
    for path in paths:
        with writing(target):
            target.mkdir(parents=True, exist_ok=True)
            path.rename(target / path.name)
    if paths:
        sync(target)
    return [target / path.name for path in paths]


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    with writing(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not taken(handle):
            raise StorageError(f"{path}: another process holds it")
        yield
    finally:
        os.close(handle)


def _is_free(path: Path) -> bool:
    """Whether nobody holds a lock. One that isn't there is free: it is made before anything else."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return True
    except OSError as error:
        raise StorageError(f"{path}: can't be read: {error.strerror or error}") from error
    try:
        return taken(handle, shared=True)
    finally:
        os.close(handle)
