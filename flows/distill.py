"""The training of a student as a Prefect flow: Prefect shows its progress and losses; no token passes through it.

As a deployment on a GPU's work pool, it runs by its parameters alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from prefect import flow, get_run_logger, task
from prefect.artifacts import acreate_markdown_artifact, acreate_progress_artifact, aupdate_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Cancelled, Failed

from flows import distilling
from flows.process.ending import Outcome
from flows.process.signals import handled
from flows.process.untagged import untagged
from flows.process.waiting import beside
from flows.serving import restarts
from storage.errors import Interrupted, UserError
from storage.wording import counted
from tasks.distillation.recipe import Recipe

UPDATE_S = 2.0
"""Between two updates of the progress artifact."""
LAST_S = 60.0
"""What the last update may take, where the server is away."""
ROWS = 200
"""Steps in the artifact of losses at most, evenly chosen."""


class _Seen:
    """What the training's thread has told by now, and what it is told."""

    def __init__(self, tell: Any) -> None:
        self.rows: list[dict[str, Any]] = []
        self.stop = threading.Event()
        self._tell = tell

    def tell(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
        self._tell(row)

    @property
    def last(self) -> dict[str, Any] | None:
        return next((row for row in reversed(self.rows) if "loss" in row), None)


def _name() -> str:
    return f"distill {Path(str(flow_run.parameters.get('to', ''))).name}"


@task(name="train", cache_policy=NO_CACHE, persist_result=False)
async def train(shards: str, student: str, to: str, recipe: Recipe, device: str) -> dict[str, Any]:
    """Train in a thread, so that the loop hears signals and tells Prefect how it goes."""
    watch = distilling.WATCH.get(distilling.Watch())
    outcome = watch.outcome or Outcome()
    seen = _Seen(watch.tell)

    def work() -> dict[str, Any]:
        from tasks.distillation.student import load
        from tasks.distillation.training import Training

        watch.say(f"loading {student}")
        training = Training(load(student), Path(shards), Path(to), recipe, device=device)
        facts = training.facts
        watch.say(
            f"{counted(facts['conversations'], 'conversation')}, {counted(facts['trained_tokens'], 'token')} of responses, "
            f"{counted(training.steps, 'step')}"
            f" on {facts['device']}" + ("" if facts["held_out"] else "; nothing is held out, so nothing ends it early")
        )
        return training.run(seen.tell, seen.stop.is_set)

    async with _watched(seen, watch, Path(to).name):
        # What is left then is to show it: who waits for the outcome may leave that, and a signal is for them.
        with outcome.noting(), _signals(seen, watch):
            found = await asyncio.to_thread(work)
        outcome.found(found)
        return found


@flow(name="distill", flow_run_name=_name, persist_result=False)
async def distill(
    shards: str,
    student: str,
    to: str,
    recipe: Recipe | None = None,
    *,
    device: Literal["auto", "cpu", "cuda"] = "auto",
) -> dict[str, Any] | State[Any]:
    """Train a student on a folder of shards, save it in another, and return what came of it.

    A state in place of the result carries the UserError that the caller then sees: `Cancelled` for an interruption.

    Args:
        shards: A folder that `format: tokenized` wrote, as the machine that runs this sees it.
        student: A model's folder, or an id of the Hub.
        to: The folder where the trained student goes.
        recipe: How it is trained.
        device: Where.
    """
    chosen = recipe or Recipe()
    outcome = distilling.WATCH.get(distilling.Watch()).outcome or Outcome()
    outcome.begun.set()
    try:
        with outcome.noting():
            await asyncio.to_thread(restarts.check)
            distilling.check(Path(shards), student, Path(to), chosen)
        with untagged():
            found = await train(shards, student, to, chosen, device)
    except Interrupted as error:
        return Cancelled(message=str(error), data=error)
    except UserError as error:
        return Failed(message=str(error), data=error)
    told = "; ".join(f"{name}: {value}" for name, value in distilling.lines(found))
    get_run_logger().info("trained: %s", told)
    return found


@contextlib.contextmanager
def _signals(seen: _Seen, watch: distilling.Watch) -> Iterator[None]:
    """Let SIGINT and SIGTERM end the training after its step. A second one ends the process: the last checkpoint holds."""

    def interrupt(number: int) -> None:
        name = signal.Signals(number).name
        if seen.stop.is_set():
            try:
                watch.leave()
                watch.say(f"{name}: ended at once; a rerun goes on from the last checkpoint")
            finally:
                os._exit(Interrupted.exit_code)
        watch.say(f"{name}: ending after this step, with a checkpoint (again to stop at once)")
        seen.stop.set()

    with handled(interrupt, watch.pending):
        yield


@contextlib.asynccontextmanager
async def _watched(seen: _Seen, watch: distilling.Watch, name: str) -> AsyncIterator[None]:
    """Keep Prefect's artifacts up to date, and hear of a cancellation in its UI."""
    if not watch.show:
        yield
        return
    key = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "student"
    try:
        async with beside(_watching(seen, key)):
            yield
    finally:
        with contextlib.suppress(Exception):  # Prefect's trouble is not the student's
            async with asyncio.timeout(LAST_S):
                await acreate_markdown_artifact(table(seen.rows), key=f"{key}-loss", description="Loss by step")


async def _watching(seen: _Seen, key: str) -> None:
    logger = get_run_logger()
    artifact: UUID | None = None
    shown, looks = 0, 0
    async with get_client() as client:
        while True:
            try:
                if artifact is None:
                    artifact = await acreate_progress_artifact(0.0, key=f"{key}-progress", description="Steps")
                last = seen.last
                if last is not None and last["step"] != shown:
                    text = f"step {last['step']:,} of {last['of']:,}; {distilling.losses(last)}"
                    await aupdate_progress_artifact(artifact, progress=100.0 * last["step"] / last["of"], description=text)
                    shown = last["step"]
                if looks != (now := sum("held_out" in row for row in list(seen.rows))):
                    await acreate_markdown_artifact(table(seen.rows), key=f"{key}-loss", description="Loss by step")
                    looks = now
                state = (await client.read_flow_run(flow_run.id)).state
                if state is not None and state.is_cancelling():
                    seen.stop.set()
            except Exception as error:  # noqa: BLE001 - a server that restarts must not end a training
                logger.debug("Prefect can't be reached: %s", error)
            await asyncio.sleep(UPDATE_S)


def table(rows: list[dict[str, Any]]) -> str:
    """Return losses by step as a Markdown table: every look at what is held out, and of the steps some."""
    steps = [row for row in list(rows) if "loss" in row]
    some = {row["step"] for row in steps[:: max(1, len(steps) // ROWS)]} | {row["step"] for row in steps[-1:]}
    lines = ["| step | loss | hard | soft | held out |", "|---|---|---|---|---|"]
    for row in list(rows):
        if "held_out" in row:
            lines.append(f"| {row['step']} | | | | {row['held_out']['loss']:.4f} |")
        elif row["step"] in some:
            soft = f"{row['soft']:.4f}" if "soft" in row else ""
            lines.append(f"| {row['step']} | {row['loss']:.4f} | {row['hard']:.4f} | {soft} | |")
    return "\n".join(lines)
