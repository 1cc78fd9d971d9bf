"""Snapshot: a build's prompts, outcomes and traces as Parquet, in an order that depends on the spec and the store alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from storage.dealing import BUCKETS
from storage.parquet import ROW_GROUP, PartWriter
from storage.schemas import GROWN, OUTCOMES, PROMPTS, TRACES
from storage.sql import literal
from storage.workspace import Workspace
from tasks.license import Effective
from tasks.outcomes import FAILED, NOT_JUDGED, reasons
from tasks.prepare import staged_files, staged_near
from tasks.ranked import RESPONSE, deal_samples, dealt_once
from tasks.rights.bound import Inherited
from tasks.stretches import stretches
from tasks.verify import Named

PART_ROWS = 100_000
"""Rows in one file of a snapshot."""
BUCKET_ROWS = 5_000
"""Traces that are put in order in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherFacts:
    """What a trace says of its teacher."""

    name: str
    """In the spec."""
    strategy: str | None = None
    """By which it was asked; a teacher has an entry for each of its strategies."""
    license: str
    """SPDX expression."""
    terms: str | None
    """Ids of its terms."""
    acknowledgement: str | None = None
    """Who answers for it, where the terms restrict training."""
    generation: int = 0
    """Its own."""
    inherited: Sequence[Inherited] = ()
    """What binds traces of other lakes whose responses are prompts here, with its own terms and acknowledgement."""
    effective: Mapping[str, Effective]
    """By the prompt's licence."""


def snapshot(
    workspace: Workspace, *, dataset: str, build_id: str, teachers: Sequence[TeacherFacts], verifiers: Sequence[Named]
) -> None:
    """Stage the three tables of a build, from `prompts` and `candidates`."""
    workspace.execute("CREATE TABLE teachers (arm SMALLINT, name VARCHAR, strategy VARCHAR)")
    _insert(workspace, "teachers", [(number, teacher.name, teacher.strategy) for number, teacher in enumerate(teachers)])
    _prompts(workspace)
    reasons(workspace, verifiers)
    _write(workspace, "outcomes", OUTCOMES, outcome_rows(workspace))
    fingerprints = [named.fingerprint for named in verifiers]
    _write(workspace, "traces", TRACES, _traces(workspace, dataset, build_id, teachers, fingerprints))


def _write(workspace: Workspace, table: str, schema: pa.Schema, source: Iterable[pa.RecordBatch]) -> None:
    batches = iter(source)
    batch = next(batches, None)
    number = 0
    while batch is not None or number == 0:
        with PartWriter(workspace.staged(table) / f"part-{number:05d}.parquet", schema, keep_footer=True) as writer:
            while batch is not None and writer.written < PART_ROWS:
                writer.write_batch(batch)
                batch = next(batches, None)
        number += 1


def snapshot_grown(workspace: Workspace, files: Sequence[Path]) -> None:
    """Stage the table `grown` of these files, in their order."""

    def batches() -> Iterator[pa.RecordBatch]:
        for path in files:
            with pq.ParquetFile(path) as file:
                yield from file.iter_batches(batch_size=ROW_GROUP)

    _write(workspace, "grown", GROWN, batches())


def _prompts(workspace: Workspace) -> None:
    """Copy the staged prompts, less the folded ones, in the order in which they stand."""

    def batches() -> Iterator[pa.RecordBatch]:
        for path in sorted(staged_files(workspace).iterdir()):
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=ROW_GROUP):
                    first, last = batch["ord"][0].as_py(), batch["ord"][-1].as_py()
                    folded = {ord_ for (ord_,) in workspace.rows(f"SELECT ord FROM folded WHERE ord BETWEEN {first} AND {last}")}
                    kept = pa.array([ord_ not in folded for ord_ in batch["ord"].to_pylist()], pa.bool_())
                    yield batch.filter(kept).select(PROMPTS.names)

    _write(workspace, "prompts", PROMPTS, batches())


