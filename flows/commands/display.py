"""What a person sees while a build runs: a live line on a terminal, plain lines where there is none; on stderr."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from flows.progress import Progress
from storage.wording import counted

REFRESH_S = 0.5
"""Of the live display."""
PLAIN_S = 10.0
"""Between plain lines."""
SLOW_S = 20.0
"""Without a sample, or with few: worth a word."""
BATCHES = 8
"""Lines about batches in the live display."""
SLOW_RATE = 1.0
"""Samples a second."""


class Display:
    """Shows a `Progress` from a thread of its own, so that it moves whatever the event loop does."""

    def __init__(self, progress: Progress, console: Console) -> None:
        """Show nothing yet."""
        self._progress = progress
        self._console = console
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="display", daemon=True)
        self._drawing_since = 0.0
        self._paid_before = 0
        self._moved_at = self._said_at = time.monotonic()
        self._seen = 0
        self._stage = ""
        self._said_slow = False

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Show nothing more, and give the terminal back. What is said is still printed."""
        self._done.set()
        self._thread.join()
        if self._live:
            self._live.stop()

    def say(self, text: str) -> None:
        """Print a line above the display."""
        self._console.print(escape(text), soft_wrap=True, highlight=False)

    def _run(self) -> None:
        while not self._done.wait(REFRESH_S if self._live else 0.2):
            self._look()
            if self._live:
                self._live.update(self._table())

    @property
    def _drawing(self) -> bool:
        return self._stage.startswith("drawing")

    def _look(self) -> None:
        """Notice a new stage, a sample, or that none has come for long; on no terminal, print a line now and then."""
        now = time.monotonic()
        if self._progress.stage != self._stage:
            self._begin(self._progress.stage, now)
        come = self._progress.tally.asked + self._progress.tally.spared + self._progress.spending.paid
        if come != self._seen:
            self._seen, self._moved_at = come, now
        if self._progress.batches:
            self._moved_at, self._said_slow = now, True  # hours are no cause for alarm
        if self._drawing:
            self._warn(now)
            if not self._live and now - self._said_at > PLAIN_S:
                self._said_at = now
                self.say("  ".join(part for part in self._parts() if part))
                for line in list(self._progress.batches.values()):
                    self.say(line)

    def _begin(self, stage: str, now: float) -> None:
        self._stage = stage
        self._moved_at = self._said_at = now
        if self._drawing:
            self._drawing_since = now
            self._paid_before = self._progress.spending.paid
        if not self._live:
            self.say(stage)

    def _warn(self, now: float) -> None:
        """Say where a draw is slow: each time that nothing has come for long, and once where little comes."""
        if now - self._moved_at > SLOW_S:
            self.say(f"no response for {now - self._moved_at:.0f} s: the teacher is slow, or this machine is busy; going on")
            self._moved_at = now
        paid, seconds = self._progress.spending.paid - self._paid_before, now - self._drawing_since
        if not self._said_slow and seconds > SLOW_S and paid < seconds * SLOW_RATE:
            self._said_slow = True
            self.say(f"slow so far, {paid / seconds:.1f} samples/s: the teacher, or this machine, is busy; going on")

    def _parts(self) -> list[str]:
        progress, now = self._progress, time.monotonic()
        tally, paid = progress.tally, progress.spending.paid - self._paid_before
        seconds = max(now - self._drawing_since, 1e-9)
        rate = paid / seconds
        judged = tally.accepted / tally.judged if tally.judged else None
        missing = max(progress.wanted - tally.asked, 0)
        cost = f"${progress.spending.cost_usd:,.4f}"
        if progress.budget.usd is not None:
            cost = f"${progress.budget.spent:,.4f} of ${progress.budget.usd:g}"
        # Prompts that are solved early take their other slots with them, so the rate is that of slots that came to an end.
        left_s = seconds * (1 / progress.share - 1) if progress.share else 0.0
        return [
            f"{tally.asked:,}/{counted(progress.wanted, 'sample')}",
            f"{rate:,.1f}/s",
            f"pass rate {judged:.0%}" if judged is not None else "",
            f"failed {tally.failed:,}" if tally.failed else "",
            cost,
            f"ETA {_clock(left_s)}" if left_s and missing else "",
        ]

    def _table(self) -> Table | Group:
        table = Table.grid(padding=(0, 2))
        table.add_row(f"[bold]{escape(self._stage)}[/]", *(self._parts() if self._drawing else ()))
        batches = list(self._progress.batches.values())
        if not batches:
            return table
        more = [f"and {len(batches) - BATCHES:,} more"] if len(batches) > BATCHES else []
        return Group(table, *(Text(line) for line in batches[:BATCHES] + more))


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
