"""A real file system of a few megabytes, which can be filled up and made larger."""

from __future__ import annotations

import contextlib
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
        """Fill the disk but for so many bytes."""
        with contextlib.suppress(FileNotFoundError):
            self._filler.unlink()
        with self._filler.open("wb") as file:
            for tries_left in reversed(range(100)):
                state = os.statvfs(self.root)
                try:
                    os.posix_fallocate(file.fileno(), 0, state.f_bavail * state.f_frsize - free)
                except OSError:  # whoever writes meanwhile was quicker
                    if not tries_left:
                        raise
                else:
                    return

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
