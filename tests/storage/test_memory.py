"""The allocators are told what a long build needs."""

from __future__ import annotations

import pyarrow as pa

from storage import memory


def test_arrow_gives_memory_back():
    """Arrow allocates from the system, and saying so twice does no harm."""
    memory.settle()
    memory.settle()
    assert pa.default_memory_pool().backend_name == "system"
