"""Small files that grow during a run, sent again every few seconds where they have grown."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from storage.errors import StorageError

SWEEP_S = 15.0
"""Between two looks at them."""


@contextlib.contextmanager
def sweeping(folders: Sequence[Path], keep: Callable[[Path], None]) -> Iterator[None]:
    """Have `keep` called for each file of lines in some folders, from a thread of its own, until this is left."""
    ended = threading.Event()

    def sweep() -> None:
        while not ended.wait(SWEEP_S):
            with contextlib.suppress(StorageError):  # whoever sends the rest at the end says so, where it lasts
                for folder in folders:
                    for path in folder.glob("*.jsonl"):
                        keep(path)

    thread = threading.Thread(target=sweep, name="sweep", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
