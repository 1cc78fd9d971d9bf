"""Waste: what responses cost that gave no sample. A budget is for all runs of a dataset, so a later run must know of it.

A line of JSON for each response that is of no use, or of none yet, in a file of each run. There are few, so each is written as
it comes; a line that a crash tore is left out when they are read. Where a sample comes that carries their cost, another line
takes them back.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import orjson

from storage.appended import Appended
from storage.sql import literal

COLUMNS = {
    "sample_id": "VARCHAR",
    "teacher": "VARCHAR",
    "cost_usd": "DOUBLE",
    "tokens_in": "BIGINT",
    "tokens_out": "BIGINT",
    "responses": "BIGINT",
}


class Waste:
    """Writes `folder/RUN.jsonl`. A context manager: leaving it syncs the file."""

    def __init__(self, folder: Path, *, run: str) -> None:
        """Name the file; it is made when there is something to write."""
        self._lines = Appended(folder / f"{run}.jsonl")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._lines.close(sync=True)

    def note(self, *, sample_id: str, teacher: str, cost_usd: float, tokens_in: int, tokens_out: int, responses: int = 1) -> None:
        """Note what was billed in vain for the slot of a sample, or (negative) take it back.

        Raise StorageError where it can't be written.
        """
        row = {
            "sample_id": sample_id,
            "teacher": teacher,
            "cost_usd": cost_usd,
            "tokens_in": tokens_in,
            "tokens_out": tokens_out,
            "responses": responses,
        }
        self._lines.write(orjson.dumps(row) + b"\n")


def view(folder: Path) -> str:
    """Return the query of all that was noted in a folder."""
    names = ", ".join(f"NULL::{kind} AS {name}" for name, kind in COLUMNS.items())
    if not any(folder.glob("*.jsonl")):
        return f"SELECT {names} WHERE FALSE"
    columns = ", ".join(f"{name}: {literal(kind)}" for name, kind in COLUMNS.items())
    return (
        f"FROM read_json({literal(folder / '*.jsonl')}, format='newline_delimited', ignore_errors=true, "
        f"columns={{{columns}}}) WHERE sample_id IS NOT NULL"
    )
