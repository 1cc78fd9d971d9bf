"""Whether a lake's parts are still what was written, before a build relies on them.

DuckDB, which a build reads with, would take a flipped bit in a text for another text. Reading every part each time would cost a
small build on a large lake minutes, so a part is verified when it is new here, when it has changed, and once a week.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from storage import footers
from storage.damage import gone, stored
from storage.errors import LakeDamaged
from storage.lake import Lake, Manifest
from storage.parquet import UNREADABLE, count_rows, unreadable
from storage.schemas import SNAPSHOTS, STORES
from storage.wording import counted

WEEK_S = 7 * 86_400.0
"""A part that was verified longer ago is verified again."""
QUIET_S = 1.0
"""Nobody is told of what takes less."""
_THREADS = 4


def verify(lake: Lake, say: Callable[[str], None], *, check: Callable[[], None] = lambda: None) -> int:
    """Compare the parts that are due with their checksums and return their number. Raise LakeDamaged at the first that differs.

    When a part was verified is the time of what is kept beside it; one without that is left to doctor. `check` may raise to give
    up. The caller holds the lake's lock. Raise LakeDamaged too where a part isn't there any more.
    """
    complete(lake)
    due = [part for table in (*STORES, lake.index.name) for part in stored(lake, table) if _due(part)]
    if not due:
        return 0
    what = f"verifying {counted(len(due), 'part')} of {lake.root}: what is new or changed, and everything once a week"
    telling = threading.Timer(QUIET_S, say, [what])
    telling.daemon = True
    telling.start()
    # A checksum is made outside of the interpreter's lock.
    threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="verifying")
    try:
        for _ in threads.map(_verify, due):
            check()
    finally:
        telling.cancel()
        threads.shutdown(cancel_futures=True)
    return len(due)


def complete(lake: Lake) -> None:
    """Raise LakeDamaged where a part isn't there any more: what was in it would be paid for again."""
    for part in lake.missing():
        raise LakeDamaged(part, f"{gone(part)}: put it back if there is a copy")


def verify_build(lake: Lake, build: Manifest, tables: Sequence[str] = SNAPSHOTS) -> None:
    """Compare a build's snapshot with its checksums. Raise LakeDamaged at the first part that differs, or isn't there any more.

    Each time, since it is small beside what is read of it then: `tables`, where that isn't all. A build of an earlier version
    has none, and is left to doctor.
    """
    for table in tables:
        folder = lake.snapshot(table, build["dataset"], build["build_id"])
        for part in filter(None, map(footers.part_of, sorted(folder.glob("*.footer")))):
            if not part.exists():
                raise LakeDamaged(part, gone(part))
            count_rows(part)  # which names one that was cut
            _verify(part)


def _due(part: Path) -> bool:
    try:
        verified = footers.beside(part).stat().st_mtime
        changed = part.stat().st_ctime  # a move and a copy count as changes
    except FileNotFoundError:
        return False
    return not max(changed, time.time() - WEEK_S) < verified


def _verify(part: Path) -> None:
    try:
        kept = footers.kept(part)
        refuted = kept is not None and kept.refutes(part)
    except UNREADABLE as error:
        raise unreadable(part, error) from error
    if refuted:
        raise LakeDamaged(part, "isn't byte for byte what was written")
    if kept is not None:
        with contextlib.suppress(OSError):  # where it belongs to another user: then it is verified next time too
            os.utime(footers.beside(part))
