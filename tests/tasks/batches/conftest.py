"""A house for tests of batches."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes import FakeBatchTeacher
from tests.tasks.batches.house import House


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Return a house with a provider that answers all."""
    return House(folder=tmp_path / "batches", teacher=FakeBatchTeacher())