def outcome_rows(workspace: Workspace) -> Iterator[pa.RecordBatch]:
    """Yield outcomes in the order of prompts, teachers and indices.

    A stretch at a time, since the joins and the sort need room at once.
    """
    for within in stretches(workspace):
        failed = f"SELECT ord, arm, sample_index FROM candidates WHERE {within} AND {FAILED}"
        asked = (
            f"SELECT ord, arm, sample_index, sample_id AS asked_id FROM (FROM slots WHERE {within}) "
            f"SEMI JOIN ({failed}) USING (ord, arm, sample_index)"
        )
        outcomes = f"""
            SELECT prompt_id, name AS teacher, sample_index, sample_id, stage,
                coalesce(candidates.reason, reasons.reason, CASE WHEN stage = 'verify' THEN '{NOT_JUDGED}' END) AS reason,
                CASE WHEN stage IS NULL THEN 'kept' WHEN {FAILED} THEN 'failed' ELSE 'rejected' END AS outcome,
                refuted_by, score::FLOAT AS score, strategy, asked_id
            FROM (FROM candidates WHERE {within}) AS candidates JOIN teachers USING (arm)
            LEFT JOIN ({asked}) USING (ord, arm, sample_index)
            JOIN (FROM prompt_ids WHERE {within}) USING (ord)
            LEFT JOIN (FROM reasons WHERE {within}) AS reasons USING (ord, arm, sample_index)
            ORDER BY ord, candidates.arm, sample_index
            """
        yield from workspace.stream(f"SELECT {', '.join(OUTCOMES.names)} FROM ({outcomes})", rows=ROW_GROUP)


