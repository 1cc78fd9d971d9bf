"""The display: plain lines where there is no terminal, a live line where there is one."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from flows.commands import display
from flows.commands.display import Display
from flows.progress import Progress
from tasks.draw import Budget


def shown(progress: Progress, *, terminal: bool, seconds: float = 0.8) -> str:
    """Return what a display writes in a moment."""
    console = Console(file=io.StringIO(), force_terminal=terminal, width=200)
    with Display(progress, console) as showing:
        showing.say("[bold]said[/]")
        time.sleep(seconds)
    return console.file.getvalue()  # type: ignore[attr-defined]


def drawing() -> Progress:
    """Return the progress of a run in mid-draw."""
    progress = Progress(slots=100, budget=Budget(2.0, spent=1.25))
    progress.stage = "drawing and verifying"
    progress.tally.asked, progress.tally.judged, progress.tally.accepted, progress.tally.failed = 40, 38, 19, 2
    progress.spending.paid, progress.spending.cost_usd = 38, 0.5
    return progress


def test_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal, stages and now and then the state are lines of their own, with no control codes."""
    monkeypatch.setattr(display, "PLAIN_S", 0.2)
    text = shown(drawing(), terminal=False)
    lines = text.splitlines()
    assert lines[:2] == ["[bold]said[/]", "drawing and verifying"]
    for part in ("40/100 samples", "pass rate 50%", "failed 2", "$1.2500 of $2", "ETA"):
        assert part in lines[2]
    assert "\x1b" not in text


def test_a_live_line() -> None:
    """On a terminal, one line is kept up to date, and what is said stands above it."""
    text = shown(drawing(), terminal=True)
    assert "40/100 samples" in text
    assert "[bold]said[/]" in text


def test_what_was_bought_before() -> None:
    """The rate is of what was bought since drawing began: prompts that were grown before are none of it."""
    progress = drawing()
    showing = Display(progress, Console(file=io.StringIO()))
    showing._look()
    showing._drawing_since = time.monotonic() - 10
    assert showing._parts()[1] == "0.0/s"
    progress.spending.paid += 20
    assert showing._parts()[1] == "2.0/s"


def test_solved_prompts_need_no_more() -> None:
    """Slots that nobody needs to ask for any more are neither waited for nor wanted."""
    progress = drawing()
    progress.tally.spared = 58
    showing = Display(progress, Console(file=io.StringIO()))
    showing._drawing_since = time.monotonic() - 98
    parts = showing._parts()
    assert parts[0] == "40/42 samples"
    assert parts[-1] in {"ETA 1 s", "ETA 2 s"}
    assert progress.share == 0.98


def test_without_a_budget() -> None:
    """Where there is no budget, what this run costs is shown."""
    progress = drawing()
    progress.budget = Budget(None, spent=1.25)
    assert "$0.5000" in Display(progress, Console(file=io.StringIO()))._parts()


def test_slowness_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no sample comes for long, a line says so."""
    monkeypatch.setattr(display, "SLOW_S", 0.3)
    assert "the teacher is slow, or this machine is busy" in shown(drawing(), terminal=False)


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "plain"])
def test_batches(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    """Each batch that is waited for has a line, and no answer for hours is no cause for alarm."""
    monkeypatch.setattr(display, "PLAIN_S", 0.2)
    monkeypatch.setattr(display, "SLOW_S", 0.1)
    progress = drawing()
    progress.batches.update({str(n): f"teacher 't': batch {n}: in progress 0/2" for n in range(10)})
    text = shown(progress, terminal=terminal)
    assert "teacher 't': batch 0: in progress 0/2" in text
    assert ("and 2 more" in text) == terminal
    assert "slow" not in text


def test_stop() -> None:
    """Stopped before its time, as a process that ends at once does, it gives the cursor back; leaving then does no harm."""
    console = Console(file=io.StringIO(), force_terminal=True, width=200)
    with Display(drawing(), console) as showing:
        showing.stop()
        text = console.file.getvalue()  # type: ignore[attr-defined]
        assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l") >= 0
        showing.say("ended")
    assert "ended" in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("seconds", "text"), [(5, "5 s"), (65, "1 min 05 s"), (3725, "1 h 02 min")], ids=["seconds", "minutes", "hours"]
)
def test_clock(seconds: float, text: str) -> None:
    """Times are in the units that a person would use."""
    assert display._clock(seconds) == text
