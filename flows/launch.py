"""Launching the flow from the command line: server, signals, display."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any, cast

from rich.console import Console

from flows.display import Display
from flows.run import Progress
from flows.server import Server
from storage import memory
from storage.errors import Interrupted


def launch(spec: Path, dataset: str, lake: str, console: Console, progress: Progress) -> dict[str, Any]:
    """Run the build flow and return its summary. Raise what ended it early: `progress` says what was spent by then."""
    memory.settle()
    pending: list[int] = []

    def check() -> None:
        if pending:
            raise Interrupted(f"interrupted by {signal.Signals(pending[0]).name}; nothing was asked yet")

    # Until the flow hears signals itself, they are noted: an exception in the middle of an import would be swallowed there.
    before = {number: signal.signal(number, lambda got, _: pending.append(got)) for number in (signal.SIGINT, signal.SIGTERM)}
    progress.stage = "starting Prefect"
    try:
        with Server() as server, Display(progress, console) as display:
            from prefect import tags

            from flows.build import build
            from flows.context import WATCH, Watch

            server.wait(check)
            check()

            def leave() -> None:
                display.stop()
                server.end()

            show = not server.temporary
            WATCH.set(Watch(progress=progress, say=display.say, show=show, pending=pending, leave=leave))
            with tags("stillhouse", f"dataset:{dataset}"):
                return cast("dict[str, Any]", asyncio.run(cast("Any", build(str(spec), lake=lake))))
    except BaseException as error:
        # Prefect's own handler is in place for the moment between the flow's start and ours.
        if type(error).__name__ == "TerminationSignal":
            raise Interrupted("interrupted by SIGTERM; what was paid for is landed, and a rerun goes on") from None
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
