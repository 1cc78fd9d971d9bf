"""How often a run that was lost may be started again, before it is left to a person."""

from __future__ import annotations

from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from storage.errors import SetupError

MOST = 5
"""Times that a run is started again after it was lost. What takes its machine down would else do so all night."""
LOST = "Lost"
"""The state's name that the automations in deploy/ give to such a run."""


def check() -> None:
    """Raise SetupError where this run was lost too often to be started again by itself. This asks the server: not in the loop."""
    if (flow_run.run_count or 0) < MOST:  # it can't have been lost more often than it was started
        return
    with get_client(sync_client=True) as client:
        states = client.read_flow_run_states(UUID(str(flow_run.id)))
    if sum(state.name == LOST for state in states) >= MOST:
        raise SetupError(
            f"started again {MOST} times, and lost each time before its end: look at the worker's memory, disk and log, then "
            "start another run, which goes on from what was paid for"
        )
