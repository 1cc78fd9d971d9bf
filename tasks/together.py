"""Judge together: the verifiers that need all samples of a prompt and a teacher, such as a vote, once the draw is over.

Their verdicts are kept with the address of all that was judged together (`storage.identity.vote_inputs`): with one sample more,
the vote is taken anew.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from storage.errors import UserError
from storage.rows import prompt_of, sample_of
from storage.sql import literal
from storage.workspace import BUCKETS, Workspace
from tasks.stop import Stop
from tasks.verify import Named, Verification, together

BUCKET_SAMPLES = 10_000
"""Held in memory, with their texts."""


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
    number = await asyncio.to_thread(_deal, workspace, listed, "SEMI" if again else "ANTI")
    bucket = 0
    while number and bucket < BUCKETS and not stop:
        rows = await asyncio.to_thread(_read, workspace, bucket)
        async with asyncio.TaskGroup() as group:
            for _, samples in groupby(rows, key=lambda row: (row["ord"], row["teacher"])):
                group.create_task(_judge(verification, list(samples)))
        bucket += 1
    await verification.flush()
    return number


async def _judge(verification: Verification, rows: list[dict[str, Any]]) -> None:
    prompt, samples = prompt_of(rows[0]["prompt"]), [sample_of(row["sample"]) for row in rows]
    with contextlib.suppress(UserError):  # the run was told to stop, and says why
        await verification.judge_together(prompt, samples, rows[0]["inputs"])


def _address(workspace: Workspace, verifiers: Sequence[Named]) -> None:
    ids = "string_agg(sample_id, ',' ORDER BY sample_id)"
    workspace.execute(
        f"""
        CREATE OR REPLACE TABLE together AS
        WITH present AS (
            SELECT ord, teacher, sample_index, sample_id, inputs FROM slots ANTI JOIN unwanted USING (ord, teacher, sample_index)
            WHERE {bool(verifiers)} AND sample_id IN (SELECT sample_id FROM samples)
        ),
        addresses AS (
            SELECT ord, teacher, left(sha256(any_value(inputs) || '/' || {ids}), 32) AS inputs FROM present GROUP BY ord, teacher
        )
        SELECT ord, teacher, sample_index, sample_id, addresses.inputs FROM present JOIN addresses USING (ord, teacher)
        """
    )


def _deal(workspace: Workspace, verifiers: Sequence[Named], join: str) -> int:
    """Deal the samples that lack a verdict, and those that were drawn with them, into buckets of consecutive prompts."""
    fingerprints = ", ".join(f"({literal(named.fingerprint)})" for named in verifiers)
    workspace.execute(
        f"""
        CREATE OR REPLACE TABLE unvoted AS
        SELECT DISTINCT ord, teacher
        FROM together CROSS JOIN (VALUES {fingerprints}) AS verifiers(fingerprint)
        {join} JOIN verdicts USING (sample_id, inputs, fingerprint)
        """
    )
    ((number, last),) = workspace.rows("SELECT count(*), max(ord) FROM together SEMI JOIN unvoted USING (ord, teacher)")
    if number:
        buckets = min(BUCKETS, -(-number // BUCKET_SAMPLES))
        workspace.deal(
            "voting",
            f"SELECT ord, together.teacher, together.sample_index, inputs, samples AS sample, "
            f"ord * {buckets} // {last + 1} AS bucket "
            "FROM together SEMI JOIN unvoted USING (ord, teacher) JOIN samples USING (sample_id)",
        )
    return int(number)


def _read(workspace: Workspace, bucket: int) -> list[dict[str, Any]]:
    ((low, high),) = workspace.rows(f"SELECT min(ord), max(ord) FROM {workspace.dealt('voting', bucket)}")
    if low is None:
        return []
    table = workspace.table(
        f"""
        SELECT ord, teacher, voting.inputs, sample, prompts AS prompt
        FROM (
            FROM {workspace.dealt("voting", bucket)}
            QUALIFY row_number() OVER (PARTITION BY ord, teacher, sample_index ORDER BY sample.created_at) = 1
        ) AS voting
        JOIN (FROM prompts WHERE ord BETWEEN {low} AND {high}) AS prompts USING (ord)
        ORDER BY ord, teacher, sample_index
        """
    )
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows
