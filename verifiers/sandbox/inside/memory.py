"""Where the fork server's objects lie. A child that writes to an object, if only to count its references, copies the page."""

from __future__ import annotations

import gc
import importlib

# What most code imports. Not what brings large libraries along, such as hashlib: each mapping costs every fork a microsecond.
WARM = (
    "abc", "bisect", "calendar", "collections", "contextlib", "copy", "dataclasses", "datetime", "decimal", "enum", "fractions",
    "functools", "heapq", "itertools", "json", "math", "numbers", "operator", "random", "re", "string", "struct", "textwrap",
    "threading", "time", "typing",
)  # fmt: skip
ALIGNMENT, SMALL = 16, 512
"""The sizes that Python's own allocator takes, in pools; the C library's takes larger ones."""
POOL, FIRST = 1 << 14, 48
"""How large a pool is, and where its first object lies."""
LARGE, LARGER = 1 << 16, 100_000
MOST = 16 << 20
_taken: list[bytes] = []


def import_warm() -> None:
    """Import what most code imports, and leave no gaps in it for what is imported after it."""
    for name in WARM:
        importlib.import_module(name)
    fill_gaps()


def fill_gaps() -> None:
    """Take what memory is free between objects: then later ones lie side by side, and not each on another page."""
    gc.collect()
    empty, left = b"".__sizeof__(), MOST
    for size in range(FIRST, SMALL + 1, ALIGNMENT):
        while id(filling := bytes(size - empty)) % POOL != FIRST and left > 0:
            _taken.append(filling)
            left -= size
    edge = bytes(LARGER)  # no gap is as large
    for size in range(LARGE, SMALL, -ALIGNMENT):
        while id(filling := bytes(size - empty)) < id(edge) and left > 0:
            _taken.append(filling)
            left -= size
