"""A landed build's report for whoever watches: tables of the whole build, and the page, as a link."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from flows.building import Run
from flows.looking import looking
from flows.page.write import page_of
from flows.report import measured
from flows.watching import pages
from flows.watching.watcher import Watcher
from storage.errors import UserError


async def report(run: Run, watcher: Watcher) -> str | None:
    """Count what has landed, write the page and link it; return its address, or None where it can't be written.

    The build has landed: what goes wrong here is told, and is no reason for it to have failed.
    """
    run.progress.stage = "writing the report"
    try:
        watcher.whole = await asyncio.to_thread(_write, run)
    except UserError as error:
        run.say(f"the report wasn't written: {error}")
        return None
    address = pages.address(run.lake, run.spec.dataset, run.build_id)
    await watcher.link("report", address, f"Report of the build {run.build_id}")
    return address


def _write(run: Run) -> Mapping[str, Any]:
    dataset, build_id = run.spec.dataset, run.build_id
    with looking(run.lake, dataset, build_id) as (workspace, build):
        found = measured(workspace, run.lake, build)
        page_of(workspace, run.lake, build, found, pages.place(run.lake, dataset, build_id))
    return found.parts
