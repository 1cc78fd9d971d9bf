"""Reader: samples on a terminal, one prompt's side by side where there is room."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from flows.commands.printing import plain
from storage.wording import counted

COLUMN = 44
"""Characters that a sample takes at least, where several stand side by side."""
MARKS = {True: "passed", False: "failed", None: "undecided"}
BORDERS = {"kept": "green", "rejected": "yellow", "failed": "red"}


def print_samples(console: Console, rows: Sequence[Mapping[str, Any]], *, reasoning: bool) -> None:
    """Print samples as `flows.show.show` returns them. `reasoning`: with their chains of thought."""
    abreast = console.width // COLUMN if console.is_terminal else 1  # a file or a pipe is read line by line
    for _, each in groupby(rows, key=lambda row: row["prompt_id"]):
        samples = list(each)
        if len(samples) > 1 and abreast > 1:
            _side_by_side(console, samples, abreast, reasoning=reasoning)
            continue
        for row in samples:
            console.print(Text(f"── {_heading(row, prompt=True)} ──", style="cyan"))
            console.print(Text(f"{plain(row['prompt'])}\n", style="bold"))
            for part in _parts(row, reasoning=reasoning):
                console.print(part)


def _side_by_side(console: Console, samples: Sequence[Mapping[str, Any]], abreast: int, *, reasoning: bool) -> None:
    first = samples[0]
    tags = "".join(f" · {key}: {value}" for key, value in first["tags"].items())
    console.print(Text(plain(f"── {first['prompt_id']}{tags} ──"), style="cyan"))
    console.print(Text(plain(first["prompt"]), style="bold"))
    if first["reference"] is not None:
        console.print(Text(f"reference: {plain(first['reference'])}", style="dim"))
    for begin in range(0, len(samples), abreast):
        some = samples[begin : begin + abreast]
        table = Table.grid(expand=True)
        for _ in range(min(abreast, len(samples))):
            table.add_column(ratio=1, overflow="fold")
        table.add_row(*(_panel(row, reasoning=reasoning) for row in some))
        console.print(table)


def _panel(row: Mapping[str, Any], *, reasoning: bool) -> Panel:
    title = Text(_heading(row, prompt=False), style="cyan")
    return Panel(Group(*_parts(row, reasoning=reasoning)), title=title, border_style=BORDERS[row["outcome"]], title_align="left")


def _heading(row: Mapping[str, Any], *, prompt: bool) -> str:
    of = f"{row['prompt_id']} · " if prompt else ""
    by = f" · {row['strategy']}" if row["strategy"] else ""
    cost = f" · ${row['cost_usd']:,.6f}" if row["cost_usd"] else ""
    return plain(f"{of}{row['teacher']}{by} · sample {row['sample_index']}{cost}").replace("\n", " ")


def _parts(row: Mapping[str, Any], *, reasoning: bool) -> Iterator[Text]:
    """Yield a sample's texts: reasoning, response, distributions, verdicts, and how it ended."""
    thought = row["reasoning"]
    if thought and reasoning:
        yield Text(f"{plain(thought)}\n", style="dim")
    elif thought:
        yield Text(f"reasoning: {counted(len(thought), 'character')}; --reasoning shows them\n", style="dim italic")
    if row["response"] is not None:
        yield Text(plain(row["response"]) + "\n")
    if row["logprobs"]:
        yield Text(_distributions(row["logprobs"]), style="dim")
    for verdict in (each for each in row["verdicts"] if each["passed"] is not None or row["outcome"] == "rejected"):
        said = f"{verdict['verifier']}: {MARKS[verdict['passed']]}. {verdict['reason']}"
        yield Text(plain(said).rstrip(". ") + ".", style="green" if verdict["passed"] else "yellow")
    ended = "kept" if row["outcome"] == "kept" else f"{row['outcome']} at {row['stage']}: {row['reason']}"
    yield Text(plain(ended), style="bold")


def _distributions(stored: Mapping[str, Any]) -> str:
    """Return a line that says what is stored of a sample's distributions."""
    mean = "" if stored["mean"] is None else f"; perplexity {math.exp(-stored['mean']):.3g}"
    each = stored["alternatives"] / max(stored["tokens"], 1)
    tokens = counted(stored["tokens"], "token")
    return f"logprobs: {tokens} with {each:.3g} alternatives each, {stored['rest']:.1%} outside them{mean}"
