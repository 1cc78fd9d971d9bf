"""Launching the flow from the command line: server, signals, display.

Only what is small is imported at the top: a temporary server takes seconds to start, and the rest is loaded meanwhile.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop
from rich.console import Console

from flows.process.ending import Outcome, outlasting
from flows.process.server import Server
from storage.errors import Interrupted, UserError

if TYPE_CHECKING:
    from flows.evaluating import ContestOptions
    from flows.progress import Progress


@contextlib.contextmanager
def starting() -> Iterator[Launch]:
    """Start Prefect's server, and note signals until the flow hears them itself."""
    pending: list[int] = []
    leaving = False

    def note(number: int, _: object) -> None:
        # An exception in the middle of an import may be swallowed there: the first is noted only. The next ends whatever hangs,
        # and those after it don't break into how the server is ended.
        pending.append(number)
        if len(pending) > 1 and not leaving:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with Server() as server:
            try:
                yield Launch(server, pending)
            finally:
                leaving = True
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Launch:
    """A build that is about to begin."""

    def __init__(self, server: Server, pending: list[int]) -> None:
        """Use a server that may still be starting; `pending` are the signals that came by now."""
        self._server = server
        self._pending = pending

    def check(self) -> None:
        """Raise Interrupted where a signal came."""
        if self._pending:
            raise Interrupted(f"interrupted by {signal.Signals(self._pending[0]).name}; nothing was asked yet")

    @property
    def pending(self) -> list[int]:
        """Return the signals that came by now."""
        return self._pending

    def wait(self) -> None:
        """Return once the server is there."""
        self._server.wait(self.check)
        self.check()

    @property
    def watched(self) -> bool:
        """Whether somebody will look at the server: a temporary one is nobody's."""
        return not self._server.temporary

    def build(
        self,
        spec: Path,
        dataset: str,
        lake: str,
        console: Console,
        progress: Progress,
        *,
        approve: float | None = None,
        metrics: str | None = None,
        runner: str | None = None,
    ) -> dict[str, Any]:
        """Run the build flow and return its summary. Raise what ended it early: `progress` says what was spent by then.

        `approve`: USD that may be spent without anybody being asked. `metrics`: where to serve them.
        `runner`: where shards run, in place of what the spec says.
        """

        def flow() -> Any:
            from flows.build import build

            return build(str(spec), lake=lake, runner=runner)

        return self._run(flow, dataset, console, progress, approve=approve, metrics=metrics)

    def evaluate(
        self, spec: Path, dataset: str, lake: str, options: ContestOptions, console: Console, progress: Progress
    ) -> dict[str, Any]:
        """Run the evaluation's flow and return what it found. Raise as `build` does."""

        def flow() -> Any:
            from flows.evaluate import evaluate

            return evaluate(str(spec), lake=lake, options=options)

        return self._run(flow, dataset, console, progress)

    def explain(self, error: BaseException) -> None:
        """Raise the UserError that an error of Prefect's is, where it is one."""
        # Prefect's own handler is in place for the moment between the flow's start and ours.
        if type(error).__name__ == "TerminationSignal":
            raise Interrupted("interrupted by SIGTERM; what was paid for is landed, and a rerun goes on") from None
        if not isinstance(error, UserError | KeyboardInterrupt | SystemExit) and (lost := self._server.lost(error)) is not None:
            raise lost from error

    def _run(self, flow: Callable[[], Any], dataset: str, console: Console, progress: Progress, **asked: Any) -> dict[str, Any]:
        from flows.commands.display import Display
        from storage import memory

        memory.settle()
        progress.stage = "starting Prefect"
        try:
            with Display(progress, console) as display:
                from prefect import tags

                from flows.process.context import WATCH, Watch

                self.wait()
                outcome = Outcome()
                watch = Watch(
                    progress=progress,
                    say=display.say,
                    show=self.watched,
                    pending=self._pending,
                    leave=lambda: self.leave(display.stop),
                    outcome=outcome,
                    **asked,
                )
                WATCH.set(watch)
                # For whoever looks: nobody does on a server that ends with the command.
                with tags("stillhouse", f"dataset:{dataset}") if self.watched else contextlib.nullcontext():
                    return self.outlast(flow, outcome, display.say)
        except BaseException as error:
            self.explain(error)
            raise

    def leave(self, stop: Callable[[], None]) -> None:
        """Tidy up before the process ends at once: `stop` the display, which has the terminal, and end a temporary server."""
        stop()
        self._server.end()

    def outlast(self, flow: Callable[[], Any], outcome: Outcome, say: Callable[[str], None]) -> dict[str, Any]:
        """Run a flow, and return what it came to, whether Prefect's server hears of it or not."""
        begin_s, end_s = self._server.patience_s
        leave, pending = self._server.give_up, self._pending
        return uvloop.run(outlasting(flow(), outcome, begin_s=begin_s, end_s=end_s, pending=pending, leave=leave, say=say))
