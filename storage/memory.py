"""What the allocators and Python's collector are told, so that a long build is fast and gives memory back."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import sys
from collections.abc import Iterator

_ARENA_MAX = -8
"""glibc's M_ARENA_MAX."""
ARENAS = 2
"""Heaps that threads share. glibc would make one for each thread, up to eight a core, and each keeps what it once held."""

YOUNG = 50_000
"""Objects made before the collector looks for cycles among them. Python's 700 are made for a sample or two, and with hundreds of
requests in flight there is always much to look through, and little to find."""


@functools.cache
def settle() -> None:
    """Have Arrow use the system's allocator, since its own pool keeps what it held, and threads share heaps. Call it early."""
    import pyarrow as pa  # here, since a command that only starts wants no more of this module than a number

    pa.set_memory_pool(pa.system_memory_pool())
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        if mallopt is not None:
            mallopt(_ARENA_MAX, ARENAS)


@contextlib.contextmanager
def rarely_collected() -> Iterator[None]:
    """Have the collector pass over all that is there now, such as modules, and look at the rest less often."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
