"""Lapsed: slots that failed in the dataset's last build, or in an evaluation. A rerun must not ask for all of them, each time.

Half of the prompts may have something in them that a filter refuses, or that a server breaks on. So of a teacher's lapsed slots
with one kind of error a hundred are asked for again, and the others only while more than one in twenty of these get a response:
a server that was mended is seen by that, and what a filter refuses hides nothing of what an outage left open. Of the others a
few are asked for all the same, by chance: what would be answered now may stand behind a hundred that never are. Those that aren't
asked for keep the error that they had.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from storage.lake import Lake
from storage.parquet import column_names
from storage.sql import literal, parquet_in
from storage.workspace import Workspace
from tasks.asking.control import VARIES
from tasks.asking.retries import FREE, HELPED
from tasks.diff import KIND
from tasks.outcomes import FAILED
from tasks.teachers.refusals import tells

KINDS = 50
"""Of errors that are told apart: a server whose errors are all different is none the better for it."""
LATER = 0.25
"""Once a hundred were in vain, of those behind them this part of a hundred is sent, each time that there are e times as many."""
HEARD = 200
"""Characters of an error by which its kind is known."""
_SDK = re.compile(r"([45]\d\d) Error code: \d{3}(?: - )?")
_REFUSED = re.compile(r"([45]\d\d) (?:([A-Za-z][\w.-]*): )?(.*)", re.DOTALL)
_QUOTED = re.compile(r"""['"]message['"]: ['"](.*)""", re.DOTALL)
_CLAUSE = re.compile(r"""[:;,.!?](?:\s|$)|(?:^|\s)[("'`“\u2018]""")
_NUMBERED = re.compile(r"\S*\d\S*")


def find(workspace: Workspace, lake: Lake, dataset: str) -> None:
    """Make `lapsed`: the slots without a sample that failed in the dataset's last build or in an evaluation as well, and why."""
    builds = lake.builds(dataset)
    parts = sorted(lake.snapshot("outcomes", dataset, builds[-1]["build_id"]).glob("*.parquet")) if builds else []
    workspace.execute("CREATE OR REPLACE TABLE lapsed (ord BIGINT, arm SMALLINT, sample_index INTEGER, why VARCHAR)")
    failed = lake.failed_in_evaluations()
    asked = "SELECT unnest(?::VARCHAR[]) AS asked_id, unnest(?::VARCHAR[]) AS reason"
    # A build of an earlier version didn't note what its failed slots had asked for.
    if told := [part for part in parts if "asked_id" in column_names(part)]:
        listed = ", ".join(map(literal, told))
        asked += f" UNION ALL SELECT asked_id, reason FROM read_parquet([{listed}], hive_partitioning = false)"
    if told or failed:
        workspace.execute(
            f"INSERT INTO lapsed SELECT ord, arm, sample_index, why FROM slots JOIN ("
            f"SELECT asked_id AS sample_id, min(reason) AS why FROM ({asked}) WHERE asked_id IS NOT NULL GROUP BY asked_id"
            ") USING (sample_id) WHERE NOT stored ORDER BY ord",
            [list(failed), list(failed.values())],
        )


def of_slots(workspace: Workspace) -> dict[str, str]:
    """Return why slots of `candidates` failed, by the `sample_id` that they asked for."""
    rows = workspace.rows(
        "SELECT slots.sample_id, min(failed.reason) FROM slots "
        f"JOIN (FROM candidates WHERE {FAILED}) AS failed USING (ord, arm, sample_index) GROUP BY slots.sample_id"
    )
    return dict(rows)


def kind(error: str) -> str:
    """Return what an error's like is known by: the status with its code, or else with how the message begins.

    The message is left out behind a code, and whatever varies: ids, numbers, and what is quoted. Errors of before codes stood
    first, with an SDK's own words in front, are read as well.
    """
    refused = _REFUSED.match(_SDK.sub(r"\1 ", error[:HEARD], count=1))
    if refused is None:
        return VARIES.sub("…", error.partition(": ")[0])
    status, code, message = refused.groups()
    if code is not None and tells(code):
        return f"{status} {code}"
    if message.startswith("{") and (quoted := _QUOTED.search(message)):
        message = quoted[1]
    return f"{status} {_NUMBERED.sub('…', _CLAUSE.split(message, maxsplit=1)[0])[:KIND]}".strip()


def asked_again(workspace: Workspace, outcomes: Path, batched: Collection[str]) -> int:
    """Return how many of a snapshot's failed slots the next build asks for, whatever comes of it; of `batched` teachers' all."""
    lapsed, slots = Lapsed(), Counter[tuple[str, str]]()
    rows = workspace.stream(
        f"SELECT teacher, left(reason, {HEARD}) AS why, count(*) AS slots FROM {parquet_in(outcomes)} "
        "WHERE outcome = 'failed' GROUP BY ALL ORDER BY slots DESC, teacher, why"
    )
    for row in (row for batch in rows for row in batch.to_pylist()):
        slots[lapsed.key(row["teacher"], row["why"] or "")] += row["slots"]
    return sum(number if key[0] in batched else min(number, FREE) for key, number in slots.items())


class Lapsed:
    """What has come of asking for lapsed slots again, by teacher and kind of error."""

    def __init__(self) -> None:
        """Nobody was asked yet."""
        self._by: dict[tuple[str, str], Again] = {}

    def of(self, teacher: str, error: str) -> Again:
        """Return that of a teacher's slots which had an error like this one."""
        return self._by[self.key(teacher, error)]

    def key(self, teacher: str, error: str) -> tuple[str, str]:
        """Return by what it is known."""
        key = teacher, kind(error)
        if key not in self._by and len(self._by) >= KINDS:
            key = teacher, "others"
        self._by.setdefault(key, Again())
        return key


class Again:
    """What has come of asking for one teacher's lapsed slots of one kind again."""

    def __init__(self) -> None:
        """Nobody was asked yet."""
        self.asked = self.came = 0
        self._told = False
        self._pending = self._passed = 0
        self._changed = asyncio.Event()

    @property
    def in_vain(self) -> bool:
        """Whether a hundred were asked for, and hardly any came so far."""
        return self.asked >= FREE and self.came <= HELPED * self.asked

    def helps(self) -> bool:
        """Whether enough came by now that those which fail once more may be sent again: they had all their attempts before."""
        return self.came > HELPED * self.asked

    async def worth(self) -> bool:
        """Return whether to ask for one more, once that is known. Who is told so says what came of it: `settled`."""
        while self.in_vain:
            if not self._pending:
                self._passed += 1
                if random.random() * (FREE + self._passed) >= LATER * FREE:  # noqa: S311 - no secret
                    return False
                break
            await self._changed.wait()
        self.asked += 1
        self._pending += 1
        return True

    def first_told(self) -> bool:
        """Whether nobody has been told yet that it is in vain: who asks is."""
        first, self._told = not self._told, True
        return first

    def said(self, error: str) -> str:
        """Return what is said then, with one of the errors."""
        return (
            f"{self.asked} requests that failed in the last run were sent again, and {self.came} got an answer: the others of "
            f"them are left as they are, as one with the error {error}"
        )

    def settled(self, *, came: bool) -> None:
        """Hear what came of one."""
        self._pending -= 1
        self.came += came
        self._changed.set()
        self._changed = asyncio.Event()
