"""What a working copy and its store last agreed on: by path, the file's size and time here, and the object's tag there.

Three things can so be told apart that two can't: a file that is new here, an object that is new there, and one that another
machine has removed. A line of JSON for each agreement, the last of a path counts. Losing the file costs a comparison, no data.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from storage.disk import write_text, writing
from storage.remote.layout import immutable


@dataclass(frozen=True, slots=True)
class Agreed:
    """One file that was the same here and there."""

    size: int
    """Bytes."""
    mtime_ns: int
    """When the file here was last written to."""
    etag: str | None
    """The object's."""


class Known:
    """The agreements of one working copy, in a file of it."""

    def __init__(self, path: Path) -> None:
        """Read what there is. A line that a crash tore is left out."""
        self._path = path
        self._lock = threading.Lock()
        self._all: dict[str, Agreed] = {}
        lines = path.read_bytes().splitlines() if path.exists() else []
        for line in lines:
            with contextlib.suppress(ValueError, TypeError):
                name, *rest = json.loads(line)
                if rest:
                    self._all[name] = Agreed(*rest)
                else:
                    self._all.pop(name, None)
        self._stale = len(lines) > 2 * len(self._all) + 100

    def __contains__(self, path: str) -> bool:
        return path in self._all

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._all))

    def __len__(self) -> int:
        return len(self._all)

    def get(self, path: str) -> Agreed | None:
        """Return what was agreed on."""
        return self._all.get(path)

    def unchanged(self, path: str, file: Path) -> bool:
        """Return whether a file is still what was agreed on. That a part was verified changes its footer's time alone."""
        agreed, now = self._all.get(path), file.stat()
        return agreed is not None and now.st_size == agreed.size and (immutable(path) or now.st_mtime_ns == agreed.mtime_ns)

    def add(self, path: str, now: os.stat_result, etag: str | None) -> None:
        """Note that a file, as it was `now`, is the same here and there."""
        self._all[path] = agreed = Agreed(now.st_size, now.st_mtime_ns, etag)
        self._append([path, agreed.size, agreed.mtime_ns, agreed.etag])

    def remove(self, path: str) -> None:
        """Note that there is nothing of this path any more, here or there."""
        if self._all.pop(path, None) is not None:
            self._append([path])

    def _append(self, line: list[object]) -> None:
        with self._lock, writing(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(json.dumps(line).encode() + b"\n")

    def compact(self) -> None:
        """Write the file anew where most of it is history. The caller is alone in the working copy."""
        if not self._stale:
            return
        write_text(self._path, "".join(json.dumps([name, *_values(each)]) + "\n" for name, each in self._all.items()))
        self._stale = False


def _values(agreed: Agreed) -> list[object]:
    return [agreed.size, agreed.mtime_ns, agreed.etag]
