"""Best strategy: of each prompt the samples of that strategy alone which passes most often with prompts like it.

So a student sees for each kind of task the way that works (Orca 2: Mitra et al. 2023, arXiv:2311.11045). Pass rates are counted
over the whole dataset, by ids and numbers alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from storage.workspace import Workspace
from tasks.labels import label_sql

BEST_FIRST = "accepted / responses DESC, responses DESC, place"
"""By pass rate, then by how many responses it is of, then in the spec's order."""


def keep_best_strategy(workspace: Workspace, labels: Sequence[str]) -> None:
    """Reject the `candidates` still in that are of another strategy than the best one for their prompt.

    Prompts are alike where all `labels` are. Only strategies count that the prompt has an accepted sample of: where the best one
    of its kind never solved it, the samples of the next one stay.
    """
    workspace.execute(f"CREATE TABLE kinds AS SELECT ord, {_kind(labels)} AS kind FROM prompts")
    # The plain template is one strategy more.
    workspace.execute(
        """
        CREATE TABLE strategies AS
        SELECT arm, strategy, min(arm) OVER (PARTITION BY strategy) AS place FROM arms
        """
    )
    workspace.execute(
        f"""
        CREATE TABLE rates AS
        WITH counted AS (
            SELECT kind, place, any_value(strategy) AS strategy, count(*) AS responses,
                count(*) FILTER (stage IS NULL OR stage NOT IN ('draw', 'verify')) AS accepted
            FROM candidates ANTI JOIN barred USING (ord) JOIN kinds USING (ord) JOIN strategies USING (arm)
            WHERE sample_id IS NOT NULL GROUP BY kind, place
        )
        SELECT *, row_number() OVER (PARTITION BY kind ORDER BY {BEST_FIRST}) AS rank FROM counted
        """
    )
    workspace.execute(
        """
        CREATE TABLE best AS
        SELECT ord, kind, min(rank) AS rank
        FROM candidates JOIN kinds USING (ord) JOIN strategies USING (arm) JOIN rates USING (kind, place)
        WHERE stage IS NULL GROUP BY ord, kind
        """
    )
    # A text for each pair of strategies of a kind, since one for each candidate would not fit into memory.
    workspace.execute(
        """
        CREATE TABLE beaten AS
        SELECT won.kind, won.rank, strategies.arm,
            'best_strategy: ' || coalesce(won.strategy, 'the plain template') || ' passes '
            || if(won.accepted / won.responses > lost.accepted / lost.responses, 'more often', 'as often, and comes first,')
            || ' with such prompts: ' || won.accepted || ' of ' || won.responses
            || ', against ' || lost.accepted || ' of ' || lost.responses AS reason
        FROM rates AS won JOIN rates AS lost ON lost.kind = won.kind AND lost.rank > won.rank
        JOIN strategies ON strategies.place = lost.place
        """
    )
    workspace.execute(
        """
        UPDATE candidates SET stage = 'select', reason = beaten.reason
        FROM best JOIN beaten USING (kind, rank)
        WHERE stage IS NULL AND candidates.ord = best.ord AND candidates.arm = beaten.arm
        """
    )
    for table in ("kinds", "strategies", "rates", "best", "beaten"):
        workspace.execute(f"DROP TABLE {table}")


def _kind(labels: Sequence[str]) -> str:
    """Return the expression that gives a prompt's kind: a number, since tags may be long texts."""
    told = [f"coalesce(length({label}) || ':' || {label}, '-')" for label in map(label_sql, labels)]
    return f"md5_number({' || '.join(told)})" if told else "0::UHUGEINT"
