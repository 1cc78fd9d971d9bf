"""Judge what the lake has: samples that a build's verifiers have not judged with the prompt's present reference and tests.

Joining a large lake's texts would need memory for all of them. So the samples are ranked by their prompts, their texts are dealt
into buckets of consecutive ranks as they stream by, and some are judged at a time with their own stretch of the prompts.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from storage.dealing import BUCKETS
from storage.errors import UserError
from storage.records import Prompt
from storage.rows import Row, prompt_of, sample_of
from storage.schemas import SAMPLES
from storage.sql import literal
from storage.workspace import Workspace
from tasks.prepare import staged_near
from tasks.ranked import deal_samples, dealt_once
from tasks.stop import Stop
from tasks.stretches import stretches
from tasks.verify import Case, Named, Verification

BATCH = 256
"""Samples that are judged side by side."""
HELD = 2_000
"""Held in memory with their texts, and with their prompts'."""
_COLUMNS = [name for name in SAMPLES.names if name != "logprobs"]


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
    rows = _rows(workspace, count, stop)
    done = 0
    while not stop and (batch := await asyncio.to_thread(_some, rows)):
        async with asyncio.TaskGroup() as group:
            for row in batch:
                case = Case(sample=sample_of(row["sample"]), fingerprints=frozenset(row["fingerprints"]))
                group.create_task(_judge(verification, prompt_of(row["prompt"]), case))
        done += len(batch)
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
    workspace.execute("DROP TABLE wanted")
    workspace.execute("CREATE OR REPLACE TABLE unjudged (sample_id VARCHAR, ord BIGINT, fingerprints VARCHAR[], rank BIGINT)")
    for within in stretches(workspace):
        workspace.execute(
            f"""
            INSERT INTO unjudged
            SELECT sample_id, ord, list(fingerprint),
                (SELECT count(*) FROM unjudged) + row_number() OVER (ORDER BY ord, sample_id) - 1
            FROM lacking WHERE {within} GROUP BY sample_id, ord
            """
        )
    workspace.execute("DROP TABLE lacking")
    return int(workspace.rows("SELECT count(*) FROM unjudged")[0][0])


def _rows(workspace: Workspace, count: int, stop: Stop) -> Iterator[Row]:
    """Yield a sample, its prompt and the fingerprints that it lacks, prompt by prompt."""
    held = workspace.at_once(HELD)
    size = held * -(-count // (BUCKETS * held))
    workspace.make_room_for(at_once=held)
    ranks = f"SELECT sample_id, rank, rank // {size} AS bucket FROM unjudged"
    try:
        deal_samples(workspace, "unjudged", _COLUMNS, ranks, check=stop.check)
    except UserError:
        if stop:
            return
        raise
    for first in range(0, count, held):
        within = f"rank BETWEEN {first} AND {first + held - 1}"
        ((low, high),) = workspace.rows(f"SELECT min(ord), max(ord) FROM unjudged WHERE {within}")
        table = workspace.table(
            f"""
            SELECT samples AS sample, prompts AS prompt, fingerprints
            FROM (FROM unjudged WHERE {within}) AS unjudged
            JOIN (FROM {dealt_once(workspace, "unjudged", first // size)} WHERE {within}) AS samples USING (rank)
            JOIN (FROM {staged_near(workspace, low, high)} WHERE ord BETWEEN {low} AND {high}) AS prompts USING (ord)
            """
        )
        for batch in table.to_batches(max_chunksize=BATCH):
            yield from batch.to_pylist()


def _some(rows: Iterator[Row]) -> list[Row]:
    return list(islice(rows, BATCH))
