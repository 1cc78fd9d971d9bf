"""What commands print: results on stdout, all else on stderr."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

from storage.errors import LicenseRefused, SpecError, UserError

if TYPE_CHECKING:
    from flows.progress import Progress
    from storage.lake import Lake

WIDE = 100_000
"""Columns of a file or a pipe, in which a table is as wide as it is."""
FOLDED = 16
"""Columns that a text which may be folded needs to be read."""
out = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else WIDE)
err = Console(stderr=True)
KEPT = "\n\t\u00a0\u00ad\u2007\u200c\u200d\u202f\u3000"
"""Signs that Python takes for unprintable: spaces, and joiners, without which an emoji or a word of Persian falls apart."""
NOTHING_SPENT = frozenset({SpecError.exit_code, LicenseRefused.exit_code})
"""What ends a run mostly before it has bought anything, which goes without saying then."""


@dataclass(slots=True)
class _Kept:
    """A stdout that is kept for one JSON object."""

    stdout: TextIO
    written: bool = False
    """Whether the object is there."""


_JSON: ContextVar[_Kept | None] = ContextVar("json", default=None)
"""Where the JSON object goes, while stdout is kept for it."""


def say(text: str) -> None:
    """Print a line on stderr."""
    err.print(escape(text), soft_wrap=True, highlight=False)


def print_lines(lines: Iterable[tuple[str, str]]) -> None:
    """Print names and values as a table. What stands in them, such as a tag, may come from anywhere: each stays a line."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in lines:
        table.add_row(*(escape(plain(" ".join(text.splitlines()))) for text in (name, value)))
    print_table(table)


def print_table(table: Table) -> None:
    """Print a table. Into a file or a pipe, and on a terminal too narrow for names and ids, lines are as long as they are."""
    wide = Console(file=io.StringIO(), width=WIDE)
    least = sum(_widest(wide, column) for column in table.columns)
    if out.is_terminal and least <= out.width:
        out.print(table)
        return
    with wide.capture() as rendered:
        wide.print(table)
    for line in rendered.get().splitlines():
        out.print(Text(line.rstrip()))


def _widest(console: Console, column: Column) -> int:
    """Return how wide a column must be: one that folds does with little, any other holds what one copies."""
    if not column.no_wrap:
        return FOLDED
    return 2 + max(Measurement.get(console, console.options, cell).maximum for cell in (column.header, *column.cells))


@contextlib.contextmanager
def results_alone() -> Iterator[None]:
    """Keep stdout for the one JSON object of `--json`: what anybody else prints, such as a plug-in, goes to stderr.

    Where an error of the user's comes before it, that is the object.
    """
    kept = _Kept(sys.stdout)
    token = _JSON.set(kept)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except UserError as error:
        if not kept.written:
            print_json({"error": str(error), "exit": error.exit_code})
        raise
    finally:
        _JSON.reset(token)


def print_exported(manifest: Mapping[str, Any]) -> None:
    """Print what an export wrote, and where."""
    from flows.exporting import exported

    out.print(Text(plain(exported(manifest))))


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object."""
    kept = _JSON.get() or _Kept(sys.stdout)
    whole = (kept.stdout.encoding or "utf-8").lower().replace("-", "") == "utf8"
    kept.stdout.write(json.dumps(value, ensure_ascii=not whole, default=str) + "\n")
    kept.stdout.flush()  # here it is known whether anybody can take it
    kept.written = True


@contextlib.contextmanager
def spending_told(dataset: str, lake: Lake, progress: Progress, *, as_json: bool) -> Iterator[None]:
    """Where a run ends in an error of the user's, say what it bought; raise that error all the same."""
    try:
        yield
    except UserError as error:
        spending = progress.spending
        if spending.paid or spending.cost_usd or error.exit_code not in NOTHING_SPENT:
            say(spending.line())
        if as_json:
            ended = {"dataset": dataset, "error": str(error), "exit": error.exit_code, "lake": lake.where}
            print_json(ended | spending.totals())
        raise


def plain(text: str) -> str:
    """Return a text of foreign origin without what could steer a terminal, and Windows' ends of lines as ours."""
    shown = (char if char.isprintable() or char in KEPT else "\N{REPLACEMENT CHARACTER}" for char in text.replace("\r\n", "\n"))
    return "".join(shown)
