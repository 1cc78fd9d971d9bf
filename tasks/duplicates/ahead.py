"""Work on batches in threads, a few batches ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")
_WORKERS = 2
"""Threads that hash: numpy lets go of the interpreter's lock, and DuckDB reads meanwhile."""


def ahead(work: Callable[[S], T], batches: Iterable[S], *, workers: int = _WORKERS) -> Iterator[T]:
    """Yield what `work` makes of batches, in order, working a few ahead, in so many threads."""
    with ThreadPoolExecutor(workers, thread_name_prefix="hashing") as threads:
        due: deque[Future[T]] = deque()
        for batch in batches:
            due.append(threads.submit(work, batch))
            if len(due) > 2 * workers:
                yield due.popleft().result()
        while due:
            yield due.popleft().result()
