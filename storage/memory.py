"""What the allocators are told, so that a long build gives memory back."""

from __future__ import annotations

import ctypes
import functools
import sys

import pyarrow as pa

_ARENA_MAX = -8
"""glibc's M_ARENA_MAX."""
ARENAS = 2
"""Heaps that threads share. glibc would make one for each thread, up to eight a core, and each keeps what it once held."""


@functools.cache
def settle() -> None:
    """Have Arrow use the system's allocator, since its own pool keeps what it held, and threads share heaps. Call it early."""
    pa.set_memory_pool(pa.system_memory_pool())
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        if mallopt is not None:
            mallopt(_ARENA_MAX, ARENAS)
