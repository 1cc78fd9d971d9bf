"""The lake: where things are, who may write, and what a landed build is.

A build's snapshots count from the moment its manifest is there: `manifests/builds/ID.json`, written last. `catalog.duckdb` is
made anew from the manifests, so nothing is lost with it. A lake on an object store is a working copy in a folder, and its
`replica`, which keeps the store and the folder the same.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from storage import checks, footers, outbox, segments, verdicts, waste
from storage.disk import sync, write_text, writing
from storage.errors import LakeDamaged, StorageError
from storage.locks import taken
from storage.parquet import UNREADABLE, write_rows
from storage.schemas import EMPTY, LATER, SNAPSHOTS, STORES, TABLES

if TYPE_CHECKING:
    from storage.remote.replica import Replica

Manifest = dict[str, Any]
logger = logging.getLogger(__name__)
ORPHANS_S = 60.0
"""Workers of a run that was killed get so long to end."""


class Lake:
    """A folder with the tables, the journal and the catalog."""

    def __init__(self, root: Path, *, replica: Replica | None = None) -> None:
        """Name a lake; nothing is read or made yet. `replica`: of which store the folder is the working copy."""
        self.root = root
        self.replica = replica
        self.journal = root / "journal"
        self.batches = self.journal / "batches"
        self.judged = self.journal / "verdicts"
        self.checks = self.journal / "checks"
        """Where a run keeps what checks were answered that are under way: see `storage.checks`."""
        self.segments = {"samples": self.journal, "scores": self.journal / "scores"}
        """By table, where a journal has what is in no part yet."""
        self.outboxes = self.journal / "outbox"
        """Where workers on a cluster keep what they buy: see `storage.outbox`."""
        self.waste = root / "waste"
        self.answers = root / "answers"
        self.index = root / "index"
        self.evaluations = root / "evaluations"
        self.staging = root / ".staging"
        self.catalog = root / "catalog.duckdb"
        self.quarantine = root / "quarantine"
        """Where what was damaged is put aside; nobody reads it."""

    @classmethod
    def at(cls, where: str, *, say: Callable[[str], None] = logger.info) -> Lake:
        """Return the lake at a path or a URL. Raise StorageError where it can't be one.

        Of a lake on an object store, what is small is brought here, and `say` is told of what takes long.
        """
        if not where.strip():
            raise StorageError("the lake's name (--lake) is empty, as where a variable isn't set; name a folder")
        scheme, colon, _ = where.partition("://")
        if colon and scheme != "file":
            from storage.remote.replica import Replica

            replica = Replica.open(where, say=say)
            return cls(replica.root, replica=replica)
        root = Path(where.removeprefix("file://")).expanduser().absolute()
        try:
            if root.exists() and not root.is_dir():
                raise StorageError(f"{where}: a lake is a folder, and this is a file")
            if root.exists():
                for folder in (root, *filter(Path.is_dir, root.iterdir())):
                    os.scandir(f"{folder}/.").close()  # the dot needs leave to enter it, too
        except OSError as error:
            raise StorageError(f"{Path(error.filename)}: can't be read: {error.strerror}") from error
        if "?" in str(root):
            raise StorageError(f"{root}: a lake's path can't have a '?': DuckDB takes what follows it for settings")
        return cls(root)

    @property
    def where(self) -> str:
        """What a user calls it: its folder or its URL."""
        return str(self.root) if self.replica is None else self.replica.url

    @property
    def exists(self) -> bool:
        """Whether anything was ever built here."""
        return all(self.has(table) for table in STORES if table not in LATER)

    def has(self, table: str) -> bool:
        """Whether a table that is shared by all datasets is there, be it without rows."""
        return (self.root / table / EMPTY).is_file()

    def glob(self, table: str) -> str:
        """Return the pattern that all files of a table match; those that all datasets share are brought here first."""
        if self.replica is not None and table in STORES:
            self.replica.bring(self.root / table)
        return f"{escape(str(self.root / table))}/**/*.parquet"

    def snapshot(self, table: str, dataset: str, build_id: str) -> Path:
        """Return the folder of one build's rows of a table, which are brought here first."""
        folder = self.root / table / f"dataset={dataset}" / f"build={build_id}"
        if self.replica is not None:
            self.replica.bring(folder)
        return folder

    @contextlib.contextmanager
    def writing(
        self,
        waiting: Callable[[str], None],
        *,
        check: Callable[[], None] = lambda: None,
        lost: Callable[[StorageError], None] = lambda _: None,
    ) -> Iterator[None]:
        """Be the lake's only writer: make the folders, take the lock, and mend what a killed writer left.

        Where another process writes, `waiting` is called once with a line about it, and this waits. The lock is the kernel's, so
        it ends with its process, however that ends. `check` may raise to give up waiting. On an object store there is a lease
        too, over all machines, and `lost` is called, from another thread, where it can't be kept.
        """
        lock = self._open_lock()
        try:
            said = False
            while not taken(lock):
                if not said:
                    holder = os.pread(lock, 100, 0).decode(errors="replace").strip()
                    waiting(f"another process ({holder or 'unknown'}) is writing to {self.root}; waiting for it to end")
                    said = True
                check()
                time.sleep(0.2)
            _sign(lock)
            with self._leased(waiting, check=check, lost=lost):
                self.mend(check)
                self._push()
                yield
        finally:
            os.close(lock)

    @contextlib.contextmanager
    def alone(self) -> Iterator[bool]:
        """Hold the lock unless another process does, and give whether this one has it. Nothing is mended."""
        lock = self._open_lock()
        try:
            if not taken(lock):
                yield False
                return
            _sign(lock)
            with self._leased(logger.info, wait=False) as free:
                yield free
        finally:
            os.close(lock)

    @contextlib.contextmanager
    def _leased(self, waiting: Callable[[str], None], **how: Any) -> Iterator[bool]:
        """Hold the lease of a lake on an object store, and send there what is new here on leaving."""
        if self.replica is None:
            yield True
            return
        with self.replica.held({**self.segments, "verdicts": self.judged}, waiting, **how) as held:
            try:
                yield held
            finally:
                if held:
                    self.replica.lease.lingers = outbox.anybody_writes(self.outboxes)
                    self._push()

    def _push(self) -> None:
        if self.replica is not None:
            self.replica.push()

    def recover_if_idle(self) -> bool:
        """Land the responses that a killed build left in the journal; return whether no other build writes now.

        For commands that only look: nothing else is touched.
        """
        if not self.exists:
            return True
        left = (*self.journal.rglob("*.jsonl"), *self.outboxes.glob("*/*/"))
        if self.replica is not None and not self.replica.waiting and not left:
            return True
        with self.alone() as free:
            if free:
                self._recover()
            return free

    def _recover(self, patience_s: float = 0.0, check: Callable[[], None] = lambda: None) -> None:
        for table, folder in self.segments.items():
            for segment in sorted(folder.glob("*.jsonl")):
                waste.settle_segment(segment, self.waste)
            segments.recover(folder, self.root / table, TABLES[table])
        verdicts.recover(self.judged, self.root / "verdicts", self.quarantine / "verdicts")
        checks.recover(self.checks, self.answers, self.waste, self.root / "verdicts")
        depots = self.replica.depots if self.replica is not None else None
        outbox.settle(self.outboxes, self.root, self.waste, self.answers, depots=depots, patience_s=patience_s, check=check)

    def _open_lock(self) -> int:
        try:
            self.journal.mkdir(parents=True, exist_ok=True)
            return os.open(self.journal / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StorageError(f"{self.root}: can't be written: {error.strerror}") from error

    def mend(self, check: Callable[[], None] = lambda: None) -> None:
        """Make the folders, and put in order what a killed writer left. The caller holds the lock."""
        for table in STORES:
            # A file without rows, so that a query over the table finds its columns before there is anything in it, and those
            # that parts of an earlier version lack.
            empty = self.root / table / EMPTY
            if not _has(empty, table):
                write_rows(empty, TABLES[table], ())
        self._recover(ORPHANS_S, check)
        shutil.rmtree(self.staging, ignore_errors=True)
        for path in self.leftovers():
            with writing(path):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            self.gone(path)

    def gone(self, path: Path) -> None:
        """Remove from the object store what was removed here."""
        if self.replica is not None and not path.name.startswith("."):
            self.replica.drop(path)

    def leftovers(self) -> list[Path]:
        """Return what killed writers left beside the journal: unfinished files, and snapshots whose build never counted."""
        landed = {manifest["build_id"] for manifest in self.builds()}
        found = [self.staging] if any(self.staging.glob("*")) else []
        for table in SNAPSHOTS:
            folders = (self.root / table).glob("dataset=*/build=*")
            found += [folder for folder in folders if folder.name.removeprefix("build=") not in landed]
        found += filter(footers.is_astray, self.index.glob("**/*.footer"))
        for footer in self._astray():
            part = footers.part_of(footer)
            if part is None or self._is_aside(part) or footers.rows(part) == 0:
                found.append(footer)
        for name in (*TABLES, self.index.name, self.evaluations.name, "manifests"):
            found += (self.root / name).glob("**/.*.tmp")
        for folder in (self.waste, self.answers, self.batches, self.checks, self.judged, *self.segments.values()):
            found += folder.glob(".*.tmp")
        found += self.root.glob(f".{self.catalog.name}.tmp*")
        return [path for path in sorted(found) if not any(path.is_relative_to(other) for other in found if other != path)]

    def missing(self) -> list[Path]:
        """Return the parts of what all datasets share that somebody, or the disk, has removed: their footers are still there.

        Whatever removes a part here removes its footer first, and writes it last. A part that is yet to be landed from its
        segment, or fetched from the object store, isn't missing; neither is one without rows, which an earlier version removed.
        """
        parts = filter(None, map(footers.part_of, self._astray()))
        return sorted(part for part in parts if not (self._is_aside(part) or self._is_to_come(part) or footers.rows(part) == 0))

    def _astray(self) -> list[Path]:
        kept = (footer for table in STORES for footer in (self.root / table).glob("**/*.footer"))
        return list(filter(footers.is_astray, kept))

    def _is_aside(self, part: Path) -> bool:
        """Whether a repair was killed when it had moved the part, and not its footer."""
        return any(self.quarantine.glob(f"*/{escape(part.relative_to(self.root).as_posix())}"))

    def _is_to_come(self, part: Path) -> bool:
        if self.replica is not None and part.relative_to(self.root).as_posix() in self.replica.there:
            return True
        folders = {self.root / table: folder for table, folder in {**self.segments, "verdicts": self.judged}.items()}
        return part.parent in folders and (folders[part.parent] / f"{part.stem}.jsonl").exists()

    def land(self, manifest: Manifest, staged: Path) -> None:
        """Move a build's staged snapshots (`staged/TABLE/`) to their places and write its manifest, which makes them count."""
        for table in SNAPSHOTS:
            if table == "grown" and not (staged / table).exists():
                continue  # nothing was
            target = self.snapshot(table, manifest["dataset"], manifest["build_id"])
            with writing(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                (staged / table).rename(target)
                sync(target.parent)
        path = self.root / "manifests" / "builds" / f"{manifest['build_id']}.json"
        if self.replica is not None:
            self.replica.land(path, _dump(manifest))
        else:
            write_text(path, _dump(manifest))

    def record_export(self, manifest: Manifest) -> None:
        """Write an export's manifest."""
        self._write(self.root / "manifests" / "exports" / f"{manifest['export_id']}.json", manifest)

    def record_evaluation(self, found: dict[str, Any], failed: dict[str, str]) -> Path:
        """Write what an evaluation found, beside it why slots `failed`, by `sample_id`, and return where the first is."""
        path = self.evaluations / f"{found['evaluation_id']}.json"
        if failed:
            self._write(path.with_suffix(".failed.json"), failed)
        self._write(path, found)
        return path

    def failed_in_evaluations(self) -> dict[str, str]:
        """Return why slots failed in evaluations, by the last one, by `sample_id`. Raise StorageError where that is damaged."""
        failed: dict[str, str] = {}
        for path in sorted(self.evaluations.glob("*.failed.json")):
            try:
                failed |= json.loads(path.read_text(encoding="utf-8"))
            except (ValueError, TypeError, OSError) as error:
                raise StorageError(f"{path}: damaged: {error}; move it out of the lake, and all of it is asked again") from error
        return failed

    def _write(self, path: Path, manifest: Manifest) -> None:
        write_text(path, _dump(manifest))
        if self.replica is not None:
            self.replica.keep(path)

    def builds(self, dataset: str | None = None) -> list[Manifest]:
        """Return the manifests of landed builds, oldest first."""
        found = _manifests(self.root / "manifests" / "builds")
        return [m for m in found if dataset is None or m["dataset"] == dataset]

    def exports(self) -> list[Manifest]:
        """Return the manifests of exports, oldest first."""
        return _manifests(self.root / "manifests" / "exports")

    def build(self, dataset: str, build_id: str | None = None) -> Manifest:
        """Return the newest build of a dataset, or the one of that id. Raise StorageError where there is none."""
        builds = self.builds(dataset)
        if not builds:
            known = sorted({m["dataset"] for m in self.builds()})
            raise StorageError(f"{self.where}: no build of {dataset!r}; built here: {', '.join(known) or 'nothing yet'}")
        if build_id is None:
            return builds[-1]
        for manifest in builds:
            if manifest["build_id"] == build_id:
                return manifest
        raise StorageError(f"{self.where}: {dataset!r} has no build {build_id!r}; the newest is {builds[-1]['build_id']}")


def _sign(lock: int) -> None:
    # For whoever waits to read; a full disk, which refuses it, must not keep anybody from making room.
    with contextlib.suppress(OSError):
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"pid {os.getpid()}".encode(), 0)


def _has(empty: Path, table: str) -> bool:
    try:
        return bool(pq.read_schema(empty) == TABLES[table])
    except UNREADABLE:  # nothing is in it, so that nothing is lost when it is written anew
        return False


def _dump(manifest: Manifest) -> str:
    return json.dumps(manifest, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _manifests(folder: Path) -> list[Manifest]:
    found = [read_manifest(path) for path in folder.glob("*.json")]
    return sorted(found, key=lambda m: (m["created_at"], m.get("build_id", ""), m.get("export_id", "")))


def read_manifest(path: Path) -> Manifest:
    """Return a manifest. Raise LakeDamaged where it isn't one."""
    try:
        manifest: Manifest = json.loads(path.read_text(encoding="utf-8"))
        if not {"created_at", "dataset", "build_id"} <= manifest.keys():
            raise ValueError("it isn't a manifest")  # noqa: TRY301 - one way out for all that is damaged
    except (ValueError, AttributeError) as error:
        raise LakeDamaged(path, f"damaged: {error}") from error
    except OSError as error:
        raise StorageError(f"{path}: can't be read: {error.strerror or error}") from error
    return manifest
