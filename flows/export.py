"""An export as a Prefect flow: a build's traces become shards where a schedule, an automation or a person asks for it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Failed
from pydantic import ValidationError

from flows.exporting import export_dataset, exported
from flows.loading import lake_named, load_spec, problem
from flows.serving import restarts
from flows.serving.forms import each_left_out
from flows.watching import assets
from storage.errors import SpecError, UserError
from storage.lake import Lake
from tasks.export import ExportOptions

if TYPE_CHECKING:
    Export: TypeAlias = ExportOptions
else:
    Export = each_left_out(ExportOptions, but=["to"])


def _name() -> str:
    return f"export {flow_run.parameters.get('dataset', '')}"


@flow(name="export", flow_run_name=_name, persist_result=False)
def export(
    dataset: str, options: Export, lake: str | None = None, build_id: str | None = None, spec: str | None = None
) -> dict[str, Any] | State[Any]:
    """Write a landed build's traces as training shards, and return the manifest. The licence gate looks again.

    A state in place of the manifest carries the UserError.

    Args:
        dataset: The dataset's name.
        options: Where to, in which files, and a form with its own options, as an entry of a spec's `exports`.
        lake: The lake, as the machine that runs this sees it. Left out: STILLHOUSE_LAKE there, else the folder `lake`.
        build_id: Which build. Left out: the newest.
        spec: A spec whose `licenses` hold, and whose teachers score. Left out: that of the build.
    """
    logger = get_run_logger()

    def say(text: str) -> None:
        logger.info("%s", text)

    try:
        restarts.check()
        other = load_spec(Path(spec)) if spec else None
        at = Lake.at(lake_named(lake), say=say)
        chosen = _chosen(options)
        manifest = export_dataset(at, dataset, chosen, say, build_id=build_id, spec=other)
    except UserError as error:
        return Failed(message=str(error), data=error)
    say(exported(manifest))

    async def written() -> list[dict[str, Any]]:
        return [manifest]

    # Not around the work itself: of what a user can mend, a task would log a traceback.
    asyncio.run(assets.exporting(at, dataset, [chosen.to], written))
    return manifest


def _chosen(options: Export) -> ExportOptions:
    try:
        return ExportOptions.model_validate(options.model_dump(exclude_none=True))
    except ValidationError as error:
        location, message = problem(error, ExportOptions)
        raise SpecError(f"options.{location[0]}: {message}" if location else f"options: {message}") from error
