"""Measures of a landed-to-be build: how diverse its traces are, and how much style tells of acceptance.

What needs texts is taken of a sample, the traces and the responses whose ids' hashes are least: so it changes little as a dataset
grows. Lengths count over the whole dataset. Nothing here decides an outcome.
"""

from __future__ import annotations

from typing import Any

from storage.workspace import Workspace
from tasks.duplicates.embedding import Embedder
from tasks.measures import style
from tasks.measures.diversity import CHARS, SAMPLE, diversity
from tasks.measures.style import Length, Style

STYLED = 4_096
"""Responses of which style is measured at most."""


def measure(workspace: Workspace, embedder: Embedder | None = None) -> dict[str, Any]:
    """Return `diversity` and `style` of what `candidates` and `kept` hold, for the build's manifest."""
    _choose(workspace)
    counting = Style()
    texts: dict[int, tuple[str, int]] = {}
    wanted = (
        batch
        for parts in workspace.portions()
        for batch in workspace.stream(
            f"""
            SELECT turn, accepted, trace, left(response, {max(CHARS, style.HEAD)}) AS head,
                right(response, {style.TAIL}) AS tail, length(response) AS length, styled
            FROM chosen JOIN {parts} AS samples USING (sample_id)
            """
        )
    )
    seen: set[tuple[int, bool]] = set()
    for batch in wanted:
        for row in batch.to_pylist():
            place = (row["turn"], row["styled"])
            if place in seen:  # lakes may be merged by hand
                continue
            seen.add(place)
            if row["styled"]:
                counting.add(row["head"], row["tail"], accepted=row["accepted"], trace=row["trace"])
            else:
                texts[row["turn"]] = (row["head"][:CHARS], row["length"])
    ordered = [texts[turn] for turn in sorted(texts)]
    ((traces,),) = workspace.rows("SELECT count(*) FROM kept")
    workspace.execute("DROP TABLE chosen")
    return {
        "diversity": {"traces": traces} | diversity([text for text, _ in ordered], [each for _, each in ordered], embedder),
        "style": _style(workspace, counting),
    }


def _choose(workspace: Workspace) -> None:
    """Make `chosen`: the traces for diversity in the order of their ids' hashes (`turn`), and the responses for style."""
    judged = "sample_id IS NOT NULL AND stage IS DISTINCT FROM 'draw'"
    workspace.execute(
        f"""
        CREATE OR REPLACE TABLE chosen AS
        SELECT row_number() OVER (ORDER BY md5(sample_id), rank) AS turn, sample_id, TRUE AS accepted, TRUE AS trace,
            FALSE AS styled
        FROM (SELECT sample_id, rank FROM kept ORDER BY md5(sample_id), rank LIMIT {SAMPLE})
        """
    )
    workspace.execute(
        f"""
        INSERT INTO chosen
        SELECT row_number() OVER (ORDER BY md5(sample_id), ord, arm, sample_index) AS turn, sample_id,
            stage IS DISTINCT FROM 'verify' AS accepted, stage IS NULL AS trace, TRUE AS styled
        FROM (
            SELECT sample_id, stage, ord, arm, sample_index FROM candidates ANTI JOIN barred USING (ord) WHERE {judged}
            ORDER BY md5(sample_id), ord, arm, sample_index LIMIT {STYLED}
        )
        """
    )


def _style(workspace: Workspace, counting: Style) -> dict[str, Any]:
    rows = workspace.rows(
        """
        SELECT length, count(*) FILTER (stage IS DISTINCT FROM 'verify'), count(*) FILTER (stage = 'verify')
        FROM candidates ANTI JOIN barred USING (ord)
        WHERE sample_id IS NOT NULL AND stage IS DISTINCT FROM 'draw' AND length IS NOT NULL
        GROUP BY length ORDER BY length
        """
    )
    lengths = [Length(length=length, accepted=accepted, refused=refused) for length, accepted, refused in rows]
    guessed = style.guess(lengths)
    return counting.as_dict() | {
        "responses": sum(each.accepted + each.refused for each in lengths),
        "by_length": style.quantiles(lengths),
        "length_alone": guessed.as_dict() if guessed else None,
    }
