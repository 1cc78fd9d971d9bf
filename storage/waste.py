"""Waste: what responses cost that gave no sample. A budget is for all runs of a dataset, so a later run must know of it.

A line of JSON for each response that is of no use, or of none yet, in a file of each run. There are few, so each is written as
it comes; a line that a crash tore is left out when they are read. What may have been billed for a request that saw no answer is
noted too, as an estimate: nobody ever says. Where a sample comes that carries their cost, another line
takes them back; the sample's own line in the journal has that too, since a kill may come between the two.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Sequence
from glob import escape
from pathlib import Path
from typing import NotRequired, Self, TypeAlias, TypedDict

import orjson

from storage.appended import Appended
from storage.disk import writing
from storage.lines import unpack
from storage.sql import literal

COLUMNS = {
    "sample_id": "VARCHAR",
    "teacher": "VARCHAR",
    "cost_usd": "DOUBLE",
    "tokens_in": "BIGINT",
    "tokens_out": "BIGINT",
    "responses": "BIGINT",
}
ESTIMATED = "estimated"
"""A further column: why a line's figures are an estimate. Lines whose bill is known don't have it."""

CARRIED = "carried"
"""The name, in a line of the journal, of the notes that its sample takes back."""


class Note(TypedDict):
    """What was billed for the slot of a sample."""

    sample_id: str
    teacher: str
    cost_usd: float
    tokens_in: int
    tokens_out: int
    responses: int
    estimated: NotRequired[str]


class Waste:
    """Writes `folder/RUN.jsonl`. A context manager: leaving it syncs the file."""

    def __init__(self, folder: Path, *, run: str) -> None:
        """Name the file; it is made when there is something to write."""
        self._lines = Appended(folder / f"{run}.jsonl")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._lines.close(sync=True)

    def note(
        self,
        *,
        sample_id: str,
        teacher: str,
        cost_usd: float,
        tokens_in: int,
        tokens_out: int,
        responses: int = 1,
        estimated: str | None = None,
    ) -> None:
        """Note what was billed in vain for the slot of a sample. Raise StorageError where it can't be written.

        `estimated`: why nobody knows that.
        """
        note = Note(
            sample_id=sample_id,
            teacher=teacher,
            cost_usd=cost_usd,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            responses=responses,
        )
        if estimated is not None:
            note["estimated"] = estimated
        self._lines.write(orjson.dumps(note) + b"\n")

    def take_back(self, notes: Sequence[Note]) -> None:
        """Take back what was noted. Raise StorageError where that can't be written."""
        self._lines.write(b"".join(map(_taken_back, notes)))


def settle_segment(segment: Path, folder: Path) -> None:
    """Take back what the samples of a segment carry that a killed run left: see `settle`."""
    with writing(segment), segment.open("rb") as file:
        settle(segment.stem, file, folder)


def settle(segment: str, lines: Iterable[bytes], folder: Path) -> None:
    """Take back what the samples of a segment's lines carry, where a killed run hadn't got to that. Safe to repeat.

    `folder` has the run's file, which nobody but the run adds to: this goes into another one. What was noted in neither, as on a
    disk that is lost, can't be taken back.
    """
    mark = b'"%s":[' % CARRIED.encode()
    rows = [unpack(line if line.endswith(b"\n") else line + b"\n") for line in lines if mark in line]
    carried = Counter(_key(note) for row in rows if row is not None for note in row.get(CARRIED) or ())
    run = segment.rpartition("-")[0]
    own, settled = folder / f"{run}.jsonl", folder / f"{run}-settled.jsonl"
    if not carried or not own.exists():
        return
    noted, taken = Counter[_Key](), Counter[_Key]()
    for row in (row for path in (own, settled) for row in rows_of(path)):
        if row["responses"] > 0:
            noted[_key(row)] += 1
        else:
            taken[_key(row, sign=-1)] += 1
    missing = Counter({key: min(noted[key], times) - taken[key] for key, times in carried.items()})
    if notes := [Note(**dict(zip(COLUMNS, key, strict=True))) for key in (+missing).elements()]:  # type: ignore[typeddict-item]
        file = Appended(settled)
        file.write(b"".join(map(_taken_back, notes)))
        file.close(sync=True)


def rows_of(path: Path) -> list[Note]:
    """Return what a file has, which may not be there; a line that was torn, or is of an earlier version, is left out."""
    with writing(path):
        lines = path.read_bytes().splitlines() if path.exists() else []
    found: list[Note] = []
    for line in lines:
        with contextlib.suppress(ValueError, TypeError):
            row = orjson.loads(line)
            if COLUMNS.keys() <= row.keys():
                found.append(row)
    return found


_Key: TypeAlias = tuple[str, str, float, int, int, int]


def _key(note: Note, *, sign: int = 1) -> _Key:
    return (
        note["sample_id"],
        note["teacher"],
        sign * note["cost_usd"],
        sign * note["tokens_in"],
        sign * note["tokens_out"],
        sign * note["responses"],
    )


def _taken_back(note: Note) -> bytes:
    return orjson.dumps(dict(zip(COLUMNS, _key(note, sign=-1), strict=True))) + b"\n"


def view(folder: Path) -> str:
    """Return the query of all that was noted in a folder."""
    kinds = COLUMNS | {ESTIMATED: "VARCHAR"}
    names = ", ".join(f"NULL::{kind} AS {name}" for name, kind in kinds.items())
    if not any(folder.glob("*.jsonl")):
        return f"SELECT {names} WHERE FALSE"
    columns = ", ".join(f"{name}: {literal(kind)}" for name, kind in kinds.items())
    return (
        f"FROM read_json({literal(f'{escape(str(folder))}/*.jsonl')}, format='newline_delimited', ignore_errors=true, "
        f"columns={{{columns}}}) WHERE sample_id IS NOT NULL"
    )
