"""Keeping Prefect's UI up to date while a run goes on, and hearing what is done to the run there.

One loop beside the run reads its counters: nothing waits for Prefect, and a server that is away is tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from prefect import get_run_logger
from prefect.client.orchestration import PrefectClient, get_client
from prefect.runtime import flow_run

from flows.building import Run
from flows.process.waiting import beside
from flows.watching import events, tables
from flows.watching.board import Board
from storage.errors import Interrupted
from tasks.report import Summary

LOOK_S = 2.0
"""Between two looks at whether the run was cancelled, each of which costs a request."""
PROGRESS_S, TABLES_S = (2.0, 30.0), (10.0, 60.0)
"""Between two updates of progress, and of tables: at first, and at most. Each is a request and an event that Prefect stores."""
SLOWER = 0.01
"""Between these two, an update waits for this share of the time that the run has taken so far."""
LAST_S = 60.0
"""What the last update may take, where the server is away."""


class Watcher:
    """Shows one run, within its flow."""

    def __init__(self, run: Run, client: PrefectClient) -> None:
        """Show nothing yet."""
        self._run = run
        self._client = client
        self.board = Board(client, run.spec.dataset)
        """What is shown."""
        self.whole: Mapping[str, Any] | None = None
        """The landed build's counts, as `flows.report.report` makes them, in place of those of what was drawn."""
        self._documents: dict[str, tuple[str, str]] = {}
        self._links: dict[str, tuple[str, str]] = {}
        self._pace = tables.Pace()
        self._began = time.monotonic()
        self._progress_at = self._tables_at = float("-inf")
        self._ended_stages = len(run.progress.stages)  # what came before the run is nobody's stage
        self._alarmed = False

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        logger = get_run_logger()
        while True:
            try:
                await self._hear()
                await self.show()
            except Exception as error:  # noqa: BLE001 - a server that restarts must not end a build
                logger.debug("Prefect can't be reached: %s", error)
            await asyncio.sleep(LOOK_S)

    async def document(self, name: str, text: str, about: str) -> None:
        """Show a document in Markdown, at once or as soon as the server is there."""
        self._documents[name] = text, about
        await self._try_documents()

    async def link(self, name: str, url: str, about: str) -> None:
        """Show a link, likewise."""
        self._links[name] = url, about
        await self._try_documents()

    async def _try_documents(self) -> None:
        try:
            async with asyncio.timeout(LOOK_S):
                await self._show_documents()
        except Exception as error:  # noqa: BLE001 - the next look tries again
            get_run_logger().debug("Prefect can't be reached: %s", error)

    async def _show_documents(self) -> None:
        for name, (text, about) in list(self._documents.items()):
            await self.board.markdown(name, text, about)
        for name, (url, about) in list(self._links.items()):
            await self.board.link(name, url, about)

    async def show(self, *, all_of_it: bool = False) -> None:
        """Show how the run stands, where it is time to. What hasn't changed since is not sent."""
        tally, now = self._run.progress.tally, time.monotonic()
        self.alarm(judged=tally.judged, accepted=tally.accepted)
        if all_of_it or self._is_time(now - self._progress_at, PROGRESS_S, now):
            await self._show_progress(now)
            await self._show_documents()
            self._progress_at = now
        if all_of_it or self._is_time(now - self._tables_at, TABLES_S, now):
            await self._show_tables(now)
            self._tables_at = now

    def _is_time(self, since: float, bounds: tuple[float, float], now: float) -> bool:
        least, most = bounds
        return since >= min(most, max(least, SLOWER * (now - self._began)))

    async def _show_progress(self, now: float) -> None:
        progress = self._run.progress
        stages = list(progress.stages)
        for stage in stages[self._ended_stages :]:
            ended = stage.ended is not None
            text = tables.stage_text(progress, stage, stage.ended or now)
            await self.board.progress(stage.name, tables.stage_share(progress, stage), text)
            self._ended_stages += ended
        about = f"{progress.tally.asked:,} of {progress.wanted:,}; {stages[-1].name if stages else 'starting'}"
        await self.board.progress("progress", progress.share, f"Samples of {self._run.spec.dataset}: {about}")

    async def _show_tables(self, now: float) -> None:
        progress = self._run.progress
        if self.whole is None:
            await self.board.table("pass-rates", tables.drawn(progress.passing), "Pass rates of what this run has drawn so far")
        else:
            await self.board.table("pass-rates", tables.landed(self.whole), "Pass rates of the whole build")
        await self.board.table("spend", tables.spending(progress), "Spend, in all and against the budget")
        await self.board.table("limits", self._pace.limiters(progress.lines, now), "How the teachers' limits stand")

    def alarm(self, *, judged: int, accepted: int, whole: bool = False) -> None:
        """Raise the event of a low pass rate, once, where the spec asks for it."""
        options = self._run.spec.watch
        if self._alarmed or options.min_pass_rate is None or judged < (1 if whole else options.after):
            return
        if (rate := accepted / judged) < options.min_pass_rate:
            self._alarmed = True
            events.low_pass_rate(
                self._run.spec.dataset,
                self._run.build_id,
                rate=rate,
                least=options.min_pass_rate,
                judged=judged,
                whole=whole,
            )

    def alarm_of(self, summary: Summary) -> None:
        """Raise it of a whole build."""
        if summary.responses and summary.accepted is not None:
            self.alarm(judged=summary.responses, accepted=summary.accepted, whole=True)

    async def _hear(self) -> None:
        state = (await self._client.read_flow_run(flow_run.id)).state
        if state is not None and state.is_cancelling():
            self._run.stop.set(Interrupted("cancelled in Prefect; what was paid for is landed, and a rerun goes on"))


@contextlib.asynccontextmanager
async def watched(run: Run, *, show: bool) -> AsyncIterator[Watcher | None]:
    """Keep Prefect's artifacts up to date, and hear of a cancellation in its UI; with nobody to look (`show`), give None."""
    if not show:
        yield None
        return
    async with get_client() as client:
        watcher = Watcher(run, client)
        try:
            async with beside(watcher.watch()):
                yield watcher
        finally:
            if run.progress.stages:
                run.progress.stages[-1].ended = time.monotonic()
            with contextlib.suppress(Exception):  # Prefect's trouble is not the build's
                async with asyncio.timeout(LAST_S):
                    await watcher.show(all_of_it=True)
