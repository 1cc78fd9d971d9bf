"""Runs of deployments that end before their work does: which are started again, by whom, and how often."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.exceptions import Abort
from prefect.runtime import flow_run
from prefect.states import AwaitingRetry, Cancelled

from storage.errors import Interrupted, SetupError

MOST = 5
"""Times that a run is started again after it was lost. What takes its machine down would else do so all night."""
LOST = "Lost"
"""The state's name that the automations in deploy/ give to such a run."""
AGAIN_S = 30
"""Until a run that was told to end may begin again: no worker that is being stopped should take it."""


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

    A deployment's run that nobody cancelled (its worker is being stopped, or its pod moves) waits for a worker again. This raises
    Prefect's Abort then, which leaves the state as it was set here.
    """
    context = FlowRunContext.get()
    if context is not None and context.flow_run is not None and context.flow_run.deployment_id is not None:
        async with get_client() as client:
            now = (await client.read_flow_run(UUID(str(flow_run.id)))).state
            if now is not None and now.is_running():
                soon = datetime.now(UTC) + timedelta(seconds=AGAIN_S)
                await client.set_flow_run_state(
                    UUID(str(flow_run.id)), AwaitingRetry(scheduled_time=soon, message=f"{error}, as soon as a worker is there")
                )
                raise Abort(f"{error}, as soon as a worker is there")
    return Cancelled(message=str(error), data=error)