def _traces(
    workspace: Workspace, dataset: str, build_id: str, teachers: Sequence[TeacherFacts], fingerprints: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """Yield traces in the order of prompts, teachers and indices.

    Sorting texts needs memory for all of them. So ids are ranked, texts are dealt into buckets of consecutive ranks as they
    stream by, and each bucket is put in order by itself, with its own stretch of the prompts.
    """
    _kept(workspace, teachers)
    ((total,),) = workspace.rows("SELECT count(*) FROM kept")
    size = max(workspace.at_once(BUCKET_ROWS), -(-total // BUCKETS))
    workspace.make_room_for(at_once=size)
    listed = ", ".join(map(literal, fingerprints)) or "NULL"
    deal_samples(workspace, "responses", RESPONSE, f"SELECT sample_id, rank, rank // {size} AS bucket FROM kept")
    alone = "SELECT rank, sample_id, inputs FROM kept"
    voted = "SELECT rank, sample_id, together.inputs FROM kept JOIN together USING (ord, arm, sample_id)"
    judged = f"verdicts JOIN ({alone} UNION ALL {voted}) USING (sample_id, inputs)"
    workspace.deal_query(
        "answers",
        f"SELECT rank, answer, rank // {size} AS bucket FROM {judged} "
        f"WHERE answer IS NOT NULL AND passed AND fingerprint IN ({listed})",
    )
    groups = workspace.at_once(ROW_GROUP)
    for number in range(-(-total // size)):
        first, last = number * size, number * size + size - 1
        ((low, high),) = workspace.rows(f"SELECT min(ord), max(ord) FROM kept WHERE rank BETWEEN {first} AND {last}")
        table = workspace.table(
            f"""
            SELECT responses.* EXCLUDE (rank, bucket), prompts.prompt_id, {literal(dataset)} AS dataset,
                {literal(build_id)} AS build_id, name AS teacher, teachers.strategy, prompt, answer, score::FLOAT AS score,
                pass_rate::FLOAT AS pass_rate, prompts.source AS prompt_source, prompts.license AS prompt_license,
                teacher_license, licenses.license,
                CASE WHEN inherited.train_use = 'allowed' OR licenses.train_use = 'restricted' THEN licenses.train_use
                    ELSE coalesce(inherited.train_use, licenses.train_use) END AS train_use,
                coalesce(inherited.terms, licenses.terms) AS terms,
                coalesce(inherited.acknowledgement, licenses.acknowledgement) AS acknowledgement,
                greatest(prompts.generation, teacher_generation, latest) AS generation, coalesce(split, 'train') AS split
            FROM (FROM kept WHERE rank BETWEEN {first} AND {last}) AS kept
            JOIN {dealt_once(workspace, "responses", number)} AS responses USING (rank)
            JOIN (FROM {staged_near(workspace, low, high)} WHERE ord BETWEEN {low} AND {high}) AS prompts USING (ord)
            JOIN teachers USING (arm)
            JOIN licenses ON licenses.arm = kept.arm AND licenses.prompt_license = prompts.license
            LEFT JOIN latest ON latest.ord = kept.ord AND latest.arm = kept.arm
            LEFT JOIN inherited ON inherited.arm = kept.arm AND inherited.source = prompts.source
            LEFT JOIN (FROM splits WHERE ord BETWEEN {low} AND {high}) USING (ord)
            LEFT JOIN (SELECT rank, min(answer) AS answer FROM {workspace.dealt("answers", number)} GROUP BY rank) USING (rank)
            ORDER BY rank
            """
        )
        if len(table) != min(size, total - first):
            raise AssertionError(f"{len(table)} traces for {min(size, total - first)} kept samples")
        yield from table.select(TRACES.names).combine_chunks().to_batches(max_chunksize=groups)


def _kept(workspace: Workspace, teachers: Sequence[TeacherFacts]) -> None:
    licenses = [
        (
            *(number, teacher.license, teacher.terms, teacher.acknowledgement, teacher.generation),
            *(prompt_license, effective.license, effective.train_use),
        )
        for number, teacher in enumerate(teachers)
        for prompt_license, effective in teacher.effective.items()
    ]
    workspace.execute(
        "CREATE TABLE licenses (arm SMALLINT, teacher_license VARCHAR, terms VARCHAR, acknowledgement VARCHAR, "
        "teacher_generation INTEGER, prompt_license VARCHAR, license VARCHAR, train_use VARCHAR)"
    )
    _insert(workspace, "licenses", licenses)
    inherited = [
        (number, each.source, each.terms, each.acknowledgement, each.training)
        for number, teacher in enumerate(teachers)
        for each in teacher.inherited
    ]
    workspace.execute(
        "CREATE TABLE inherited (arm SMALLINT, source VARCHAR, terms VARCHAR, acknowledgement VARCHAR, train_use VARCHAR)"
    )
    _insert(workspace, "inherited", inherited)
    _latest(workspace)
    workspace.execute(
        "CREATE TABLE kept AS SELECT ord, arm, sample_id, inputs, score, 0::DOUBLE AS pass_rate, 0::BIGINT AS rank "
        "FROM candidates LIMIT 0"
    )
    for within in stretches(workspace):
        workspace.execute(
            f"""
            INSERT INTO kept
            WITH stretch AS (FROM candidates WHERE {within}), rates AS (
                SELECT ord, avg((stage IS NULL OR stage NOT IN ('draw', 'verify'))::INTEGER) AS pass_rate
                FROM stretch WHERE sample_id IS NOT NULL GROUP BY ord
            )
            SELECT ord, arm, sample_id, inputs, score, pass_rate,
                (SELECT count(*) FROM kept) + row_number() OVER (ORDER BY ord, arm, sample_index) - 1 AS rank
            FROM stretch JOIN rates USING (ord) WHERE stage IS NULL
            ORDER BY rank
            """
        )


def _latest(workspace: Workspace) -> None:
    """Make `latest`: of what several prompts ask, as their sources have the same text, the latest generation of these."""
    workspace.execute("CREATE TABLE latest (ord BIGINT, arm SMALLINT, latest INTEGER)")
    ((generations,),) = workspace.rows("SELECT count(DISTINCT generation) FROM prompts")
    if generations > 1:
        asked = (
            "SELECT ord, arm, generation, max(generation) OVER (PARTITION BY key) AS latest "
            "FROM slots JOIN prompts USING (ord) WHERE sample_index = 0"
        )
        workspace.execute(f"INSERT INTO latest SELECT ord, arm, latest FROM ({asked}) WHERE latest > generation")


def _insert(workspace: Workspace, table: str, rows: Sequence[tuple[object, ...]]) -> None:
    if rows:
        listed = ", ".join(f"({', '.join(map(_value, row))})" for row in rows)
        workspace.execute(f"INSERT INTO {table} VALUES {listed}")


def _value(value: object) -> str:
    if value is None:
        return "NULL::TEXT"
    return str(value) if isinstance(value, int) else literal(str(value))
