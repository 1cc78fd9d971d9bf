"""What all tests share."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from _pytest.nodeid import NodeId
from hypothesis import HealthCheck, settings

from storage.lake import Lake

# A loaded machine is no reason to fail: no deadline. The examples are the same each time, so a failure can be repeated.
settings.register_profile(
    "stillhouse",
    max_examples=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("stillhouse")


@pytest.fixture(autouse=True)
def _the_same_chances() -> None:
    """Let waits that are random be the same each time too."""
    random.seed(0)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Return a lake that nobody has built in yet."""
    return Lake(tmp_path / "lake")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what may take longest, and leave the embedded language model and Prefect's server to one process each.

    The slow tests take longer than a server's start, so that each process has its own.
    """
    items.sort(key=lambda item: not item.get_closest_marker("timeout"))
    for item in items:
        if item.get_closest_marker("model"):
            _keep_together(item, "model")
        elif "prefect_url" in getattr(item, "fixturenames", ()) and not item.get_closest_marker("slow"):
            _keep_together(item, "server")


def _keep_together(item: pytest.Item, group: str) -> None:
    """Have a test run in the process that runs the others of a group.

    pytest-xdist 3.8 goes by what it adds to a test's id, and its own way to add that has no effect since pytest 9.2.
    """
    item._id = NodeId.parse(f"{item.nodeid}@{group}")  # type: ignore[attr-defined]
