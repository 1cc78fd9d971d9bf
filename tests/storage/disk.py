"""A real file system of a few megabytes, which can be filled up and made larger."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


class SmallDisk:
    """A tmpfs at `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._filler = root / "filler"

    def leave(self, free: int) -> None:
        """Fill the disk but for so many bytes, by halves, since others may write to it meanwhile."""
        with contextlib.suppress(FileNotFoundError):
            self._filler.unlink()
        filled = 0
        with self._filler.open("wb") as file:
            while (room := self._room() - free) > 0:
                size = max(room // 2, min(room, 65536))
                try:
                    os.posix_fallocate(file.fileno(), filled, size)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                else:
                    filled += size

    def _room(self) -> int:
        state = os.statvfs(self.root)
        return state.f_bavail * state.f_frsize

    def empty(self) -> None:
        """Give the room back."""
        self._filler.unlink()


@contextlib.contextmanager
def small_disk(root: Path, size: int) -> Iterator[SmallDisk]:
    """Mount a disk of so many bytes, or skip the test where that isn't allowed."""
    root.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(root)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"a file system can't be mounted here: {done.stderr.strip()}")
    try:
        yield SmallDisk(root)
    finally:
        subprocess.run(["umount", "--lazy", str(root)], check=True)
