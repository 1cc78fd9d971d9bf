"""What the training's flow and the command line that launches it share: who looks on, what is checked first, how it is shown.

In a module of its own, with the context variable, as `flows/process/context.py` is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from flows.process.ending import Outcome
from storage.errors import SetupError
from storage.wording import counted
from tasks.distillation.recipe import Recipe

PLAIN_S = 10.0
"""Between two lines about steps, where there is no terminal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Who looks on from this process: the command line sets it; a deployed run has nobody."""

    say: Callable[[str], None] = lambda _: None
    """Is told what a person should know."""
    tell: Callable[[dict[str, Any]], None] = lambda _: None
    """Is told each row of the log."""
    show: bool = True
    """Whether somebody will look at Prefect's UI."""
    pending: list[int] = field(default_factory=list)
    """Signals that came before the flow could hear them."""
    outcome: Outcome | None = None
    """Is told what the training comes to, where somebody in this process waits for it."""
    leave: Callable[[], None] = lambda: None
    """Gives back what an end at once would leave: the terminal, temporary folders."""


WATCH: ContextVar[Watch] = ContextVar("distill-watch")


def check(shards: Path, student: str, to: Path, recipe: Recipe) -> None:
    """Raise a UserError where an option can't be, or what trains isn't installed. Nothing is loaded."""
    from tasks.distillation.shards import files

    recipe.check()
    files(shards, "train")
    for name in ("torch", "transformers"):
        if find_spec(name) is None:
            raise SetupError(f"distill needs {name}: pip install 'stillhouse[train]'")
    # These two import torch.
    from tasks.distillation.student import check_name
    from tasks.distillation.training import check_place

    check_name(student)
    check_place(to, student)


class Display:
    """Shows steps: a bar on a terminal, a line now and then where there is none; on stderr."""

    def __init__(self, console: Console) -> None:
        """Show nothing yet."""
        self._console = console
        self._said_at = 0.0
        parts = (TextColumn("[bold]training[/]"), BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
        self._bar = Progress(*parts, console=console, transient=True) if console.is_terminal else None
        self._task: Any = None

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Show no bar any more."""
        if self._bar is not None:
            self._bar.stop()

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._console.print(escape(text), soft_wrap=True, highlight=False)

    def tell(self, row: dict[str, Any]) -> None:
        """Show a row of the log."""
        if "held_out" in row:
            self.say(f"step {row['step']:,}: held-out {losses(row['held_out'])}")
            return
        text = f"step {row['step']:,}/{row['of']:,}  {losses(row)}  {row['tokens_per_s']:,.0f} tokens/s"
        if self._bar is not None:
            if self._task is None:
                self._task = self._bar.add_task(text, total=row["of"])
            self._bar.update(self._task, completed=row["step"], description=text)
        elif row["step"] == row["of"] or time.monotonic() - self._said_at > PLAIN_S:
            self._said_at = time.monotonic()
            self.say(text)


def losses(row: dict[str, Any]) -> str:
    """Return the losses of a row for a person."""
    parts = f" (hard {row['hard']:.4f}, soft {row['soft']:.4f})" if "soft" in row else ""
    return f"loss {row['loss']:.4f}{parts}"


def lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what came of a training, as names and values."""
    shown = [
        ("student", f"{found['to']} ({found['parameters']:,} parameters)"),
        (
            "trained on",
            f"{counted(found['conversations'], 'conversation')}, {counted(found['trained_tokens'], 'token')} of responses",
        ),
        ("labels", "hard and soft" if found["soft"] else "hard"),
        ("steps", f"{found['steps']:,} of {found['of']:,}" + (", ended where the held-out loss turned" * found["ended_early"])),
    ]
    if found["held_out"]:
        shown += [
            ("held out", f"{losses(found['held_out_before'])} before, {losses(found['held_out'])} after"),
            ("best step", f"{found['best_step']:,}, which is what was saved"),
        ]
    else:
        shown.append(("held out", "nothing; `split` in a spec's `select` holds some out"))
    if found["without_labels"]:
        shown.append(("left out", f"{counted(found['without_labels'], 'conversation')} with nothing to learn from"))
    return [*shown, ("time", f"{found['elapsed_s']:,.1f} s on {found['device']}")]
