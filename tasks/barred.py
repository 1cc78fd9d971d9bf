"""Barred: prompts of which nothing is bought, since nothing of theirs could be kept.

A prompt without a licence, or one that stands in a held-out benchmark, is known before the draw. Its slots leave `slots`, so that
nobody draws, judges or estimates them, and come back as `candidates` that the stage which barred them has rejected.
"""

from __future__ import annotations

from storage.sql import literal
from storage.workspace import Workspace


def start(workspace: Workspace) -> None:
    """Make the tables `barred` and `barred_slots`, in which nobody is yet."""
    workspace.execute("CREATE TABLE barred (ord BIGINT, stage VARCHAR, reason VARCHAR)")
    workspace.execute(
        "CREATE TABLE barred_slots (ord BIGINT, arm SMALLINT, sample_index INTEGER, sample_id VARCHAR, inputs VARCHAR)"
    )


def bar(workspace: Workspace, stage: str, query: str) -> int:
    """Bar the prompts that a query names by `ord` and `reason`, and return how many; call it once prompts are prepared.

    Who is barred already stays so, for the reason of then: the first stage that bars a prompt is its outcome's. Where the query
    names a prompt twice, the least reason counts.
    """
    workspace.execute(
        f"CREATE OR REPLACE TABLE barring AS SELECT ord, min(reason) AS reason FROM ({query}) "
        "SEMI JOIN prompt_ids USING (ord) ANTI JOIN barred USING (ord) GROUP BY ord ORDER BY ord"
    )
    ((prompts,),) = workspace.rows("SELECT count(*) FROM barring")
    if prompts:
        workspace.execute(f"INSERT INTO barred SELECT ord, {literal(stage)}, reason FROM barring")
        workspace.execute(
            "INSERT INTO barred_slots SELECT ord, arm, sample_index, sample_id, inputs FROM slots SEMI JOIN barring USING (ord)"
        )
        workspace.execute("DELETE FROM slots WHERE ord IN (SELECT ord FROM barring)")
    workspace.execute("DROP TABLE barring")
    return int(prompts)


def counts(workspace: Workspace) -> dict[str, int]:
    """Return how many prompts are barred, by stage."""
    return dict(workspace.rows("SELECT stage, count(*) FROM barred GROUP BY stage ORDER BY stage"))


def reject(workspace: Workspace) -> None:
    """Add the barred slots to `candidates`, each with its stage and reason, and with its sample where the lake has it."""
    ((slots,),) = workspace.rows("SELECT count(*) FROM barred_slots")
    if not slots:
        return
    # One join at a time, as each spills by itself. Earlier builds may have bought samples, and other prompts that ask alike.
    workspace.execute("CREATE TABLE held AS SELECT DISTINCT sample_id FROM samples SEMI JOIN barred_slots USING (sample_id)")
    workspace.execute(
        "CREATE TABLE set_aside AS SELECT barred_slots.* EXCLUDE (sample_id), held.sample_id "
        "FROM barred_slots LEFT JOIN held USING (sample_id)"
    )
    workspace.execute(
        "INSERT INTO candidates BY NAME "
        "SELECT ord, arm, sample_index, FALSE AS bought, sample_id, inputs, stage, reason "
        "FROM set_aside JOIN barred USING (ord)"
    )
    for table in ("held", "set_aside"):
        workspace.execute(f"DROP TABLE {table}")
