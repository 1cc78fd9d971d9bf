"""Judge what the lake has: samples that a build's verifiers have not judged with the prompt's present reference and tests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from storage.errors import UserError
from storage.records import Prompt
from storage.rows import prompt_of, sample_of
from storage.sql import literal
from storage.workspace import Workspace
from tasks.stop import Stop
from tasks.verify import Case, Named, Verification

BATCH = 256
"""Samples that are judged side by side, and held in memory."""


async def judge_stored(
    workspace: Workspace,
    verification: Verification,
    verifiers: Sequence[Named],
    stop: Stop,
    *,
    again: bool = False,
    bought: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Judge every stored sample of the build's slots that lacks a verdict, and return how many were judged.

    `again`: those that have one. `bought`: also what this run bought and has landed. `progress` hears how many are judged, and of
    how many. `unwanted` must be there.
    """
    if not verifiers:
        return 0
    count = await asyncio.to_thread(_find, workspace, verifiers, "SEMI" if again else "ANTI", bought=bought)
    if not count:
        return 0
    reader = await asyncio.to_thread(
        workspace.stream,
        "SELECT responses AS sample, prompts AS prompt, fingerprints "
        "FROM unjudged JOIN responses USING (sample_id) JOIN prompts USING (ord)",
        rows=BATCH,
    )
    done = 0
    while not stop and (batch := await asyncio.to_thread(_next, reader)) is not None:
        async with asyncio.TaskGroup() as group:
            for row in batch.to_pylist():
                case = Case(sample=sample_of(row["sample"]), fingerprints=frozenset(row["fingerprints"]))
                group.create_task(_judge(verification, prompt_of(row["prompt"]), case))
        done += batch.num_rows
        if progress is not None:
            progress(done, count)
    await verification.flush()  # what is asked for next, in adaptive rounds, depends on them
    return count


async def _judge(verification: Verification, prompt: Prompt, case: Case) -> None:
    with contextlib.suppress(UserError):  # the run was told to stop, and says why
        await verification.judge(prompt, [case])


def _find(workspace: Workspace, verifiers: Sequence[Named], join: str, *, bought: bool) -> int:
    # One step at a time: each spills by itself, and several at once would need room at once.
    there = "sample_id IN (SELECT sample_id FROM samples)" if bought else "stored"
    workspace.execute(
        "CREATE OR REPLACE TABLE stored_slots AS SELECT sample_id, inputs, ord FROM slots "
        f"ANTI JOIN unwanted USING (ord, arm, sample_index) WHERE {there}"
    )
    workspace.execute(
        "CREATE OR REPLACE TABLE wanted AS SELECT sample_id, inputs, min(ord) AS ord FROM stored_slots GROUP BY sample_id, inputs"
    )
    workspace.execute("DROP TABLE stored_slots")
    workspace.execute("CREATE OR REPLACE TABLE lacking (sample_id VARCHAR, ord BIGINT, fingerprint VARCHAR)")
    for named in verifiers:
        print_ = literal(named.fingerprint)
        workspace.execute(
            f"INSERT INTO lacking SELECT sample_id, ord, {print_} FROM wanted "
            f"{join} JOIN (SELECT sample_id, inputs FROM verdicts WHERE fingerprint = {print_}) USING (sample_id, inputs)"
        )
    workspace.execute(
        "CREATE OR REPLACE TABLE unjudged AS SELECT sample_id, ord, list(fingerprint) AS fingerprints FROM lacking "
        "GROUP BY sample_id, ord"
    )
    workspace.execute("DROP TABLE wanted")
    workspace.execute("DROP TABLE lacking")
    return int(workspace.rows("SELECT count(*) FROM unjudged")[0][0])


def _next(reader: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
    return next(reader, None)
