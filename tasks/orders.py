"""Orders: where a shard's prompts and open slots come from.

In the run's own process its workspace has them. For a process beside it they are written into a small file each, which is all
that it is told of the dataset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from storage.parquet import PartWriter
from storage.records import Prompt
from storage.rows import prompt_of
from storage.schemas import PROMPTS as PROMPTS_SCHEMA
from storage.workspace import Workspace
from tasks.prepare import staged_near

PROMPTS = 512
"""In a shard: its Prefect task run and its queries cost tens of milliseconds, its prompts are held in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One sample that a prompt wants of one teacher by one strategy."""

    arm: int
    """The number of the two, as in `tasks.prepare`."""
    sample_index: int
    """0 … k - 1."""
    key: str
    """The request's address."""
    here: bool
    """Whether the lake has it."""
    shared: int
    """How many slots of the build ask for the very same sample where it isn't here; 0 where only this one does."""
    accepted: bool
    """Whether the lake has it and its verdicts are good."""
    failed: str | None = None
    """Why it has none, where it failed in the dataset's last build too."""


Loaded = tuple[list[tuple[int, Prompt]], dict[int, dict[int, list[Slot]]]]
"""A shard's prompts by their `ord`, and their slots by `ord` and arm."""
_SLOT = pa.struct(
    [
        ("arm", pa.int16()),
        ("sample_index", pa.int32()),
        ("key", pa.string()),
        ("here", pa.bool_()),
        ("shared", pa.int64()),
        ("accepted", pa.bool_()),
        ("failed", pa.string()),
    ]
)
_ORDER = pa.schema([("ord", pa.int64()), *PROMPTS_SCHEMA, ("slots", pa.list_(_SLOT))])


class Source(Protocol):
    """Where shards come from."""

    def load(self, number: int) -> Loaded:
        """Return one shard."""
        ...


@dataclass(frozen=True, slots=True)
class Staged:
    """Shards in a workspace that has `prompts`, `folded` and `open_slots`."""

    workspace: Workspace
    """The build's."""

    def load(self, number: int) -> Loaded:
        """Return one shard."""
        within = self._within(number)
        prompts = [(row["ord"], prompt_of(row)) for row in self._prompts(number).to_pylist()]
        slots: dict[int, dict[int, list[Slot]]] = {}
        for ord_, arm, index, key, here, shared, accepted, failed in self.workspace.rows(
            "SELECT ord, arm, sample_index, key, here, shared, accepted, failed FROM open_slots "
            f"WHERE {within} ORDER BY ord, arm, sample_index"
        ):
            slot = Slot(arm=arm, sample_index=index, key=key, here=here, shared=shared, accepted=accepted, failed=failed)
            slots.setdefault(ord_, {}).setdefault(arm, []).append(slot)
        return prompts, slots

    def write(self, number: int, path: Path) -> None:
        """Write one shard as an order. What has no slots has nothing to do, and isn't in it."""
        slots = self.workspace.table(
            "SELECT ord, list({'arm': arm, 'sample_index': sample_index, 'key': key, 'here': here, 'shared': shared, "
            "'accepted': accepted, 'failed': failed} ORDER BY arm, sample_index) AS slots "
            f"FROM open_slots WHERE {self._within(number)} GROUP BY ord"
        )
        found = dict(zip(slots["ord"].to_pylist(), slots["slots"].to_pylist(), strict=True))
        with PartWriter(path, _ORDER) as writer:
            writer.extend(
                [row | {"slots": found[row["ord"]]} for row in self._prompts(number).to_pylist() if row["ord"] in found]
            )

    def apart(self, numbers: Sequence[int]) -> list[int]:
        """Return those of some shards that share no missing sample with another one: each can be worked where no other is."""
        bound = self.workspace.rows(
            "SELECT DISTINCT shard FROM ("
            f"SELECT ord // {PROMPTS} AS shard, count(DISTINCT ord // {PROMPTS}) OVER (PARTITION BY key) AS shards "
            "FROM open_slots WHERE shared > 0) WHERE shards > 1"
        )
        together = {number for (number,) in bound}
        return [number for number in numbers if number not in together]

    def _prompts(self, number: int) -> pa.Table:
        within = self._within(number)
        # Not from `prompts`, which would open all files.
        staged = staged_near(self.workspace, number * PROMPTS, number * PROMPTS + PROMPTS - 1)
        return self.workspace.table(
            f"FROM {staged} WHERE {within} AND ord NOT IN (SELECT ord FROM folded WHERE {within}) ORDER BY ord"
        )

    @staticmethod
    def _within(number: int) -> str:
        return f"ord BETWEEN {number * PROMPTS} AND {number * PROMPTS + PROMPTS - 1}"


@dataclass(frozen=True, slots=True)
class Ordered:
    """Shards in a folder of orders."""

    folder: Path
    """Where they are, each by its number."""

    def load(self, number: int) -> Loaded:
        """Return one shard."""
        prompts: list[tuple[int, Prompt]] = []
        slots: dict[int, dict[int, list[Slot]]] = {}
        for row in pq.read_table(self.path(number)).to_pylist():
            prompts.append((row["ord"], prompt_of(row)))
            for each in row["slots"]:
                slots.setdefault(row["ord"], {}).setdefault(each["arm"], []).append(Slot(**each))
        return prompts, slots

    def order(self, number: int, kind: str, attempt: int) -> Path:
        """Return what files about an order are called, less their suffix: who took it, and what came of it."""
        return self.folder / f"{number:06d}-{kind}-{attempt}"

    def path(self, number: int) -> Path:
        """Return where an order is."""
        return self.folder / f"{number:06d}.parquet"
