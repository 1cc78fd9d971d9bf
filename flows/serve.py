"""Serve: a scheduled build, registered with a Prefect server and carried out by this process until it is stopped."""

from __future__ import annotations

from pathlib import Path

from flows.spec import Spec


def serve(spec: Spec, path: Path, lake: str, *, cron: str) -> None:
    """Register the deployment `build/DATASET` and run what its schedule starts, each run in a process of its own.

    Paths are made absolute: a run doesn't start in this folder.
    """
    from prefect.types.entrypoint import EntrypointType

    from flows.build import build

    build.serve(
        name=spec.dataset,
        cron=cron,
        parameters={"spec": str(path.absolute()), "lake": lake},
        tags=["stillhouse", f"dataset:{spec.dataset}"],
        description=f"Builds the dataset {spec.dataset}: what is new is bought, what is stored is not bought again.",
        entrypoint_type=EntrypointType.MODULE_PATH,
        print_starting_message=False,
        pause_on_shutdown=False,
    )
