"""Answers that judges gave to checks that came to no verdict: the next build needn't buy them again.

A panel of three has two answers where the third one's teacher is down. A line of JSON for each, in a file of each run, written
when the check ends; until then they are in `storage.checks`. There are few, since a teacher that stays down ends a run; a line
that a crash tore is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

import orjson

from storage.appended import Appended
from storage.checks import Check, Checks
from storage.parquet import writing


class Answers:
    """Writes `folder/RUN.jsonl`. A context manager: entering it reads what earlier runs left, leaving it syncs the file."""

    def __init__(self, folder: Path, checks: Path, *, run: str, to: Path | None = None) -> None:
        """Name the file, in another folder `to` where that is given; it is made when there is something to write.

        `checks` is the folder for what checks are answered that are under way.
        """
        self._folder = folder
        self._lines = Appended((to or folder) / f"{run}.jsonl")
        self._known: dict[str, str] = {}
        self._checks = Checks(checks / f"{run}.jsonl")

    def __enter__(self) -> Self:
        for path in sorted(self._folder.glob("*.jsonl")):
            with writing(path):
                lines = path.read_bytes().splitlines()
            for line in lines:
                self._known |= _read(line)
        return self

    def __exit__(self, *exc: object) -> None:
        self._checks.close()
        self._lines.close(sync=True)

    def get(self, key: str) -> str | None:
        """Return the answer to what has this address, where it is known."""
        return self._known.get(key)

    def add(self, check: Check, key: str, answer: str) -> None:
        """Note an answer to a check that is under way. Raise StorageError where it can't be written."""
        check.answered[key] = answer
        self._checks.note(check, key)

    def end(self, check: Check, *, decided: bool) -> None:
        """Hear that a check is over. Where it wasn't `decided`, what it was answered is kept for the next build."""
        if not decided and check.answered:
            self.keep(check.answered)
        self._checks.over(check)

    def keep(self, answered: Mapping[str, str]) -> None:
        """Keep answers by address. Raise StorageError where they can't be written."""
        lines = [orjson.dumps([key, answer.encode("utf-8", "replace").decode()]) for key, answer in answered.items()]
        self._lines.write(b"".join(line + b"\n" for line in lines))
        self._known |= answered


def _read(line: bytes) -> dict[str, str]:
    try:
        found = orjson.loads(line)
    except ValueError:
        return {}
    match found:
        case [str(key), str(answer)]:
            return {key: answer}
        case _:
            return {}
