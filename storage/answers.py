"""Answers that judges gave to checks that came to no verdict: the next build needn't buy them again. And why others got none.

A panel of three has two answers where the third one's teacher is down. A line of JSON for each, in a file of each run, written
when the check ends; until then they are in `storage.checks`. There are few, since a teacher that stays down ends a run; a line
that a crash tore is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import orjson

from storage.appended import Appended
from storage.checks import Check, Checks
from storage.errors import StorageError


class Answers:
    """Writes `folder/RUN.jsonl`. A context manager: entering it reads what earlier runs left, leaving it syncs the file."""

    def __init__(self, folder: Path, checks: Path, *, run: str, to: Path | None = None) -> None:
        """Name the file, in another folder `to` where that is given; it is made when there is something to write.

        `checks` is the folder for what checks are answered that are under way.
        """
        self._folder = folder
        self._lines = Appended((to or folder) / f"{run}.jsonl")
        self._known: dict[str, str] = {}
        self.failed: dict[str, str] = {}
        """Why a request got no answer, by its address."""
        self._checks = Checks(checks / f"{run}.jsonl")

    def __enter__(self) -> Self:
        for path in sorted(self._folder.glob("*.jsonl")):
            try:
                lines = path.read_bytes().splitlines()
            except OSError as error:
                raise StorageError(f"{path}: can't be read: {error.strerror or error}") from error
            for line in lines:
                self._read(line)
        return self

    def __exit__(self, *exc: object) -> None:
        self._checks.close()
        self._lines.close(sync=True)

    def _read(self, line: bytes) -> None:
        try:
            found = orjson.loads(line)
        except ValueError:
            return
        match found:
            case [str(key), str(answer)]:
                self._known[key] = answer
            case [str(key), None, str(error)]:
                self.failed[key] = error
            case _:
                pass

    def get(self, key: str) -> str | None:
        """Return the answer to what has this address, where it is known."""
        return self._known.get(key)

    def add(self, check: Check, key: str, answer: str) -> None:
        """Note an answer to a check that is under way. Raise StorageError where it can't be written."""
        check.answered[key] = answer
        self._checks.note(check, key)

    def bill(self, check: Check, usd: float) -> None:
        """Bill a check. Where it is over, no verdict carries that: it is noted as one that doesn't end, and becomes waste."""
        if not check.ended:
            check.bill.append(usd)
        elif usd:
            self._checks.note(Check(check.sample_id, check.verifier, bill=[usd]))

    def spent(self, check: Check) -> None:
        """Note what a check that is under way has cost, whatever it was answered. Raise StorageError where that can't be done."""
        if sum(check.bill) and not check.ended:
            self._checks.note(check)

    def end(self, check: Check, *, decided: bool) -> None:
        """Hear that a check is over. Where it wasn't `decided`, what it was answered is kept for the next build."""
        check.ended = True
        if not decided and check.answered:
            self.keep(check.answered)
        self._checks.over(check)

    def keep(self, answered: Mapping[str, str]) -> None:
        """Keep answers by address. Raise StorageError where they can't be written."""
        self._write([[key, answer.encode("utf-8", "replace").decode()] for key, answer in answered.items()])
        self._known |= answered

    def fail(self, key: str, error: str) -> None:
        """Keep that a request got no answer. Raise StorageError where that can't be written."""
        self._write([[key, None, error.encode("utf-8", "replace").decode()]])
        self.failed[key] = error

    def _write(self, rows: Sequence[Sequence[str | None]]) -> None:
        self._lines.write(b"".join(orjson.dumps(row) + b"\n" for row in rows))
