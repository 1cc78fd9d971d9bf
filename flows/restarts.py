"""How often a run may be started again before it is left to a person.

Where an automation starts a run again whose process was lost, a run that takes its machine down each time would do so all night.
"""

from __future__ import annotations

from prefect.runtime import flow_run

from storage.errors import SetupError

MOST = 5
"""Starts of one run."""


def check() -> None:
    """Raise SetupError where this run was started too often to be started again by itself."""
    if flow_run.run_count >= MOST:  # this start isn't counted yet
        raise SetupError(
            f"started {MOST} times and lost each time before its end: look at the worker's memory, disk and log, then start "
            "another run, which goes on from what was paid for"
        )
