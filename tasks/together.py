"""Judge together: the verifiers that need all samples of a prompt and a teacher, such as a vote, once the draw is over.

Samples of all strategies vote together. Among its own alone, a strategy that always makes the same mistake would pass every time.

Their verdicts are kept with the address of all that was judged together (`storage.identity.vote_inputs`): with one sample more,
the vote is taken anew.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from storage.dealing import BUCKETS
from storage.errors import UserError
from storage.identity import VOTE_INPUTS
from storage.rows import prompt_of, sample_of
from storage.sql import literal
from storage.workspace import Workspace
from tasks.stop import Stop
from tasks.verify import Named, Verification, together

BUCKET_SAMPLES = 10_000
"""Held in memory, with their texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Votes:
    """What is to be judged."""

    groups: int
    """Prompts times teachers."""
    samples: int
    """In all of them."""

    @property
    def step(self) -> int:
        """Groups that are judged at a time."""
        return max(1, self.groups * BUCKET_SAMPLES // max(self.samples, 1))

    @property
    def buckets(self) -> int:
        """Files that they are dealt into."""
        return min(BUCKETS, self.groups, -(-self.samples // BUCKET_SAMPLES))

    def bucket(self, turn: int) -> int:
        """Return the file of one group."""
        return turn * self.buckets // self.groups


async def judge_together(
    workspace: Workspace, verification: Verification, verifiers: Sequence[Named], stop: Stop, *, again: bool = False
) -> int:
    """Judge what lacks a verdict, and return how many samples that were. Makes `together`: what each slot's verdict is kept by.

    `again`: what has one. `unwanted` must be there, and the lake must have every sample.
    """
    listed = together(verifiers)
    await asyncio.to_thread(_address, workspace, listed)
    if not listed:
        return 0
    votes = await asyncio.to_thread(_deal, workspace, listed, "SEMI" if again else "ANTI")
    for first in range(0, votes.groups, votes.step):
        if stop:
            break
        rows = await asyncio.to_thread(_read, workspace, votes, first)
        async with asyncio.TaskGroup() as group:
            for _, samples in groupby(rows, key=lambda row: row["turn"]):
                group.create_task(_judge(verification, list(samples)))
    await verification.flush()
    return votes.samples


async def _judge(verification: Verification, rows: list[dict[str, Any]]) -> None:
    prompt, samples = prompt_of(rows[0]["prompt"]), [sample_of(row["sample"]) for row in rows]
    with contextlib.suppress(UserError):  # the run was told to stop, and says why
        await verification.judge_together(prompt, samples, rows[0]["inputs"])


def _address(workspace: Workspace, verifiers: Sequence[Named]) -> None:
    workspace.execute(
        f"""
        CREATE OR REPLACE TABLE together AS
        WITH present AS (
            SELECT ord, arm, sample_index, sample_id, inputs FROM slots ANTI JOIN unwanted USING (ord, arm, sample_index)
            WHERE {bool(verifiers)} AND sample_id IN (SELECT sample_id FROM samples)
        ),
        asked AS (SELECT present.*, first FROM present JOIN arms USING (arm)),
        addresses AS (
            SELECT ord, first, {VOTE_INPUTS} AS inputs FROM asked GROUP BY ord, first
        )
        SELECT ord, arm, first, sample_index, sample_id, addresses.inputs FROM asked JOIN addresses USING (ord, first)
        """
    )


def _deal(workspace: Workspace, verifiers: Sequence[Named], join: str) -> _Votes:
    """Deal the samples that lack a verdict, and those that were drawn with them, into buckets of consecutive groups."""
    fingerprints = ", ".join(f"({literal(named.fingerprint)})" for named in verifiers)
    workspace.execute(
        f"""
        CREATE OR REPLACE TABLE unvoted AS
        SELECT ord, first, row_number() OVER (ORDER BY ord, first) - 1 AS turn
        FROM (
            SELECT DISTINCT ord, first
            FROM together CROSS JOIN (VALUES {fingerprints}) AS verifiers(fingerprint)
            {join} JOIN verdicts USING (sample_id, inputs, fingerprint)
        )
        """
    )
    ((groups,),) = workspace.rows("SELECT count(*) FROM unvoted")
    ((samples,),) = workspace.rows("SELECT count(*) FROM together SEMI JOIN unvoted USING (ord, first)")
    votes = _Votes(groups=groups, samples=samples)
    if groups:
        workspace.deal_query(
            "voting",
            "SELECT ord, turn, together.arm, together.sample_index, inputs, responses AS sample, "
            f"turn * {votes.buckets} // {groups} AS bucket "
            "FROM together JOIN unvoted USING (ord, first) JOIN responses USING (sample_id)",
        )
    return votes


def _read(workspace: Workspace, votes: _Votes, first: int) -> list[dict[str, Any]]:
    """Return the rows of a step's groups."""
    last = min(first + votes.step, votes.groups) - 1
    ((low, high),) = workspace.rows(f"SELECT min(ord), max(ord) FROM unvoted WHERE turn BETWEEN {first} AND {last}")
    dealt = " UNION ALL ".join(
        f"(FROM {workspace.dealt('voting', bucket)} WHERE turn BETWEEN {first} AND {last})"
        for bucket in range(votes.bucket(first), votes.bucket(last) + 1)
    )
    table = workspace.table(
        f"""
        SELECT turn, voting.inputs, sample, prompts AS prompt
        FROM (
            FROM ({dealt})
            QUALIFY row_number() OVER (PARTITION BY turn, arm, sample_index ORDER BY sample.created_at) = 1
        ) AS voting
        JOIN (FROM prompts WHERE ord BETWEEN {low} AND {high}) AS prompts USING (ord)
        ORDER BY turn, arm, sample_index
        """
    )
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows
