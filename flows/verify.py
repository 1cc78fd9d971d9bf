"""Verify: judge again what a lake has of a spec's samples, having asked no teacher, and say what that changes."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from flows import judging, wiring
from flows.building import new_id
from flows.checks import check, ready
from flows.process.waiting import entered, with_grace
from flows.spec import Spec
from flows.staging import stage
from flows.working import signals
from storage import catalog, memory
from storage.lake import Lake
from storage.sql import parquet_in
from storage.verdicts import VerdictStore
from storage.wording import counted
from storage.workspace import Workspace
from tasks.changes import Change, Judged, compare
from tasks.outcomes import listed
from tasks.rejudge import judge_stored
from tasks.stop import Stop
from tasks.together import judge_together
from tasks.verify import Named, Verification, alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What `stillhouse verify` says."""

    dataset: str
    """The spec's."""
    lake: str
    """Where."""
    build_id: str | None
    """The build that is compared with; None where there is none."""
    samples: int
    """Slots whose sample is stored."""
    judged: int
    """Samples that were judged by this run."""
    verifiers: list[Judged]
    """In the spec's order."""
    unstable: dict[str, int]
    """With --again: verdicts that differ though verifier, options and prompt are the same, by verifier."""
    changes: list[Change]
    """Some of what changed."""

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return dataclasses.asdict(self)

    def lines(self) -> list[tuple[str, str]]:
        """Return it as (name, value) for a terminal."""
        against = f", compared with build {self.build_id}" if self.build_id else "; there is no build to compare with"
        lines = [("samples", f"{self.samples:,} stored, {self.judged:,} judged now{against}")]
        for each in self.verifiers:
            parts = [f"{number:,} {what}" for what, number in each.changed.items()]
            parts += [f"{each.same:,} as before"] if each.same else []
            parts += [f"{each.first:,} for the first time"] if each.first else []
            parts += [f"{each.missing:,} not judged, since it asks a teacher: a build does"] if each.missing else []
            lines.append((each.verifier, ", ".join(parts) or "nothing to judge"))
        lines += [
            (name, f"UNSTABLE: {said} though nothing has changed; raise its version, or look for chance in it")
            for name, number in self.unstable.items()
            for said in [counted(number, "verdict", "differs", "differ")]
        ]
        return lines


def verify(spec: Spec, path: Path, lake: Lake, console: Console, *, again: bool) -> Verified:
    """Judge what is stored by the spec's verifiers, but for those that ask a teacher; keep the verdicts, and compare.

    `again`: judge also what has a verdict, and say where it differs. What is stored then stays.
    """
    return uvloop.run(_verify(spec, path, lake, console, again=again))


async def _verify(spec: Spec, path: Path, lake: Lake, console: Console, *, again: bool) -> Verified:
    memory.settle()
    check(spec.model_copy(update={"runner": None}), path, lake, asking=False)  # all of it is here
    stop = Stop()

    def say(text: str) -> None:
        console.print(text, soft_wrap=True, highlight=False, markup=False)

    verifiers = judging.make_verifiers(spec, path)
    await ready(verifiers)
    run = new_id()
    async with contextlib.AsyncExitStack() as stack:
        # Of which only what they add to a request's address counts here.
        teachers = await stack.enter_async_context(wiring.open_teachers(spec, path, keys=False))
        stack.enter_context(signals(stop, say))
        await stack.enter_async_context(entered(lake.writing(say, check=stop.check, lost=stop.from_threads())))
        workspace = stack.enter_context(Workspace(lake, lake.staging / run))
        await asyncio.to_thread(stage, spec, path, workspace, teachers, verifiers, stop, say)
        free = [named for named in verifiers if not judging.asks(named.verifier)]
        work = _Work(workspace, lake, free, stop, console, run=run)
        unstable = await with_grace(stop, work.again()) if again else {}
        judged = 0 if stop else await with_grace(stop, work.missing())
        await asyncio.to_thread(catalog.write, lake)
        stop.check()
        before = next(reversed(lake.builds(spec.dataset)), None)
        arms = [(arm.teacher.name, arm.strategy) for arm in spec.arms]
        verdicts, changes = await asyncio.to_thread(compare, workspace, lake, before, verifiers, arms)
        ((samples,),) = workspace.rows("SELECT count(*) FROM slots WHERE stored")
    return Verified(
        dataset=spec.dataset,
        lake=lake.where,
        build_id=before["build_id"] if before else None,
        samples=samples,
        judged=judged or 0,
        verifiers=verdicts,
        unstable=unstable or {},
        changes=changes,
    )


@dataclass(frozen=True, slots=True)
class _Work:
    """Judging what is stored, with a bar that shows how far it is."""

    workspace: Workspace
    lake: Lake
    verifiers: Sequence[Named]
    stop: Stop
    console: Console
    run: str = dataclasses.field(kw_only=True)

    async def missing(self) -> int:
        """Judge what lacks a verdict, into the lake. Return how many samples."""
        async with VerdictStore(self.lake.root / "verdicts", self.lake.judged, run=self.run, mirror=self.lake.replica) as store:
            return await self._judge(store, "judging", again=False)

    async def again(self) -> dict[str, int]:
        """Judge what has a verdict, beside the lake. Return how many verdicts differ by verifier."""
        folder = self.workspace.staged("again")
        async with VerdictStore(folder, folder / "segments", run=self.run) as store:
            await self._judge(store, "judging again", again=True)
        parts = parquet_in(folder) if any(folder.glob("*.parquet")) else "(FROM verdicts LIMIT 0)"
        rows = self.workspace.rows(
            f"""
            SELECT name, count(*) FROM {parts} AS fresh JOIN {listed(self.verifiers)} USING (fingerprint)
            JOIN (
                SELECT sample_id, inputs, fingerprint, bool_and(passed) AS passed FROM verdicts GROUP BY ALL
            ) AS stored USING (sample_id, inputs, fingerprint)
            WHERE fresh.passed IS DISTINCT FROM stored.passed GROUP BY number, name ORDER BY number
            """
        )
        return dict(rows)

    async def _judge(self, store: VerdictStore, what: str, *, again: bool) -> int:
        verification = Verification(self.verifiers, store, self.stop.set, workers=len(os.sched_getaffinity(0)))
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        try:
            with Progress(*columns, console=self.console, transient=True) as bar:
                task = bar.add_task(what, total=None)

                def show(done: int, of: int) -> None:
                    bar.update(task, completed=done, total=of)

                by_itself = alone(self.verifiers)
                judged = await judge_stored(self.workspace, verification, by_itself, self.stop, again=again, progress=show)
            voted = await judge_together(self.workspace, verification, self.verifiers, self.stop, again=again)
        finally:
            verification.close()
        return max(judged, voted)
