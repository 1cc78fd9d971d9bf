"""Snapshot: a build's prompts, outcomes and traces as Parquet, in an order that depends on the spec and the store alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from storage.catalog import literal
from storage.parquet import PartWriter
from storage.schemas import OUTCOMES, PROMPTS, TRACES
from storage.workspace import Workspace
from tasks.license import Effective
from tasks.verify import Named

PART_ROWS = 100_000
"""Rows in one file of a snapshot."""
BUCKET_ROWS = 20_000
"""Traces that are sorted in memory at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherFacts:
    """What a trace says of its teacher."""

    name: str
    """In the spec."""
    license: str
    """SPDX expression."""
    terms: str | None
    """Id of the provider's terms."""
    effective: Mapping[str, Effective]
    """By the prompt's licence."""


def snapshot(
    workspace: Workspace, *, dataset: str, build_id: str, teachers: Sequence[TeacherFacts], verifiers: Sequence[Named]
) -> None:
    """Stage the three tables of a build, from `prompts` and `candidates`."""
    rows = ", ".join(f"({number}, {literal(teacher.name)})" for number, teacher in enumerate(teachers))
    workspace.execute(f"CREATE TABLE teachers AS FROM (VALUES {rows}) AS teachers(teacher, name)")
    _write(workspace, "prompts", PROMPTS, "FROM prompts ORDER BY ord")
    _write(
        workspace,
        "outcomes",
        OUTCOMES,
        "SELECT prompt_id, name AS teacher, sample_index, sample_id, stage, reason, "
        "CASE WHEN stage IS NULL THEN 'kept' WHEN stage = 'draw' THEN 'failed' ELSE 'rejected' END AS outcome "
        "FROM candidates JOIN teachers USING (teacher) ORDER BY ord, candidates.teacher, sample_index",
    )
    _traces(workspace, dataset=dataset, build_id=build_id, teachers=teachers, verifiers=verifiers)


def _write(workspace: Workspace, table: str, schema: pa.Schema, query: str) -> None:
    batches = iter(workspace.stream(f"SELECT {', '.join(schema.names)} FROM ({query})", rows=10_000))
    batch = next(batches, None)
    number = 0
    while batch is not None or number == 0:
        with PartWriter(workspace.staged(table) / f"part-{number:05d}.parquet", schema) as writer:
            while batch is not None and writer.written < PART_ROWS:
                writer.write_batch(batch)
                batch = next(batches, None)
        number += 1


def _traces(
    workspace: Workspace, *, dataset: str, build_id: str, teachers: Sequence[TeacherFacts], verifiers: Sequence[Named]
) -> None:
    """Write traces in the order of prompts, teachers and indices.

    Sorting texts needs memory for all of them. So ids are ranked, texts are dealt into buckets of consecutive ranks as they
    stream by, and each bucket is sorted by itself.
    """
    licenses = [
        (number, teacher.license, teacher.terms, prompt_license, effective.license, effective.train_use)
        for number, teacher in enumerate(teachers)
        for prompt_license, effective in teacher.effective.items()
    ]
    rows = ", ".join(f"({', '.join(_value(value) for value in row)})" for row in licenses)
    workspace.execute(
        f"CREATE TABLE licenses AS FROM (VALUES {rows}) "
        "AS licenses(teacher, teacher_license, terms, prompt_license, license, train_use)"
    )
    fingerprints = ", ".join(literal(named.fingerprint) for named in verifiers) or "NULL"
    workspace.execute(
        """
        CREATE TABLE kept AS
        WITH rates AS (
            SELECT ord, avg((stage IS NULL OR stage <> 'verify')::INTEGER) AS pass_rate
            FROM candidates WHERE stage IS DISTINCT FROM 'draw' GROUP BY ord
        )
        SELECT ord, teacher, sample_index, sample_id, score, pass_rate,
            row_number() OVER (ORDER BY ord, teacher, sample_index) - 1 AS rank
        FROM candidates JOIN rates USING (ord) WHERE stage IS NULL
        """
    )
    workspace.execute(
        f"""
        CREATE TABLE answers AS
        SELECT rank, min(answer) AS answer
        FROM kept JOIN prompts USING (ord) JOIN verdicts USING (sample_id, inputs)
        WHERE answer IS NOT NULL AND passed AND fingerprint IN ({fingerprints}) GROUP BY rank
        """
    )
    total = workspace.rows("SELECT count(*) FROM kept")[0][0]
    query = f"""
        SELECT rank, sample_id, prompts.prompt_id, {literal(dataset)} AS dataset, {literal(build_id)} AS build_id,
            name AS teacher, model, strategy, system, prompts.prompt, samples.messages, response, reasoning, answer,
            score::FLOAT AS score, pass_rate::FLOAT AS pass_rate, tokens_in, tokens_out, source AS prompt_source,
            prompts.license AS prompt_license, teacher_license, licenses.license, train_use, terms, generation,
            'train' AS split, created_at
        FROM samples
        JOIN kept USING (sample_id)
        JOIN prompts USING (ord)
        JOIN teachers ON teachers.teacher = kept.teacher
        JOIN licenses ON licenses.teacher = kept.teacher AND licenses.prompt_license = prompts.license
        LEFT JOIN answers USING (rank)
        """
    if total <= BUCKET_ROWS:
        _write(workspace, "traces", TRACES, f"{query} ORDER BY rank")
        return
    size = max(BUCKET_ROWS, -(-total // 64))
    buckets = workspace.folder / "buckets"
    workspace.execute(
        f"COPY (SELECT *, rank // {size} AS bucket FROM ({query})) TO {literal(buckets)} (FORMAT parquet, PARTITION_BY (bucket))"
    )
    for number in range(-(-total // size)):
        _bucket(workspace, number, buckets / f"bucket={number}")


def _bucket(workspace: Workspace, number: int, folder: Path) -> None:
    source = f"read_parquet({literal(folder / '*.parquet')})"
    table = workspace.table(f"SELECT {', '.join(TRACES.names)} FROM {source} ORDER BY rank")
    with PartWriter(workspace.staged("traces") / f"part-{number:05d}.parquet", TRACES) as writer:
        for batch in table.to_batches(max_chunksize=10_000):
            writer.write_batch(batch)


def _value(value: object) -> str:
    if value is None:
        return "NULL::TEXT"
    return str(value) if isinstance(value, int) else literal(str(value))
