"""How often a run is started again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from prefect.states import Crashed, Running, Scheduled

from flows.serving import restarts
from storage.errors import SetupError


def started(monkeypatch: pytest.MonkeyPatch, before: int, lost: int) -> None:
    """Make this a run that was started and lost so often."""
    states = [Crashed(), *(each for _ in range(lost) for each in (Scheduled(name=restarts.LOST), Running()))]

    @contextmanager
    def client(**_: Any) -> Iterator[Any]:
        yield SimpleNamespace(read_flow_run_states=lambda _: states)

    monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__RUN_COUNT", str(before))
    monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__ID", str(uuid4()))
    monkeypatch.setattr(restarts, "get_client", client)


@pytest.mark.parametrize(("before", "lost"), [(0, 0), (1, 0), (40, 4)])
def test_a_run_is_started_again(before: int, lost: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run may be stopped in order as often as need be, and lost a few times."""
    started(monkeypatch, before, lost)
    restarts.check()


def test_a_run_is_left_to_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was lost five times isn't started again: one line says so."""
    started(monkeypatch, 5, restarts.MOST)
    with pytest.raises(SetupError, match=r"^started again 5 times, and lost each time"):
        restarts.check()
