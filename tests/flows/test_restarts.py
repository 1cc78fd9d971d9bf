"""How often a run is started again."""

from __future__ import annotations

import pytest

from flows import restarts
from storage.errors import SetupError


@pytest.mark.parametrize(("before", "goes_on"), [(0, True), (restarts.MOST - 1, True), (restarts.MOST, False)])
def test_a_run_is_left_to_a_person(before: int, goes_on: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was started five times in vain isn't started again: one line says so."""
    monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__RUN_COUNT", str(before))
    if goes_on:
        restarts.check()
        return
    with pytest.raises(SetupError, match=r"^started 5 times and lost each time"):
        restarts.check()
