"""A file to which lines are added as they come: few enough that each is written by itself, and lost at most by a crash."""

from __future__ import annotations

import io
import os
from pathlib import Path

from storage.disk import writing


class Appended:
    """The end of a file, which is made when there is something to write. Raise StorageError where the disk refuses."""

    def __init__(self, path: Path) -> None:
        """Name the file."""
        self.path = path
        self._file: io.FileIO | None = None

    def write(self, lines: bytes) -> int:
        """Add whole lines, all or none of them, and return how many bytes were written."""
        with writing(self.path):
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("ab", buffering=0)
            begun, written = self._file.seek(0, os.SEEK_END), 0
            try:
                while written < len(lines):  # a disk that is almost full takes a part, and only then refuses
                    written += self._file.write(lines[written:]) or 0
            except OSError:
                self._file.truncate(begun)  # else the next line would be one with what is torn
                raise
            return written

    def anew(self) -> None:
        """Hear that another file stands in its place: what comes next goes behind that."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def close(self, *, sync: bool) -> None:
        """Let go of the file, with `sync` once all of it is on disk. Nothing may be written later."""
        if self._file is not None:
            with writing(self.path), self._file:
                if sync:
                    os.fsync(self._file.fileno())
