"""Scores: which of a sample's stored scores counts, and reading their distributions out of core.

A sample may have several by one scorer: of another version of its model, or with more alternatives. Whoever reads wants one each,
and the same one every time.
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from storage.identity import showing
from storage.sql import literal
from storage.workspace import Workspace

READ_ROWS = 100
"""Scores in a batch: one of a thousand tokens with twenty alternatives takes some 200 kB."""
EMPTY = "its response is empty"
NONE = "none"
"""In place of how reasoning is shown, where a sample has none: its score counts, however others' is."""


def unscorable(workspace: Workspace, among: str) -> None:
    """Make the table `unscorable` of the samples in a table that no scorer can be asked about: sample_id and reason."""
    workspace.execute(
        f"""
        CREATE OR REPLACE TABLE unscorable AS
        SELECT DISTINCT sample_id, {literal(EMPTY)} AS reason
        FROM {workspace.holding(among)} AS samples SEMI JOIN {among} AS among USING (sample_id)
        WHERE trim(response, {literal(string.whitespace)}) = ''
        """
    )


def reasoned(workspace: Workspace, among: str) -> int:
    """Return how many samples in a table have reasoning apart from their response."""
    thought = f"FROM {workspace.holding(among)} AS samples SEMI JOIN {among} AS among USING (sample_id) WHERE reasoning <> ''"
    return int(workspace.rows(f"SELECT count(DISTINCT sample_id) {thought}")[0][0])


def together(shown: Mapping[str, str | None]) -> list[tuple[str, ...]]:
    """Return which fingerprints go together: a scorer's of reasoning in one form, and its own of samples that have none.

    `shown` says how reasoning is under each, as `Score.reasoning` does.
    """
    bare = [each for each, how in shown.items() if how == NONE]
    beside = {showing(each, how): each for each in bare for how in shown.values() if how is not None and how != NONE}
    pairs = [(each, beside[each]) if each in beside else (each,) for each, how in shown.items() if how != NONE]
    paired = {each for pair in pairs for each in pair}
    return [*pairs, *((each,) for each in bare if each not in paired)]


def choose(workspace: Workspace, scorer: str, among: str, *, fingerprints: Sequence[str] | None = None) -> int:
    """Make the table `scored` of those samples that the scorer has a score of, and return how many there are.

    `scorer` is its name, or its model as the spec has it. `among` is a table with a `sample_id` whose samples are looked for. Of
    several scores of a sample the newest counts. With `fingerprints`, whatever the name, only scores that have one of them.
    """
    named = f"(scorer = {literal(scorer)} OR model = {literal(scorer)})"
    if fingerprints is not None:
        named = f"fingerprint IN ({', '.join(map(literal, fingerprints)) or 'NULL'})"
    # Ids alone: the distributions are read once it is known which.
    workspace.execute(
        f"""
        CREATE OR REPLACE TABLE scored AS
        SELECT sample_id, newest.created_at AS created_at, newest.fingerprint AS fingerprint
        FROM (
            SELECT sample_id, max({{'created_at': created_at, 'fingerprint': fingerprint}}) AS newest
            FROM scores SEMI JOIN {among} AS among USING (sample_id) WHERE reason IS NULL AND {named} GROUP BY sample_id
        )
        """
    )
    return int(workspace.rows("SELECT count(*) FROM scored")[0][0])


def narrow(workspace: Workspace, scores: int) -> None:
    """Keep so many of the samples in `scored`. Ids are hashes, so the first in their order are as good as any at random."""
    workspace.execute(f"CREATE OR REPLACE TABLE scored AS FROM scored ORDER BY sample_id LIMIT {scores}")


def query(workspace: Workspace) -> str:
    """Return a query for the scores that `choose` chose: sample_id, fingerprint and logprobs, one row a sample."""
    return (
        f"SELECT sample_id, fingerprint, logprobs FROM {workspace.holding('scored', store='scores')} AS scores "
        "SEMI JOIN scored USING (sample_id, fingerprint, created_at) WHERE reason IS NULL"
    )


def read(workspace: Workspace, *, rows: int = READ_ROWS) -> Iterator[pa.RecordBatch]:
    """Yield what `query` gives, in no order, so many at a time."""
    return workspace.stream(query(workspace), rows=rows)


def losses(workspace: Workspace) -> None:
    """Make the table `losses` of the scores that `choose` chose: sample_id, and the mean nats of a token.

    That is the scorer's cross-entropy on the answer and the end of its turn, by its own tokens.
    """
    workspace.execute(
        "CREATE OR REPLACE TABLE losses AS SELECT sample_id, -list_avg(logprobs.logprobs)::DOUBLE AS nats "
        f"FROM ({query(workspace)})"
    )
