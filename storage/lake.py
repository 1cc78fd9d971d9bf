"""The lake: where things are, who may write, and what a landed build is.

A build's snapshots count from the moment its manifest is there: `manifests/builds/ID.json`, written last. `catalog.duckdb` is
made anew from the manifests, so nothing is lost with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from glob import escape
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from storage import journal
from storage.errors import StorageError
from storage.parquet import sync, write_rows, write_text
from storage.schemas import SNAPSHOTS, STORES, TABLES

Manifest = dict[str, Any]
EMPTY = "_empty.parquet"
"""A file without rows, by which a folder is known as a lake and a query finds a table's columns."""


class Lake:
    """A folder with the tables, the journal and the catalog."""

    def __init__(self, root: Path) -> None:
        """Name a lake; nothing is read or made yet."""
        self.root = root
        self.journal = root / "journal"
        self.batches = self.journal / "batches"
        self.staging = root / ".staging"
        self.catalog = root / "catalog.duckdb"

    @classmethod
    def at(cls, where: str) -> Lake:
        """Return the lake at a path. Raise StorageError where it can't be one."""
        scheme, colon, _ = where.partition("://")
        if colon and scheme != "file":
            raise StorageError(f"{where}: a lake must be a local folder for now; {scheme}:// isn't supported yet")
        root = Path(where.removeprefix("file://")).expanduser().absolute()
        if root.exists() and not root.is_dir():
            raise StorageError(f"{where}: a lake is a folder, and this is a file")
        return cls(root)

    @property
    def exists(self) -> bool:
        """Whether anything was ever built here."""
        return all((self.root / table / EMPTY).is_file() for table in STORES)

    def glob(self, table: str) -> str:
        """Return the pattern that all files of a table match."""
        return f"{escape(str(self.root / table))}/**/*.parquet"

    def snapshot(self, table: str, dataset: str, build_id: str) -> Path:
        """Return the folder of one build's rows of a table."""
        return self.root / table / f"dataset={dataset}" / f"build={build_id}"

    @contextlib.contextmanager
    def writing(self, waiting: Callable[[str], None], *, check: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Be the lake's only writer: make the folders, take the lock, and mend what a killed writer left.

        Where another process writes, `waiting` is called once with a line about it, and this waits. The lock is the kernel's, so
        it ends with its process, however that ends. `check` may raise to give up waiting.
        """
        lock = self._open_lock()
        try:
            said = False
            while not _locked(lock):
                if not said:
                    holder = os.pread(lock, 100, 0).decode(errors="replace").strip()
                    waiting(f"another process ({holder or 'unknown'}) is writing to {self.root}; waiting for it to end")
                    said = True
                check()
                time.sleep(0.2)
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"pid {os.getpid()}".encode(), 0)
            self._mend()
            yield
        finally:
            os.close(lock)

    def recover_if_idle(self) -> bool:
        """Land the responses that a killed build left in the journal; return whether no other build writes now.

        For commands that only look: nothing else is touched.
        """
        if not self.exists:
            return True
        lock = self._open_lock()
        try:
            if not _locked(lock):
                return False
            journal.recover(self.journal, self.root / "samples")
            return True
        finally:
            os.close(lock)

    def _open_lock(self) -> int:
        try:
            self.journal.mkdir(parents=True, exist_ok=True)
            return os.open(self.journal / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StorageError(f"{self.root}: can't be written: {error.strerror}") from error

    def _mend(self) -> None:
        for table in STORES:
            # A file without rows, so that a query over the table finds its columns before there is anything in it, and those
            # that parts of an earlier version lack.
            empty = self.root / table / EMPTY
            if not empty.exists() or pq.read_schema(empty) != TABLES[table]:
                write_rows(empty, TABLES[table], ())
        journal.recover(self.journal, self.root / "samples")
        shutil.rmtree(self.staging, ignore_errors=True)
        landed = {manifest["build_id"] for manifest in self.builds()}
        for table in SNAPSHOTS:
            for folder in (self.root / table).glob("dataset=*/build=*"):
                if folder.name.removeprefix("build=") not in landed:
                    shutil.rmtree(folder)
        for table in TABLES:
            for temporary in (self.root / table).glob("**/.*.tmp"):
                temporary.unlink()

    def land(self, manifest: Manifest, staged: Path) -> None:
        """Move a build's staged snapshots (`staged/TABLE/`) to their places and write its manifest, which makes them count."""
        for table in SNAPSHOTS:
            target = self.snapshot(table, manifest["dataset"], manifest["build_id"])
            target.parent.mkdir(parents=True, exist_ok=True)
            (staged / table).rename(target)
            sync(target.parent)
        write_text(self.root / "manifests" / "builds" / f"{manifest['build_id']}.json", _dump(manifest))

    def record_export(self, manifest: Manifest) -> None:
        """Write an export's manifest."""
        write_text(self.root / "manifests" / "exports" / f"{manifest['export_id']}.json", _dump(manifest))

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
            raise StorageError(f"{self.root}: no build of {dataset!r}; built here: {', '.join(known) or 'nothing yet'}")
        if build_id is None:
            return builds[-1]
        for manifest in builds:
            if manifest["build_id"] == build_id:
                return manifest
        raise StorageError(f"{self.root}: {dataset!r} has no build {build_id!r}; the newest is {builds[-1]['build_id']}")


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _dump(manifest: Manifest) -> str:
    return json.dumps(manifest, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _manifests(folder: Path) -> list[Manifest]:
    found = []
    for path in folder.glob("*.json"):
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
            if not {"created_at", "dataset", "build_id"} <= manifest.keys():
                raise ValueError("it isn't a manifest")  # noqa: TRY301 - one way out for all that is damaged
        except (ValueError, AttributeError, OSError) as error:
            raise StorageError(f"{path}: damaged: {error}; move it out of the lake") from error
        found.append(manifest)
    return sorted(found, key=lambda m: (m["created_at"], m.get("build_id", ""), m.get("export_id", "")))
