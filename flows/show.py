"""Show and status: what the lake holds, for a terminal or as JSON."""

from __future__ import annotations

from typing import Any, Literal

import duckdb

from storage.catalog import files, literal
from storage.errors import SpecError
from storage.lake import Lake

Kind = Literal["kept", "rejected", "failed"]


def status(lake: Lake, dataset: str | None) -> dict[str, Any]:
    """Return the builds of a lake and what its tables hold."""
    if not lake.exists:
        return {"lake": str(lake.root), "samples": 0, "verdicts": 0, "journal": 0, "builds": []}
    with duckdb.connect() as connection:
        counted = {
            table: connection.execute(f"SELECT count(*) FROM read_parquet({literal(lake.glob(table))})").fetchall()[0][0]
            for table in ("samples", "verdicts")
        }
    waiting = sum(1 for segment in lake.journal.glob("*.jsonl") for _ in segment.open("rb"))
    builds = [{name: value for name, value in build.items() if name != "spec"} for build in lake.builds(dataset)]
    return {"lake": str(lake.root), **counted, "journal": waiting, "builds": builds}


def show(
    lake: Lake, dataset: str, *, build_id: str | None, kind: Kind, prompt_id: str | None, number: int
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a build's manifest and some of its samples with their verdicts, in the order of its prompts."""
    build = lake.build(dataset, build_id)
    folders = {table: lake.snapshot(table, dataset, build["build_id"]) for table in ("prompts", "outcomes")}
    asked = f"AND prompt_id = {literal(prompt_id)}" if prompt_id is not None else ""
    with duckdb.connect() as connection:
        connection.execute(f"CREATE VIEW samples AS FROM read_parquet({literal(lake.glob('samples'))})")
        connection.execute(f"CREATE VIEW verdicts AS FROM read_parquet({literal(lake.glob('verdicts'))})")
        connection.execute(
            f"CREATE TABLE found AS SELECT row_number() OVER () AS place, * FROM read_parquet({files([folders['outcomes']])}) "
            f"WHERE outcome = {literal(kind)} {asked}"
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
        table = connection.sql(
            f"""
            SELECT chosen.* EXCLUDE (place), prompt, reference, samples.messages, response, reasoning, finish_reason, model,
                (SELECT list({{'verifier': verifier, 'passed': passed, 'score': score, 'reason': verdicts.reason}})
                    FROM verdicts WHERE verdicts.sample_id = chosen.sample_id) AS verdicts
            FROM chosen
            JOIN read_parquet({files([folders["prompts"]])}) AS prompts USING (prompt_id)
            LEFT JOIN samples ON samples.sample_id = chosen.sample_id
            ORDER BY place
            """
        ).to_arrow_table()
    rows = table.to_pylist()
    if not rows and prompt_id is not None:
        raise SpecError(f"--prompt: build {build['build_id']} has no {kind} sample of prompt {prompt_id!r}")
    return build, rows
