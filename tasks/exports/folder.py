"""Exports to a folder of this machine, which is replaced as a whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.errors import SpecError
from storage.parquet import refused, sync
from tasks.exports.place import MANIFEST, Place, foreign, own
from tasks.options import NAME_BYTES

_BESIDE = len("..new")
"""Bytes more that the name has of the folder beside it, in which it is made."""


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
        fresh, old = target.with_name(f".{target.name}.new"), target.with_name(f".{target.name}.old")
        try:
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(parents=True)
            yield _Beside(fresh)
            sync(fresh)
            shutil.rmtree(old, ignore_errors=True)
            if target.exists():
                target.rename(old)
            try:
                fresh.rename(target)
            except OSError:
                if old.exists():
                    old.rename(target)
                raise
            sync(target.parent)
            shutil.rmtree(old, ignore_errors=True)
        except OSError as error:
            raise refused(target, error) from error
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


class _Beside:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def done(self, path: Path) -> None:
        """Leave it where it is."""
