"""Scores: which of a sample's stored scores counts, and reading their distributions out of core.

A sample may have several by one scorer: of another version of its model, or with more alternatives. Whoever reads wants one each,
and the same one every time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from storage.sql import literal
from storage.workspace import Workspace

READ_ROWS = 100
"""Scores in a batch: one of a thousand tokens with twenty alternatives takes some 200 kB."""


def choose(workspace: Workspace, scorer: str, among: str, *, fingerprints: Sequence[str] | None = None) -> int:
    """Make the table `scored` of those samples that the scorer has a score of, and return how many there are.

    `scorer` is its name, or its model as the spec has it. `among` is a table with a `sample_id` whose samples are looked for. Of
    several scores of a sample the newest counts. With `fingerprints`, only scores that have one of them: of this very model.
    """
    named = f"(scorer = {literal(scorer)} OR model = {literal(scorer)})"
    if fingerprints is not None:
        listed = ", ".join(map(literal, fingerprints)) or "NULL"
        named = f"fingerprint IN ({listed})"
    # Ids alone: the distributions are read once it is known which.
    workspace.execute(
        f"""
        CREATE OR REPLACE TABLE scored AS
        SELECT sample_id, max(newest.created_at) AS created_at, max(newest.fingerprint) AS fingerprint
        FROM (
            SELECT sample_id, max({{'created_at': created_at, 'fingerprint': fingerprint}}) AS newest
            FROM scores SEMI JOIN {among} USING (sample_id) WHERE {named} GROUP BY sample_id
        ) GROUP BY sample_id
        """
    )
    return int(workspace.rows("SELECT count(*) FROM scored")[0][0])


def query(workspace: Workspace) -> str:
    """Return a query for the scores that `choose` chose: sample_id, fingerprint and logprobs, one row a sample."""
    return (
        f"SELECT sample_id, fingerprint, logprobs FROM {workspace.holding('scored', store='scores')} AS scores "
        "SEMI JOIN scored USING (sample_id, fingerprint, created_at)"
    )


def read(workspace: Workspace, *, rows: int = READ_ROWS) -> Iterator[pa.RecordBatch]:
    """Yield what `query` gives, in no order, so many at a time."""
    return workspace.stream(query(workspace), rows=rows)


def nats(workspace: Workspace) -> None:
    """Make the table `losses` of the scores that `choose` chose: sample_id, and the mean nats of a response's token.

    That is the cross-entropy of the scorer on the response, by its tokens. A response without tokens has NULL.
    """
    workspace.execute(
        "CREATE OR REPLACE TABLE losses AS SELECT sample_id, -list_avg(logprobs.logprobs)::DOUBLE AS nats "
        f"FROM ({query(workspace)})"
    )
