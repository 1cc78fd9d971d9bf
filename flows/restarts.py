"""Runs of deployments that end before their work does: which are started again, by whom, and how often."""

from __future__ import annotations

from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.exceptions import Abort
from prefect.runtime import flow_run
from prefect.states import Cancelled

from storage.errors import Interrupted, SetupError

MOST = 5
"""Times that a run is started again after it was lost. What takes its machine down would else do so all night."""
LOST = "Lost"
"""The state's name that the automations in deploy/ give to such a run."""


def check() -> None:
    """Raise SetupError where this run was lost too often to be started again by itself. This asks the server: not in the loop."""
    if not flow_run.run_count:  # this start isn't counted yet
        return
    with get_client(sync_client=True) as client:
        states = client.read_flow_run_states(UUID(str(flow_run.id)))
    if sum(state.name == LOST for state in states) >= MOST:
        raise SetupError(
            f"started again {MOST} times, and lost each time before its end: look at the worker's memory, disk and log, then "
            "start another run, which goes on from what was paid for"
        )


async def interrupted(error: Interrupted) -> State:
    """Return the state of a run that was told to end: Cancelled.

    Where its supervisor has put it back on the schedule first, as for a pod that moves, this raises Prefect's Abort, which leaves
    the state as it is.
    """
    context = FlowRunContext.get()
    if context is not None and context.flow_run is not None and context.flow_run.deployment_id is not None:
        async with get_client() as client:
            state = (await client.read_flow_run(context.flow_run.id)).state
        if state is not None and state.is_scheduled():
            raise Abort(str(error))
    return Cancelled(message=str(error), data=error)
