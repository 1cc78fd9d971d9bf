"""What the flow's process knows and Prefect must not: the run at work, and who looks on.

In a module of its own: Prefect pickles a served flow with the globals that it names, and a context variable can't be pickled.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field

from flows.building import Run
from flows.process.ending import Outcome
from flows.progress import Progress, Say


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Who looks on from this process: the command line sets it; a scheduled run has nobody."""

    progress: Progress = field(default_factory=Progress)
    """Is kept up to date."""
    say: Say = lambda _: None
    """Is told what a person should know."""
    show: bool = True
    """Whether somebody will look at Prefect's UI: a temporary server has none."""
    metrics: str | None = None
    """Where it was asked to serve metrics, as PORT or HOST:PORT; None: nobody asked."""
    approve: float | None = None
    """USD that were approved of beforehand; None: nothing was."""
    pending: list[int] = field(default_factory=list)
    """Signals that came before the flow could hear them."""
    outcome: Outcome | None = None
    """Is told what the run comes to, where somebody in this process waits for it."""
    leave: Callable[[], None] = lambda: None
    """Tidies up before the process ends at once, by a second signal: gives the terminal back, removes temporary folders."""


WATCH: ContextVar[Watch] = ContextVar("watch")
RUN: ContextVar[Run] = ContextVar("run")
