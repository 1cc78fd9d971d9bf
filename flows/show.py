"""Show and status: what the lake holds, for a terminal or as JSON."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from flows.looking import looking
from storage import waste
from storage.errors import SpecError
from storage.intents import Intents
from storage.lake import Lake, Manifest
from storage.schemas import SAMPLES
from storage.sql import explained, parquet, parquet_files, parquet_in
from storage.workspace import Workspace
from tasks.browse.choose import Filters, choose
from tasks.browse.entries import entries


def status(lake: Lake, dataset: str | None) -> dict[str, Any]:
    """Return the builds of a lake and what its tables hold."""
    if dataset is not None:
        lake.build(dataset)  # raises where there is none, and says what there is
    if not lake.exists:
        return {"lake": lake.where, "samples": 0, "verdicts": 0, "journal": 0, "batches": [], "builds": [], "spend": []}
    with explained(), duckdb.connect() as connection:
        counted = {
            table: connection.execute(f"SELECT count(*) FROM {parquet(lake.glob(table))}").fetchall()[0][0]
            for table in ("samples", "verdicts")
        }
        spend = _spend(connection, lake, dataset)
    waiting = sum(map(_lines, lake.journal.glob("*.jsonl")))
    batches = [
        {name: value for name, value in asdict(intent).items() if name != "items"} | {"to_fetch": len(intent.items)}
        for intent in Intents(lake.batches).all()
    ]
    builds = [
        {name: value for name, value in build.items() if name not in {"spec", "measures"}} for build in lake.builds(dataset)
    ]
    return {"lake": lake.where, **counted, "journal": waiting, "batches": batches, "builds": builds, "spend": spend}


def _lines(segment: Path) -> int:
    """Return how many lines a segment of the journal has; none where a build has landed it meanwhile."""
    try:
        with segment.open("rb") as file:
            return sum(1 for _ in file)
    except FileNotFoundError:
        return 0


def _spend(connection: duckdb.DuckDBPyConnection, lake: Lake, dataset: str | None) -> list[dict[str, Any]]:
    """Return what each teacher's samples and each judge's verdicts cost, and what either was paid in vain, over all runs.

    Of the lake, or of a dataset's builds.
    """
    asked = ""
    if dataset is not None:
        outcomes = [lake.snapshot("outcomes", dataset, build["build_id"]) for build in lake.builds(dataset)]
        union = " UNION ALL ".join(
            f"SELECT unnest([sample_id, asked_id]) FROM {parquet_in(folder, later='asked_id')}" for folder in outcomes
        )
        asked = f"WHERE sample_id IN ({union})"
    samples, verdicts = (parquet(lake.glob(table)) for table in ("samples", "verdicts"))
    rows: list[dict[str, Any]] = (
        connection.sql(
            f"""
            SELECT 'teacher' AS kind, teacher AS name, model, count(*) AS number, sum(tokens_in)::BIGINT AS tokens_in,
                sum(tokens_out)::BIGINT AS tokens_out, coalesce(sum(cost_usd), 0) AS cost_usd
            FROM (FROM {samples} {asked} QUALIFY row_number() OVER (PARTITION BY sample_id) = 1) GROUP BY teacher, model
            UNION ALL
            SELECT 'judge', verifier, NULL, count(*), NULL, NULL, sum(cost_usd)
            FROM {verdicts} {asked} GROUP BY verifier HAVING sum(cost_usd) > 0
            UNION ALL
            SELECT if(estimated IS NULL, 'in vain', 'unanswered') AS vain, teacher, NULL,
                sum(coalesce(responses, 1))::BIGINT, nullif(sum(tokens_in), 0)::BIGINT,
                sum(tokens_out)::BIGINT, sum(cost_usd)
            FROM ({waste.view(lake.waste)}) {asked} GROUP BY vain, teacher
            HAVING sum(coalesce(responses, 1)) > 0
            ORDER BY kind DESC, cost_usd DESC, name, model
            """
        )
        .to_arrow_table()
        .to_pylist()
    )
    return rows


def show(
    lake: Lake, dataset: str, filters: Filters, *, build_id: str | None, number: int
) -> tuple[Manifest, list[dict[str, Any]]]:
    """Return a build's manifest and some of its samples with their verdicts, in the order of its prompts.

    Raise StorageError where there is no such build, and SpecError where a filter names what it hasn't.
    """
    with looking(lake, dataset, build_id) as (workspace, build):
        filters.check(build)
        prompts = lake.snapshot("prompts", dataset, build["build_id"])
        choose(workspace, build, filters, prompts, number=number)
        rows = [
            {name: value for name, value in sample.items() if name != "kind"}
            | {"prompt": entry.prompt.prompt, "reference": entry.prompt.reference, "tags": dict(entry.prompt.tags)}
            for entry in entries(workspace, build)
            for sample in entry.samples
        ]
        stored = _logprobs(workspace, lake) if rows else {}
        known = rows or filters.prompt is None or workspace.rows("FROM prompts WHERE prompt_id = ? LIMIT 1", [filters.prompt])
    if not rows and filters.prompt is not None:
        kind = f"{filters.outcome} sample" if filters.outcome else "such sample"
        lacks = f"no {kind} of prompt {filters.prompt!r}" if known else f"no prompt {filters.prompt!r}"
        raise SpecError(f"--prompt: build {build['build_id']} has {lacks}")
    return build, [row | {"logprobs": stored.get(row["sample_id"])} for row in rows]


def _logprobs(workspace: Workspace, lake: Lake) -> dict[str, dict[str, Any]]:
    """Return, by sample, what is stored of the distributions that the chosen ones were drawn from."""
    # Ids are read of all parts, and distributions, which take a hundred times a text's room, of those that hold a chosen one.
    names = workspace.rows(
        f"SELECT DISTINCT filename FROM {parquet(lake.glob('samples'), filename=True)} SEMI JOIN chosen USING (sample_id)"
    )
    # A part of an earlier version has another form of the column, with nothing in it.
    parts = sorted(name for (name,) in names if pq.read_schema(name).field("logprobs").type == SAMPLES.field("logprobs").type)
    if not parts:
        return {}
    rows = workspace.table(
        f"""
        SELECT sample_id, len(logprobs.logprobs) AS tokens, len(logprobs.top_logprobs) AS alternatives,
            list_avg(logprobs.rest) AS rest, list_avg(list_filter(logprobs.logprobs, lambda each: isfinite(each))) AS mean
        FROM {parquet_files(parts)} SEMI JOIN chosen USING (sample_id) WHERE logprobs IS NOT NULL
        """
    )
    return {row.pop("sample_id"): row for row in rows.to_pylist()}
