"""Probe: ask a few prompts, so that a plan has something to go by. A build finds in the lake what a probe bought."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console

from flows.building import Run
from flows.commands.display import Display
from flows.process.waiting import with_grace
from flows.progress import Progress
from flows.spec import Spec
from flows.working import conclude, signals, work_shards
from storage import catalog
from storage.lake import Lake
from storage.wording import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What a probe bought."""

    prompts: int
    """Prompts that it looked at."""
    paid: int
    """Responses."""
    judged: int
    """Samples that were stored, and that the spec's verifiers had not all seen."""
    cost_usd: float
    """As far as prices are known, judges included."""
    tokens_in: int
    """Billed."""
    tokens_out: int
    """Billed."""

    def lines(self) -> list[tuple[str, str]]:
        """Return it as (name, value) for a terminal."""
        judged = f" and {self.judged:,} stored ones judged" if self.judged else ""
        bought = f"{counted(self.paid, 'sample')} bought{judged} for ${self.cost_usd:,.4f}, which a build won't pay again"
        return [("probe", f"{counted(self.prompts, 'prompt')}: {bought}")]

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return dataclasses.asdict(self)


def probe(spec: Spec, path: Path, lake: Lake, console: Console, *, prompts: int) -> Probed:
    """Draw and judge so many prompts of the dataset, spread over it, as a build would. Raise what ended it early."""
    progress = Progress()
    with Display(progress, console) as display:
        return uvloop.run(_probe(Run(spec, path, lake, progress=progress, say=display.say), prompts, display.stop))


async def _probe(run: Run, prompts: int, leave: Callable[[], None]) -> Probed:
    with signals(run.stop, run.say, leave=leave):
        async with run:
            if run.spec.growers:
                await run.grow(prompts)
            await run.prepare()
            looked_at = await run.narrow(prompts)
            run.stop.check()
            judged = await with_grace(run.stop, run.judge_stored()) or 0
            run.stop.check()
            await work_shards(run, run.work)
            await conclude(run)
            await asyncio.to_thread(catalog.write, run.lake)
        run.stop.check()
    spending = run.progress.spending
    return Probed(
        prompts=looked_at,
        paid=spending.paid,
        judged=judged,
        cost_usd=spending.cost_usd,
        tokens_in=spending.tokens_in,
        tokens_out=spending.tokens_out,
    )
