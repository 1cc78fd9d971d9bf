"""Exports to any file system that fsspec writes to: `s3://`, `gs://`, `az://`, `sftp://`, `memory://` and more."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from storage.disk import writing
from storage.errors import SetupError, SpecError, StillhouseError, StorageError
from storage.wording import first_line
from tasks.destinations.place import MANIFEST, UNFINISHED, Place, foreign, own

_NEW = ".new"
"""Where new files wait until all of them have arrived, when there is an earlier export to replace."""
_PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs", "abfss": "adlfs"}
_READ_ONLY = frozenset({"http", "https", "data", "github", "git", "zip", "tar", "reference", "simplecache", "filecache"})


class Remote:
    """A folder behind a URL.

    An object store knows no rename of a folder, so the manifest says what counts. It is written last. While files move, it says
    that it is unfinished; a failure before that leaves the earlier export as it was.
    """

    def __init__(self, to: str) -> None:
        """Name it. Raise SpecError or SetupError where fsspec can't write there."""
        import fsspec

        self.shown = to.rstrip("/")
        protocol = to.partition("://")[0]
        if protocol in _READ_ONLY or "::" in to:
            raise SpecError(f"exports: {to}: {protocol}:// can only be read; name a folder that can be written to")
        try:
            fsspec.get_filesystem_class(protocol)
        except ValueError:
            raise SpecError(
                f"exports: {to}: {protocol}:// is unknown; name a folder, hf://datasets/NAME/NAME, or a URL such as s3://BUCKET/FOLDER"
            ) from None
        except ImportError:
            package = _PACKAGES.get(protocol)
            how = f"`pip install {package}`" if package else f"install the package by which fsspec knows {protocol}://"
            raise SetupError(f"exports: {to}: needs a package that isn't here: {how}") from None

    def check(self) -> None:
        """Raise SpecError where it has files that an earlier export didn't write, StorageError where it can't be looked at."""
        with self._told("read"):
            files, root = self._open()
            self._earlier(files, root)

    @contextmanager
    def filling(self, scratch: Path) -> Iterator[Place]:
        """Give a folder whose files are sent as they are done."""
        with writing(scratch):
            scratch.mkdir(parents=True, exist_ok=True)
        with self._written():
            files, root = self._open()
            earlier = self._earlier(files, root)
            place = _Sending(files, root, f"{root}/{_NEW}" if earlier else root, scratch, self._written)
        try:
            with self._written():
                if not earlier:
                    place.unfinished()
            yield place
            with self._written():
                place.settle(earlier)
        except BaseException:
            with suppress(Exception):
                place.take_back()
            raise

    def _open(self) -> tuple[Any, str]:
        import fsspec

        files, root = fsspec.core.url_to_fs(self.shown)
        files.invalidate_cache()
        return files, root.rstrip("/")

    def _earlier(self, files: Any, root: str) -> set[str]:
        """Return the names of an earlier export's files."""
        try:
            listed = files.ls(root, detail=True)
        except FileNotFoundError:
            return set()
        if [each["name"].rstrip("/").lstrip("/") for each in listed] == [root.lstrip("/")] and listed[0]["type"] == "file":
            raise SpecError(f"exports: {self.shown}: is a file, and an export is a folder")
        names = [each["name"].rstrip("/").rpartition("/")[2] for each in listed if each["name"].strip("/") != root.strip("/")]
        manifest = files.cat_file(f"{root}/{MANIFEST}") if MANIFEST in names else b""
        ours = own(manifest, names)
        others = set(names) - ours - {_NEW}
        if others:
            raise foreign(self.shown, others)
        return ours

    def _written(self) -> AbstractContextManager[None]:
        return self._told("written")

    @contextmanager
    def _told(self, done: str) -> Iterator[None]:
        try:
            yield
        except StillhouseError:
            raise
        except Exception as error:  # each file system has its own
            raise StorageError(f"{self.shown}: can't be {done}: {first_line(error)}") from error


class _Sending:
    def __init__(self, files: Any, root: str, to: str, folder: Path, written: Callable[[], AbstractContextManager[None]]) -> None:
        self._written = written
        self._files, self._root, self._to, self.folder = files, root, to, folder
        self._sent: list[str] = []
        if to != root and files.exists(to):  # of an upload that was killed
            files.rm(to, recursive=True)
        files.makedirs(to, exist_ok=True)

    def done(self, path: Path) -> None:
        """Send it; the manifest waits for `settle`."""
        if path.name != MANIFEST:
            with self._written():
                self._files.put_file(str(path), f"{self._to}/{path.name}")
            self._sent.append(path.name)
            path.unlink()

    def unfinished(self) -> None:
        """Say that what lies there isn't whole."""
        text = json.dumps({"dataset": "", "build_id": "", "rows": 0, "shards": [], UNFINISHED: True}) + "\n"
        self._files.pipe_file(f"{self._root}/{MANIFEST}", text.encode())

    def settle(self, earlier: set[str]) -> None:
        """Replace the earlier export's files by those that were sent, and the manifest last."""
        if self._to != self._root:
            self.unfinished()
            for name in sorted(earlier - {MANIFEST}):
                self._files.rm(f"{self._root}/{name}")
            for name in self._sent:
                self._files.mv(f"{self._to}/{name}", f"{self._root}/{name}")
        self._files.put_file(str(self.folder / MANIFEST), f"{self._root}/{MANIFEST}")
        if self._to != self._root and self._files.exists(self._to):
            self._files.rm(self._to, recursive=True)

    def take_back(self) -> None:
        """Remove what was sent, where nobody counts on it."""
        if self._to != self._root:
            self._files.rm(self._to, recursive=True)
            return
        for name in [*self._sent, MANIFEST]:
            self._files.rm(f"{self._root}/{name}")
