"""A landed build's report for whoever watches: tables of the whole build, and the page, as a link."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec

from flows.report import report as count
from flows.run import Run
from flows.watching import pages
from flows.watching.watcher import Watcher
from storage.errors import UserError


async def report(run: Run, watcher: Watcher) -> str | None:
    """Count what has landed, write the page and link it; return its address, or None where it can't be written.

    The build has landed: what goes wrong here is told, and is no reason for it to have failed.
    """
    run.progress.stage = "writing the report"
    dataset, build_id = run.spec.dataset, run.build_id
    try:
        watcher.whole = dict((await asyncio.to_thread(count, run.lake, dataset, build_id=build_id)).parts)
        if find_spec("flows.page") is None:  # INTERIM
            return None
        await asyncio.to_thread(pages.write, run.lake, dataset, build_id)
    except UserError as error:
        run.say(f"the report wasn't written: {error}")
        return None
    address = pages.address(run.lake, dataset, build_id)
    await watcher.link("report", address, f"Report of the build {build_id}")
    return address
