"""Exports to a folder of this machine, which is replaced as a whole."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from storage.disk import sync, writing
from storage.errors import SpecError, StorageError
from storage.locks import taken
from tasks.destinations.place import MANIFEST, Place, foreign, own
from tasks.options import NAME_BYTES

logger = logging.getLogger(__name__)
_SUFFIX = ".stillhouse"
_BESIDE = len(f".{_SUFFIX}")
"""Bytes more that the name has of the folder beside it, in which it is made."""
_LOCK = "export.lock"
"""A file of that folder, which is locked while an export is made there, and by which it is known to be ours."""


class Folder:
    """A folder of this machine, replaced as a whole."""

    def __init__(self, to: str) -> None:
        """Name it; nothing is looked at yet."""
        self._to = to
        self._path = Path(to).expanduser()
        self.shown = str(self._path.absolute())

    def check(self) -> None:
        """Raise SpecError where it is a file, has files that an earlier export didn't write, or can't be made."""
        try:
            self._check()
        except OSError as error:
            raise SpecError(f"exports: {self._to}: can't be written: {error.strerror}") from error

    def _check(self) -> None:
        path = self._path.absolute()
        above = next(folder for folder in path.resolve().parents if folder.exists())
        if not above.is_dir():
            raise SpecError(f"exports: {self._to}: {above} is a file")
        if not os.access(above, os.W_OK | os.X_OK):
            raise SpecError(f"exports: {self._to}: can't be written: {above} is not yours to write to")
        if len(os.fsencode(path.resolve().name)) > NAME_BYTES - _BESIDE:
            raise SpecError(f"exports: {self._to}: its name is longer than {NAME_BYTES - _BESIDE} bytes; choose a shorter one")
        beside = _beside(path.resolve())
        if _foreign(beside):
            raise SpecError(f"exports: {self._to}: is made in {beside}, where somebody else's files are; move them")
        if self._path.exists() and not self._path.is_dir():
            raise SpecError(f"exports: {self._to}: is a file, and an export is a folder")
        if self._path.is_dir():
            names = [path.name for path in self._path.iterdir()]
            try:
                manifest = (self._path / MANIFEST).read_bytes()
            except OSError:
                manifest = b""
            others = set(names) - own(manifest, names)
            if others:
                raise foreign(self._to, others)

    @contextmanager
    def filling(self, scratch: Path) -> Iterator[Place]:  # noqa: ARG002 - a rename needs the same disk
        """Give a folder beside it, which takes its place once it is whole."""
        self.check()
        target = self._path.resolve()
        with _alone(target) as (fresh, old):
            self.check()  # what stands there now
            with writing(target):
                fresh.mkdir()
            yield _Beside(fresh)
            with writing(target):
                sync(fresh)
                if target.exists():
                    target.rename(old)
                try:
                    fresh.rename(target)
                except OSError:
                    if old.exists():
                        old.rename(target)
                    raise
                sync(target.parent)


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}{_SUFFIX}")


def _foreign(beside: Path) -> bool:
    """Whether somebody else's file or folder has the name of the one beside an export."""
    if not beside.is_dir():
        return os.path.lexists(beside)
    return not (beside / _LOCK).exists() and any(beside.iterdir())


@contextmanager
def _alone(target: Path) -> Iterator[tuple[Path, Path]]:
    """Give one process at a time where an export is made, and where the earlier one waits for it. Nothing is left of both."""
    beside = _beside(target)
    fresh, old = beside / "new", beside / "old"
    with writing(target):
        lock = _locked(target, beside)
    try:
        with writing(target):
            if old.exists() and not target.exists():
                old.rename(target)
                logger.warning("%s: an export was killed as it replaced this one, which is back", target)
        _clear(fresh, old)
        yield fresh, old
    finally:
        _clear(fresh, old)
        (beside / _LOCK).unlink(missing_ok=True)
        with suppress(OSError):
            beside.rmdir()
        os.close(lock)


def _locked(target: Path, beside: Path) -> int:
    while True:
        with suppress(FileNotFoundError):  # whoever had it removes it
            beside.mkdir(parents=True, exist_ok=True)
            lock = os.open(beside / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
            if not taken(lock):
                os.close(lock)
                raise StorageError(f"{target}: another export is being written there; wait for its end, or name another folder")
            if os.fstat(lock).st_nlink:
                return lock
            os.close(lock)


def _clear(*folders: Path) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


class _Beside:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def done(self, path: Path) -> None:
        """Leave it where it is."""
