"""Object stores in memory, and working copies of a lake in one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from storage.lake import Lake
from storage.remote.objects import Objects
from storage.remote.replica import Replica


@pytest.fixture
def objects() -> Objects:
    """Return a store in memory, which honours conditions."""
    return Objects(MemoryStore(), "memory://lake")


@pytest.fixture
def machine(tmp_path: Path, objects: Objects) -> Callable[[str], Lake]:
    """Return what gives the lake in the store as another machine's command opens it."""

    def opened(name: str) -> Lake:
        replica = Replica(objects, tmp_path / name)
        replica.refresh()
        return Lake(tmp_path / name, replica=replica)

    return opened
