"""Checks that are under way: what judges answered by then, which a killed run must not lose.

A panel's check is over when its slowest member has answered. Until then what the others said, and what it cost, is in a line of
`journal/checks/RUN.jsonl` each, written as it comes. A line that says that a check is over, with its verdict on disk, takes back
what it had; so the file is written anew now and then, with the others' lines alone. What a killed run left there becomes answers
that the next run finds, and waste that its budget counts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq

from storage.appended import Appended
from storage.disk import write_bytes, writing
from storage.parquet import UNREADABLE
from storage.waste import rows_of

LARGE = 1 << 20
"""Bytes of the file, from which it is written anew where half of it is over."""
OF_VERDICT = ("sample_id", "fingerprint", "inputs")
"""By these, of a check, its verdict is found."""


@dataclass(slots=True, eq=False)
class Check:
    """One check that is under way."""

    sample_id: str
    """What is judged."""
    verifier: str
    """Its name in the spec."""
    fingerprint: str = ""
    """The verifier's; with `inputs` it is what the verdict has."""
    inputs: str = ""
    """`storage.identity.check_inputs`."""
    bill: list[float] = field(default_factory=list)
    """USD that it has cost so far; whoever asks a teacher for it adds to it."""
    answered: dict[str, str] = field(default_factory=dict)
    """By address, what it was answered so far."""
    number: int | None = None
    """In the file; None: nothing of it is there."""
    ended: bool = False
    """Whether it has its verdict, or gets none. A control may be asked for it all the same, when all else is done."""


class Checks:
    """Writes `path`, in a folder of its own. Leaving it is up to `close`."""

    def __init__(self, path: Path) -> None:
        """Name the file; it is made when there is something to write."""
        self._path = path
        self._lines = Appended(path)
        self._open: dict[int, Check] = {}
        self._number = self._size = 0
        self._large = LARGE

    def note(self, check: Check, key: str | None = None) -> None:
        """Have an answer of a check on disk, and what the check has cost. Raise StorageError where it can't be written."""
        if check.number is None:
            check.number = self._number = self._number + 1
            self._open[check.number] = check
        self._write(_line(check, key))

    def over(self, check: Check) -> None:
        """Take back what was noted of a check: its verdict is on disk, or what it was answered is kept elsewhere."""
        if check.number is None:
            return
        del self._open[check.number]
        number, check.number = check.number, None
        self._write(_bytes({"check": number}))
        if self._size > self._large:
            self._renew()

    def close(self) -> None:
        """Remove the file, unless a check is under way yet: what it was answered is the next run's."""
        self._lines.close(sync=False)
        with writing(self._path):
            if self._number and not self._open:
                self._path.unlink(missing_ok=True)

    def _write(self, line: bytes) -> None:
        self._size += self._lines.write(line)

    def _renew(self) -> None:
        """Write the file anew, with the lines of the checks that are under way."""
        data = b"".join(_line(check, key) for check in self._open.values() for key in check.answered or (None,))
        write_bytes(self._path, data)
        self._lines.anew()
        self._size = len(data)
        self._large = max(LARGE, 2 * self._size)


def recover(folder: Path, answers: Path, waste: Path, verdicts: Path) -> None:
    """Make answers and waste of what killed runs left. The caller holds the lake's lock. Safe to repeat.

    What those runs were paid verdicts for is in the folder `verdicts` by now.
    """
    for path in sorted(folder.glob("*.jsonl")):
        land(path, answers, waste, verdicts)


def land(path: Path, answers: Path, waste: Path, verdicts: Path) -> None:
    """Make answers and waste of what a run left that writes no more. A line that a crash tore is left out.

    So is a check that has a verdict, which carries its cost: a kill may come before the line that says that the check is over.
    """
    with writing(path):
        lines = path.read_bytes().splitlines()
    left: dict[int, list[dict[str, Any]]] = {}
    for line in lines:
        match _read(line):
            case {"check": int(number), "usd": float() | int()} as row:
                left.setdefault(number, []).append(row)
            case {"check": int(number), **more} if not more:
                left.pop(number, None)
    if left:
        decided = _decided(verdicts.glob(f"{escape(path.stem)}-*.parquet"))
        left = {number: rows for number, rows in left.items() if tuple(rows[-1].get(name) for name in OF_VERDICT) not in decided}
    noted = {(row["sample_id"], row["teacher"]): row["cost_usd"] for row in rows_of(waste / path.name)}
    spent = [
        {"sample_id": rows[-1]["sample_id"], "teacher": rows[-1]["verifier"], "cost_usd": rows[-1]["usd"]}
        | {"tokens_in": 0, "tokens_out": 0, "responses": 1}
        for rows in left.values()
        # One that came to nothing is noted before it is over.
        if rows[-1]["usd"] and noted.get((rows[-1]["sample_id"], rows[-1]["verifier"]), 0.0) < rows[-1]["usd"]
    ]
    name = f"{path.stem}-left.jsonl"
    kept = [_bytes([row["key"], row["answer"]]) for rows in left.values() for row in rows if "key" in row]
    for folder, found in ((waste, list(map(_bytes, spent))), (answers, kept)):
        if found:
            write_bytes(folder / name, b"".join(found))
    with writing(path):
        path.unlink()


def _decided(parts: Iterable[Path]) -> set[tuple[str, ...]]:
    """Return which checks have a verdict in these parts."""
    found: set[tuple[str, ...]] = set()
    for part in parts:
        with contextlib.suppress(*UNREADABLE):  # whoever reads verdicts says so; what a check cost counts twice until then
            found |= {tuple(row.values()) for row in pq.read_table(part, columns=list(OF_VERDICT)).to_pylist()}
    return found


def _line(check: Check, key: str | None) -> bytes:
    row: dict[str, Any] = {
        "check": check.number,
        "sample_id": check.sample_id,
        "verifier": check.verifier,
        "fingerprint": check.fingerprint,
        "inputs": check.inputs,
        "usd": sum(check.bill),
    }
    if key is not None:
        row |= {"key": key, "answer": check.answered[key].encode("utf-8", "replace").decode()}
    return _bytes(row)


def _bytes(value: object) -> bytes:
    return orjson.dumps(value) + b"\n"


def _read(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except ValueError:
        return None
