"""Sizes: how long responses are, what they cost whenever they were bought, and on what terms traces stand."""

from __future__ import annotations

from typing import Any

from storage.workspace import Workspace
from tasks.diff import RESPONDED

BINS_A_DOUBLING = 2
"""Of the histogram of lengths."""


def histogram(workspace: Workspace) -> list[dict[str, Any]]:
    """Return how many traces have so many completion tokens, in bins of half a doubling: `from`, `to` and `traces`."""
    rows = workspace.rows(
        f"SELECT floor({BINS_A_DOUBLING} * log2(tokens_out))::INTEGER AS bin, count(*) FROM traces WHERE tokens_out > 0 "
        "GROUP BY bin ORDER BY bin"
    )
    counted = dict(rows)
    bins = range(min(counted), max(counted) + 1) if counted else ()
    edges = [(_edge(each), _edge(each + 1) - 1, counted.get(each, 0)) for each in bins]
    return [{"from": low, "to": high, "traces": traces} for low, high, traces in edges if low <= high]


def _edge(number: int) -> int:
    """Return the least whole number of tokens in a bin."""
    edge = 2 ** (number / BINS_A_DOUBLING)
    return round(edge) if number % BINS_A_DOUBLING == 0 else int(edge) + 1


def spent(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """Return what each teacher's responses took, each counted once, whichever run paid: samples, tokens and USD, by name.

    `priced` says of how many of them a price is known.
    """
    workspace.execute(
        "CREATE OR REPLACE TABLE drawn AS SELECT sample_id, min(teacher) AS teacher FROM outcomes "
        f"WHERE {RESPONDED} GROUP BY sample_id"
    )
    # A sample may stand twice in lakes that were merged by hand.
    workspace.execute(
        """
        CREATE OR REPLACE TABLE billed AS
        SELECT drawn.sample_id, any_value(drawn.teacher) AS teacher, min(tokens_in) AS tokens_in, min(tokens_out) AS tokens_out,
            min(tokens_reasoning) AS tokens_reasoning, min(cost_usd) AS cost_usd
        FROM drawn JOIN responses USING (sample_id) GROUP BY drawn.sample_id
        """
    )
    rows = workspace.table(
        """
        SELECT teacher, count(*) AS samples, sum(tokens_in)::BIGINT AS tokens_in, sum(tokens_out)::BIGINT AS tokens_out,
            sum(tokens_reasoning)::BIGINT AS tokens_reasoning, round(sum(cost_usd), 9) AS cost_usd, count(cost_usd) AS priced
        FROM billed GROUP BY teacher ORDER BY teacher
        """
    ).to_pylist()
    return {row.pop("teacher"): row for row in rows}


def terms(workspace: Workspace) -> list[dict[str, Any]]:
    """Return the traces by the terms that bind them and who answers for these, most first; none where nothing does."""
    rows: list[dict[str, Any]] = workspace.table(
        "SELECT terms, acknowledgement, train_use, count(*) AS traces FROM traces "
        "WHERE terms IS NOT NULL OR acknowledgement IS NOT NULL GROUP BY ALL "
        "ORDER BY traces DESC, terms, acknowledgement, train_use"
    ).to_pylist()
    return rows
