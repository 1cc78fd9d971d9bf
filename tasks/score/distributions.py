"""What the stored distributions over a build's traces are like: those that responses were drawn from, and scorers'."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from storage import scores
from storage.lake import Lake, Manifest
from storage.sql import parquet_in
from storage.workspace import Workspace
from tasks.score import fit

LOOKED_AT = 2_000
"""Traces whose distributions are read, each time: one takes hundreds of kilobytes."""
DRAWN = "of the draw"


def of_traces(workspace: Workspace, lake: Lake, build: Manifest) -> dict[str, dict[str, Any]]:
    """Return what distributions over traces are like (`fit.Fit`), by whose they are. Ids are hashes: the first are as any."""
    traces = parquet_in(lake.snapshot("traces", build["dataset"], build["build_id"]))
    found: dict[str, dict[str, Any]] = {}
    workspace.execute(f"CREATE OR REPLACE TABLE kept_ids AS SELECT DISTINCT sample_id FROM {traces}")
    workspace.execute(f"CREATE OR REPLACE TABLE looked_at AS FROM kept_ids ORDER BY sample_id LIMIT {LOOKED_AT}")
    drawn = fit.measure(
        workspace.stream(
            f"SELECT logprobs FROM {workspace.holding('looked_at')} AS samples SEMI JOIN looked_at USING (sample_id) "
            "WHERE logprobs IS NOT NULL",
            rows=scores.READ_ROWS,
        )
    )
    if drawn.responses:
        found[DRAWN] = asdict(drawn)
    named = workspace.rows(
        "SELECT scorer, fingerprint, any_value(reasoning) FROM scores SEMI JOIN kept_ids USING (sample_id) WHERE reason IS NULL "
        "GROUP BY ALL ORDER BY ALL"
    )
    for scorer in dict.fromkeys(scorer for scorer, *_ in named):
        ways = scores.together({print_: how for other, print_, how in named if other == scorer})
        for way in sorted(ways):
            scores.choose(workspace, scorer, "kept_ids", fingerprints=way)
            scores.narrow(workspace, LOOKED_AT)
            name = f"by {scorer} ({way[0][:8]})" if len(ways) > 1 else f"by {scorer}"
            found[name] = asdict(fit.measure(scores.read(workspace)))
    return found
