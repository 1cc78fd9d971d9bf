"""Waste: what responses cost that gave no sample. A budget is for all runs of a dataset, so a later run must know of it.

A line of JSON for each response that is of no use, or of none yet, in a file of each run. There are few, so each is written as
it comes; a line that a crash tore is left out when they are read. Where a sample comes that carries their cost, another line
takes them back; the sample's own line in the journal has that too, since a kill may come between the two.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Self, TypedDict

import orjson

from storage.appended import Appended
from storage.lines import unpack
from storage.parquet import writing
from storage.sql import literal

COLUMNS = {
    "sample_id": "VARCHAR",
    "teacher": "VARCHAR",
    "cost_usd": "DOUBLE",
    "tokens_in": "BIGINT",
    "tokens_out": "BIGINT",
    "responses": "BIGINT",
}


CARRIED = "carried"
"""The name, in a line of the journal, of what its sample takes back."""


class Note(TypedDict):
    """What was billed for the slot of a sample."""

    sample_id: str
    teacher: str
    cost_usd: float
    tokens_in: int
    tokens_out: int
    responses: int


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
        """Note what was billed in vain for the slot of a sample. Raise StorageError where it can't be written."""
        note = Note(
            sample_id=sample_id,
            teacher=teacher,
            cost_usd=cost_usd,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            responses=responses,
        )
        self._lines.write(orjson.dumps(note) + b"\n")

    def take_back(self, note: Note) -> None:
        """Take back what was noted. Raise StorageError where that can't be written."""
        self._lines.write(_taken_back(note))


def settle(segment: Path, folder: Path) -> None:
    """Take back what the samples of a segment carry that a killed run left, where it hadn't got to that. Safe to repeat.

    `folder` has the run's file. What was noted in none, as on a disk that is lost, can't be taken back.
    """
    mark = b'"%s":{' % CARRIED.encode()
    with writing(segment), segment.open("rb") as file:
        rows = [row for line in file if mark in line and (row := unpack(line)) is not None]
    carried: list[Note] = [row[CARRIED] for row in rows if isinstance(row.get(CARRIED), dict)]
    path = folder / f"{segment.stem.rpartition('-')[0]}.jsonl"
    if not carried or not path.exists():
        return
    with writing(path):
        data = path.read_bytes()
    noted: Counter[tuple[str, str]] = Counter()
    for row in filter(None, map(_read, data.splitlines())):
        noted[row["sample_id"], row["teacher"]] += row.get("responses") or 0
    missing = [note for note in carried if noted[note["sample_id"], note["teacher"]] >= note["responses"]]
    if missing:
        lines = Appended(path)
        lines.write(b"\n" * (not data.endswith(b"\n")) + b"".join(map(_taken_back, missing)))
        lines.close(sync=True)


def _taken_back(note: Note) -> bytes:
    return orjson.dumps({name: -value if isinstance(value, int | float) else value for name, value in note.items()}) + b"\n"


def _read(line: bytes) -> dict[str, Any] | None:
    try:
        row: dict[str, Any] = orjson.loads(line)
    except ValueError:
        return None
    return row


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
