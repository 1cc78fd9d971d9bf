"""What the allocators and Python's collector are told, so that a long build is fast and gives memory back."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import sys
from collections.abc import Callable, Iterator
from importlib.abc import MetaPathFinder
from types import ModuleType

_ARENA_MAX = -8
"""glibc's M_ARENA_MAX."""
ARENAS = 2
"""Heaps that threads share. glibc would make one for each thread, up to eight a core, and each keeps what it once held."""

_MMAP_THRESHOLD = -3
"""glibc's M_MMAP_THRESHOLD."""
MAPPED = 256 * 2**10
"""Bytes from which on an allocation is a mapping of its own, which the system has back as soon as it is freed. Left to itself,
glibc raises this, up to 32 MB, as large ones are freed: batches of texts then stand in its heaps, and what is small behind one
keeps its place."""

YOUNG = 50_000
"""Objects made before the collector looks for cycles among them. Python's 700 are made for a sample or two, and with hundreds of
requests in flight there is always much to look through, and little to find."""


@functools.cache
def settle() -> None:
    """Have Arrow use the system's allocator, since its own pool keeps what it held, and threads share heaps. Call it early."""
    import pyarrow as pa  # here, since a command that only starts wants no more of this module than a number

    pa.set_memory_pool(pa.system_memory_pool())
    _spare_pandas(pa)
    if (mallopt := _glibc("mallopt")) is not None:
        mallopt(_ARENA_MAX, ARENAS)
        mallopt(_MMAP_THRESHOLD, MAPPED)


def trim() -> None:
    """Give the system back what is free in the heaps: a stage's leavings, on which the next stage's needs would come on top."""
    if (malloc_trim := _glibc("malloc_trim")) is not None:
        malloc_trim(0)


def _glibc(name: str) -> Callable[..., int] | None:
    """Return a function of the C library; None where that isn't glibc, as musl."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


def _spare_pandas(pa: ModuleType) -> None:
    """Have Arrow find no pandas, until somebody asks it for a DataFrame.

    The first list that it is given makes it import pandas, where that is installed, to see whether the list is a Series: half a
    second and 40 MB.
    """
    if "pandas" in sys.modules:
        return
    hiding = _NoPandas()
    sys.meta_path.insert(0, hiding)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(hiding)


class _NoPandas(MetaPathFinder):
    """Hides pandas from imports while it stands first in `sys.meta_path`."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:  # noqa: ARG002 - as Python calls it
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname)


@contextlib.contextmanager
def rarely_collected() -> Iterator[None]:
    """Have the collector pass over all that is there now, such as modules, and look at the rest less often.

    The little garbage that is among it stays until the end: to look for that first would take a quarter of a second.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(YOUNG, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
