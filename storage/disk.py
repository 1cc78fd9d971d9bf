"""Files that are whole and on disk, or absent, and what is said where the disk refuses them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from storage.errors import StorageError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a name to write a file under that takes `path`'s place, durably, once this is left. An error leaves that as it was.

    A kill leaves the file under that name, `.NAME.tmp`: in a lake, `Lake.leftovers` finds it.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            sync(temporary)
            temporary.replace(path)
            sync(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, data: bytes) -> None:
    """Write a small file that is whole, or as it was before. Raise StorageError where the disk refuses."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write a small text file, as `write_bytes`."""
    write_bytes(path, text.encode())


def sync(path: Path) -> None:
    """Wait until a file or a folder's entries are on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def refused(path: Path, error: OSError) -> StorageError:
    """Return what to raise where the disk refuses a write."""
    # Arrow has its own words for it; the system's are the ones that people know.
    said = os.strerror(error.errno) if error.errno else error
    return StorageError(f"{path}: can't be written: {said}")


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the disk says while `path` is made, moved or removed into a StorageError that names it."""
    try:
        yield
    except OSError as error:
        raise refused(path, error) from error
