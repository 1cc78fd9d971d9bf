"""A workplace whose builds run on a cluster that each starts for itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Workplace, lone_workplace, prefect_url, workplace
from tests.e2e.teacher import LoopbackTeacher

__all__ = ["lone_workplace", "prefect_url", "workplace"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder: it starts several processes of a cluster, and takes its time."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.timeout(800))


def spec(
    place: Workplace, url: str, *, prompts: int = 1_100, k: int = 1, use: str = "dask", workers: int = 2, **teacher: Any
) -> None:
    """Fill in a spec whose prompts make three shards, a third of whose samples is right."""
    place.timeout_s = 360.0
    place.spec = {
        "dataset": "sums",
        "prompts": [{"source": place.prompts(prompts), "license": "CC0-1.0"}],
        "teachers": [place.teacher(url, **teacher)],
        "sampling": {"k": k, "temperature": 0.8, "seed": 7},
        "verify": [{"use": "exact_match", "kind": "number"}],
        "runner": {"use": use, "workers": workers, "shards": 1},
    }


def ledgers(place: Workplace) -> list[dict[str, Any]]:
    """Return what the workers at work tell."""
    return [json.loads(path.read_text()) for path in place.lake.glob("journal/outbox/*/*/ledger.json")]


def kill(pid: int) -> None:
    """End a process as the kernel does where memory runs out."""
    os.kill(pid, signal.SIGKILL)


def ended(running: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for a command's end, and return its exit code and what it wrote."""
    out, err = running.communicate(timeout=360)
    return running.returncode, out, err


def bought_twice(teacher: LoopbackTeacher) -> int:
    """Return how many requests were sent again."""
    asked = Counter((body["messages"][-1]["content"], body["seed"]) for body in teacher.bodies)
    return sum(times - 1 for times in asked.values())


def nothing_is_left(place: Workplace) -> bool:
    """Whether every outbox was taken over."""
    return not list(place.lake.glob("journal/outbox/*/*")) and not list(place.lake.glob("journal/*.jsonl"))
