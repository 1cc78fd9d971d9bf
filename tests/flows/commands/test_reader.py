"""Samples on a terminal: side by side where there is room, folded reasoning, and nothing that could steer it."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from flows.commands.reader import print_samples

EVIL = "\x1b[2J\x1b]8;;http://x\x07link\r\x9b31m\u202e"


def row(index: int = 0, **given: Any) -> dict[str, Any]:
    """Return a sample as `show` gives it."""
    defaults = {
        "prompt_id": "p",
        "teacher": "smol",
        "strategy": None,
        "sample_index": index,
        "cost_usd": None,
        "prompt": "How many?",
        "reference": "4",
        "tags": {"topic": "sums"},
        "reasoning": "two and two",
        "response": f"It is {index}.",
        "logprobs": None,
        "verdicts": [{"verifier": "check", "passed": True, "reason": "matches"}],
        "outcome": "kept",
        "stage": None,
        "reason": None,
    }
    return defaults | given


def printed(*rows: dict[str, Any], width: int = 100, terminal: bool = True, reasoning: bool = False) -> str:
    """Return what is printed."""
    console = Console(file=io.StringIO(), force_terminal=terminal, color_system=None, width=width, highlight=False)
    print_samples(console, rows, reasoning=reasoning)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_side_by_side():
    """One prompt's samples share lines where the terminal is wide enough, and the prompt is there once."""
    text = printed(row(0), row(1), row(2), width=140)
    assert any("It is 0." in line and "It is 1." in line and "It is 2." in line for line in text.splitlines())
    assert text.count("How many?") == 1
    assert "reference: 4" in text
    assert max(map(len, text.splitlines())) <= 140


@pytest.mark.parametrize(("width", "terminal"), [(60, True), (200, False)], ids=["narrow", "a pipe"])
def test_one_after_another(width: int, terminal: bool):
    """On a narrow terminal, and in a file or a pipe, each sample follows the other."""
    text = printed(row(0), row(1), width=width, terminal=terminal)
    assert not any("It is 0." in line and "It is 1." in line for line in text.splitlines())
    assert text.count("How many?") == 2


def test_rows_of_several_terminals():
    """More samples than a line takes go on below, each as wide as those above."""
    lines = printed(*(row(n) for n in range(5)), width=100).splitlines()
    assert sum("╭" in line for line in lines) == 3
    assert {line.index("╮") for line in lines if "╭" in line} == {49}


def test_reasoning_is_folded():
    """Of a chain of thought its length is shown, and all of it where one asks for it."""
    assert "two and two" not in printed(row())
    assert "reasoning: 11 characters; --reasoning shows them" in printed(row())
    assert "two and two" in printed(row(), reasoning=True)


@pytest.mark.parametrize("several", [1, 2], ids=["one", "side by side"])
def test_nothing_steers_the_terminal(several: int):
    """Escapes, carriage returns and turned writing of foreign texts are shown as replacement characters, wherever they stand."""
    evil = dict.fromkeys(
        ("prompt_id", "teacher", "strategy", "prompt", "reference", "response", "reasoning", "stage", "reason"), EVIL
    )
    judged = [{"verifier": EVIL, "passed": False, "reason": EVIL}]
    rows = [row(n, **evil, tags={EVIL: EVIL}, verdicts=judged, outcome="rejected") for n in range(several)]
    text = printed(*rows, reasoning=True)
    assert not set(text) & set("\x1b\x07\r\x9b\u202e")
    assert "link" in text


def test_how_it_ended():
    """A sample that wasn't kept says at which stage and why; an undecided verdict is shown there alone."""
    verdicts = [{"verifier": "judge", "passed": None, "reason": "no answer"}]
    text = printed(row(outcome="rejected", stage="verify", reason="judge: no answer", verdicts=verdicts))
    assert "judge: undecided. no answer." in text
    assert "rejected at verify: judge: no answer" in text
    assert "undecided" not in printed(row(verdicts=verdicts))
    assert "failed at draw: timed out" in printed(row(outcome="failed", stage="draw", reason="timed out", response=None))
