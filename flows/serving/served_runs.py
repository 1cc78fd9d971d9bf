"""The runs that `stillhouse serve` has under way, and their end, which must not depend on Prefect's server."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from uuid import UUID

from prefect.runner import Runner
from prefect.states import Cancelled

HEARTBEAT_S = 30
"""Between two signs of life of a run, by which an automation knows a lost one: as often as Prefect can."""
LOOK_S = 0.5
"""Between two looks for runs that have just begun, where this is told to stop."""
TELL_S = 30.0
"""Once no run is under way any more, the server gets so long to hear how they ended."""


class ServedRuns(Runner):
    """Prefect's runner, less one thing: told to stop, it asks the server about a run before it tells the run."""

    def __init__(self) -> None:
        """Serve nothing yet."""
        super().__init__(pause_on_shutdown=False, heartbeat_seconds=HEARTBEAT_S)

    async def cancel_all(self) -> None:
        """Tell all runs at once that they are cancelled, each of them once. This doesn't wait for them."""
        for run in self._process_manager.flow_run_ids() - self._cancelling_flow_run_ids:
            self._cancelling_flow_run_ids.add(run)
            # In its own group, for whose end it waits before it leaves.
            self._runs_task_group.start_soon(self._end_run, run)

    async def _end_run(self, run: UUID) -> None:
        await self._control_channel.signal(run, "cancel")
        await self._process_manager.kill(run)  # it gets 30 s
        with contextlib.suppress(Exception):  # who can't be told isn't
            async with asyncio.timeout(TELL_S):
                state = (await self._client.read_flow_run(run)).state
                if state is None or state.is_crashed() or not state.is_final():  # its process said nothing of its own
                    await self._client.set_flow_run_state(run, Cancelled(message="serve was told to stop"), force=True)

    async def end(self, running: asyncio.Task[None], say: Callable[[str], None]) -> None:
        """Stop, and tell those runs as well whose process was just being started. `running` is this runner's `start`."""
        await self.astop()
        until = time.monotonic() + TELL_S
        while not running.done():
            await self.cancel_all()
            if self._process_manager.flow_run_count():
                until = time.monotonic() + TELL_S
            elif time.monotonic() > until:
                if not running.cancelling():
                    say("Prefect's server doesn't answer: how the runs ended is lost there, and nowhere else")
                running.cancel()
            await asyncio.sleep(LOOK_S)
