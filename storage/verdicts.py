"""Landing verdicts: a buffer that becomes Parquet parts.

There is no journal here: what a killed run had not landed, a minute's verdicts at most, is reached again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any, Self

from storage.parquet import write_rows
from storage.records import Verdict
from storage.schemas import VERDICTS

PART_ROWS = 20_000
"""Verdicts in a part, at most."""
PART_S = 60.0
"""Seconds that verdicts wait for others."""
PAID_PART_S = 5.0
"""The same, where any of them was paid for."""
_FIELDS = tuple(field.name for field in fields(Verdict))


class VerdictStore:
    """Writes `folder/RUN-NNNNNN.parquet`. Use as `async with VerdictStore(...)`: leaving it lands the rest."""

    def __init__(self, folder: Path, *, run: str) -> None:
        """Name the parts after the run."""
        self._folder = folder
        self._run = run
        self._number = 0
        self._rows: list[dict[str, Any]] = []
        self._writing = asyncio.Lock()
        self._flushed_at = time.monotonic()
        self._paid = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.flush()

    async def add(self, verdicts: Iterable[Verdict]) -> None:
        """Keep verdicts, and write a part where there are enough, or the first has waited for long."""
        for verdict in verdicts:
            self._rows.append({name: getattr(verdict, name) for name in _FIELDS})
            self._paid = self._paid or verdict.cost_usd > 0
        wait = PAID_PART_S if self._paid else PART_S
        if len(self._rows) >= PART_ROWS or time.monotonic() - self._flushed_at > wait:
            await self.flush()

    async def flush(self) -> None:
        """Write what there is."""
        async with self._writing:
            rows, self._rows, self._paid = self._rows, [], False
            self._flushed_at = time.monotonic()
            if not rows:
                return
            path = self._folder / f"{self._run}-{self._number:06d}.parquet"
            self._number += 1
            writing = asyncio.ensure_future(asyncio.to_thread(write_rows, path, VERDICTS, rows, store=True))
            try:
                await asyncio.shield(writing)
            finally:
                # Where whoever waits for it is cancelled, it goes on, and may fail still.
                await asyncio.wait({writing})
                if writing.exception() is not None:
                    self._rows = rows + self._rows  # a disk that was full may have room again when the run ends
