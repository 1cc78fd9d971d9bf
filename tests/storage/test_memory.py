"""The allocators and the collector are told what a long build needs."""

from __future__ import annotations

import gc
import os
import platform
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from storage import memory


def test_arrow_gives_memory_back():
    """Arrow allocates from the system, and saying so twice does no harm."""
    memory.settle()
    memory.settle()
    assert pa.default_memory_pool().backend_name == "system"


def test_arrow_gives_back_what_it_allocates_within():
    """Its own pool, which keeps what it held, is never made in a process of ours, unless the user asks for it."""
    script = "import flows.building, pyarrow; print(pyarrow.default_memory_pool().backend_name)"
    given = {name: value for name, value in os.environ.items() if name != "ARROW_DEFAULT_MEMORY_POOL"}
    for more, expected in [({}, "system"), ({"ARROW_DEFAULT_MEMORY_POOL": "mimalloc"}, "mimalloc")]:
        ran = subprocess.run([sys.executable, "-c", script], env=given | more, check=True, capture_output=True, text=True)
        assert ran.stdout.strip() == expected


of_glibc = pytest.mark.skipif(sys.platform != "linux" or platform.libc_ver()[0] != "glibc", reason="this is how glibc allocates")
ALLOCATING = """
import ctypes
from pathlib import Path
from storage import memory
memory.settle()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
"""


def allocating(script: str) -> int:
    """Return the number that a script prints which allocates with `libc`, in a process of its own."""
    ran = subprocess.run([sys.executable, "-c", ALLOCATING + script], check=True, capture_output=True, text=True)
    return int(ran.stdout)


@of_glibc
def test_what_is_large_is_given_back():
    """What is large goes back to the system once it is freed, also where large things were freed before and small ones stay."""
    script = """
def use():
    large = []
    for _ in range(10):
        large.append(libc.malloc(4 << 20))
        ctypes.memset(large[-1], 1, 4 << 20)
        libc.malloc(1 << 10)  # stays
    for each in large:
        libc.free(each)
before = resident()
use()
use()
print(resident() - before)
"""
    assert allocating(script) < 8 << 20


@of_glibc
def test_what_is_free_is_given_back():
    """What is free between small things that stay goes back to the system when it is asked for."""
    script = """
held = []
for _ in range(200):
    held.append(libc.malloc(128 << 10))
    ctypes.memset(held[-1], 1, 128 << 10)
    libc.malloc(1 << 10)  # stays
for each in held:
    libc.free(each)
before = resident()
memory.trim()
print(before - resident())
"""
    assert allocating(script) > 16 << 20


def test_arrow_needs_no_pandas_until_it_is_asked_for_it():
    """A list becomes an array without an import of pandas, and a table still becomes a DataFrame, and comes back from one."""
    pytest.importorskip("pandas")
    script = """
import sys
import pyarrow as pa
from storage import memory
memory.settle()
table = pa.Table.from_pylist([{"a": 1}])
assert "pandas" not in sys.modules
frame = table.to_pandas()
assert pa.Table.from_pandas(frame) == table
assert pa.array(frame["a"]).to_pylist() == [1]
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)


@pytest.mark.slow
def test_no_module_loads_pandas():
    """Importing any module of ours, before it could be told to spare it, loads no pandas."""
    pytest.importorskip("pandas")
    script = """
import contextlib, importlib, pkgutil, sys
for package in ("flows", "storage", "tasks", "verifiers"):
    for module in pkgutil.walk_packages([package], package + "."):
        with contextlib.suppress(ImportError):  # of an extra
            importlib.import_module(module.name)
        assert "pandas" not in sys.modules, module.name
"""
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", script], check=True, cwd=root)


def test_the_collector_passes_over_what_is_there():
    """Within, what was there before is not looked through, new cycles are found all the same; afterwards all is as it was."""
    gc.unfreeze()  # what another test may have frozen
    before = (700, 10, 10)
    gc.set_threshold(*before)
    with memory.rarely_collected():
        assert gc.get_freeze_count() > 10_000
        assert gc.get_threshold()[0] > before[0]
        found = gc.get_stats()[2]["collected"]
        for _ in range(100):
            cycle: list[object] = []
            cycle.append(cycle)
        del cycle
        gc.collect()
        assert gc.get_stats()[2]["collected"] >= found + 100
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)
