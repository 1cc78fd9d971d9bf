"""One file, on this machine or behind a URL: its endings, and how it is opened and unpacked."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast
from urllib.parse import urlsplit

import pyarrow as pa

from storage.errors import SourceError
from tasks.sources.shown import said_of

PACKED = (".gz", ".zst", ".bz2", ".xz")


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file and how it is opened."""

    name: str
    """For messages: its path as the user would write it, or its URL without a query."""
    path: str
    """In its file system."""
    system: Any = None
    """fsspec's; None: this machine's own."""

    @property
    def endings(self) -> tuple[str, str]:
        """Return the ending that says what is in it, and the one that says how it is packed, or nothing."""
        path = PurePosixPath((urlsplit(self.path).path if "://" in self.path else self.path).lower())
        packed = path.suffix if path.suffix in PACKED else ""
        return (path.with_suffix("") if packed else path).suffix, packed

    def open(self) -> IO[bytes]:
        """Open it as it lies there."""
        return Path(self.path).open("rb") if self.system is None else cast("IO[bytes]", self.system.open(self.path, "rb"))

    def unpacked(self) -> IO[bytes]:
        """Open what is in it."""
        file = self.open()
        match self.endings[1]:
            case ".gz":
                return cast("IO[bytes]", _Owning(gzip.GzipFile(fileobj=file), file))
            case ".bz2":
                return cast("IO[bytes]", _Owning(bz2.BZ2File(file), file))
            case ".xz":
                return cast("IO[bytes]", _Owning(lzma.LZMAFile(file), file))
            case ".zst":
                stream = pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")
                return cast("IO[bytes]", _Owning(stream, file))
            case _:
                return file


class _Owning(io.BufferedReader):
    """A reader of what is packed, which closes the file below too: the standard library's leave it open."""

    def __init__(self, stream: Any, below: IO[bytes]) -> None:
        super().__init__(stream, 1 << 16)
        self._below = below

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._below.close()


def missing(name: str, error: FileNotFoundError, *, url: str) -> SourceError:
    """Return what to raise where a file isn't there; fsspec says so too where its server isn't, or refuses. `url`: all of it."""
    cause = error.__cause__
    if cause is None or isinstance(cause, FileNotFoundError) or getattr(cause, "status", None) == HTTPStatus.NOT_FOUND:
        return SourceError(f"{name}: no such file")
    return SourceError(f"{name}: can't be reached: {said_of(url, cause)}")
