"""Show and status: what the lake holds, for a terminal or as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

import duckdb
import pyarrow.parquet as pq

from storage.errors import SpecError
from storage.identity import check_inputs, vote_inputs
from storage.intents import Intents
from storage.lake import Lake
from storage.records import Prompt
from storage.rows import prompt_of
from storage.schemas import SAMPLES
from storage.sql import explained, literal, parquet, parquet_files, parquet_in

Kind = Literal["kept", "rejected", "failed"]


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
    waiting = sum(1 for segment in lake.journal.glob("*.jsonl") for _ in segment.open("rb"))
    batches = [
        {name: value for name, value in asdict(intent).items() if name != "items"} | {"to_fetch": len(intent.items)}
        for intent in Intents(lake.batches).all()
    ]
    builds = [
        {name: value for name, value in build.items() if name not in {"spec", "measures"}} for build in lake.builds(dataset)
    ]
    return {"lake": lake.where, **counted, "journal": waiting, "batches": batches, "builds": builds, "spend": spend}


def _spend(connection: duckdb.DuckDBPyConnection, lake: Lake, dataset: str | None) -> list[dict[str, Any]]:
    """Return what each teacher's samples and each judge's verdicts cost, over all runs: of the lake, or of a dataset's builds."""
    asked = ""
    if dataset is not None:
        outcomes = [lake.snapshot("outcomes", dataset, build["build_id"]) for build in lake.builds(dataset)]
        union = " UNION ALL ".join(f"SELECT sample_id FROM {parquet_in(folder)}" for folder in outcomes)
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
            ORDER BY kind DESC, cost_usd DESC, name, model
            """
        )
        .to_arrow_table()
        .to_pylist()
    )
    return rows


def show(
    lake: Lake, dataset: str, *, build_id: str | None, kind: Kind, prompt_id: str | None, number: int
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a build's manifest and some of its samples with their verdicts, in the order of its prompts."""
    build = lake.build(dataset, build_id)
    folders = {table: lake.snapshot(table, dataset, build["build_id"]) for table in ("prompts", "outcomes")}
    asked = f"AND prompt_id = {literal(prompt_id)}" if prompt_id is not None else ""
    judges = build.get("verifiers", [])
    with explained(), duckdb.connect() as connection:
        for table in ("samples", "verdicts"):
            connection.execute(f"CREATE VIEW {table} AS FROM {parquet(lake.glob(table))}")
        connection.execute(
            "CREATE TABLE found AS SELECT row_number() OVER () AS place, * "
            f"FROM {parquet_in(folders['outcomes'], later='strategy')} WHERE outcome = {literal(kind)} {asked}"
        )
        # One of each prompt, evenly spread over the build, before a second one of any.
        connection.execute(
            f"""
            CREATE TABLE chosen AS
            WITH turns AS (SELECT *, row_number() OVER (PARTITION BY prompt_id ORDER BY place) AS turn FROM found),
            numbered AS (SELECT *, row_number() OVER (PARTITION BY turn ORDER BY place) - 1 AS number,
                count(*) OVER (PARTITION BY turn) AS many FROM turns)
            SELECT * EXCLUDE (turn, number, many) FROM numbered
            ORDER BY turn, (number * {number} // many) = ((number - 1) * {number} // many) AND number > 0, place LIMIT {number}
            """
        )
        rows = (
            connection.sql(
                f"""
                SELECT chosen.* EXCLUDE (place), prompts,
                    (SELECT list(sample_id) FROM {parquet_in(folders["outcomes"])} AS others
                        WHERE others.prompt_id = chosen.prompt_id AND others.teacher = chosen.teacher
                            AND sample_id IS NOT NULL AND stage IS DISTINCT FROM 'draw') AS together,
                    samples.messages, response, samples.reasoning, finish_reason, model,
                    tokens_in, tokens_out, cost_usd,
                    (SELECT list({{'verifier': verifier, 'passed': passed, 'score': score, 'reason': verdicts.reason,
                        'fingerprint': fingerprint, 'inputs': inputs}} ORDER BY verifier)
                        FROM verdicts WHERE verdicts.sample_id = chosen.sample_id) AS verdicts
                FROM chosen
                JOIN {parquet_in(folders["prompts"])} AS prompts USING (prompt_id)
                LEFT JOIN samples ON samples.sample_id = chosen.sample_id
                ORDER BY place
                """
            )
            .to_arrow_table()
            .to_pylist()
        )
        stored = _logprobs(connection, lake) if rows else {}
    if not rows and prompt_id is not None:
        raise SpecError(f"--prompt: build {build['build_id']} has no {kind} sample of prompt {prompt_id!r}")
    fingerprints = {judge["fingerprint"] for judge in judges}
    return build, [_told(row, fingerprints) | {"logprobs": stored.get(row["sample_id"])} for row in rows]


def _logprobs(connection: duckdb.DuckDBPyConnection, lake: Lake) -> dict[str, dict[str, Any]]:
    """Return, by sample, what is stored of the distributions that the chosen ones were drawn from."""
    # Ids are read of all parts, and distributions, which take a hundred times a text's room, of those that hold a chosen one.
    names = connection.execute(
        f"SELECT DISTINCT filename FROM {parquet(lake.glob('samples'), filename=True)} SEMI JOIN chosen USING (sample_id)"
    ).fetchall()
    # A part of an earlier version has another form of the column, with nothing in it.
    parts = sorted(name for (name,) in names if pq.read_schema(name).field("logprobs").type == SAMPLES.field("logprobs").type)
    if not parts:
        return {}
    rows = connection.sql(
        f"""
        SELECT sample_id, len(logprobs.logprobs) AS tokens, len(logprobs.top_logprobs) AS alternatives,
            list_avg(logprobs.rest) AS rest, list_avg(list_filter(logprobs.logprobs, lambda each: isfinite(each))) AS mean
        FROM {parquet_files(parts)} SEMI JOIN chosen USING (sample_id) WHERE logprobs IS NOT NULL
        """
    )
    return {row.pop("sample_id"): row for row in rows.to_arrow_table().to_pylist()}


def _told(row: dict[str, Any], fingerprints: set[str]) -> dict[str, Any]:
    """Return a row with its prompt's texts, and with the verdicts that counted in this build alone."""
    prompt: Prompt = prompt_of(row.pop("prompts"))
    alone = check_inputs(prompt)
    inputs = {alone, vote_inputs(alone, row.pop("together") or ())}
    counted = [each for each in row["verdicts"] or () if each["fingerprint"] in fingerprints and each["inputs"] in inputs]
    shown = [{name: value for name, value in each.items() if name not in {"fingerprint", "inputs"}} for each in counted]
    return row | {"prompt": prompt.prompt, "reference": prompt.reference, "verdicts": shown}
