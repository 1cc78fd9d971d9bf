"""Outcomes: every slot that was asked for ends as exactly one of kept, rejected and failed.

The table `candidates` has a row for each. A step that rejects one sets its `stage` and `reason`; what has no stage at the end is
kept. What dedup drops says for which slot (`kept_…`); `returned` is what came back all the same (`tasks.second_chance`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from storage.sql import literal
from storage.workspace import Workspace
from tasks import barred, orders
from tasks.license import freest_first
from tasks.stretches import stretches
from tasks.verify import Named, Rule

NOT_JUDGED = "not judged: a judge could not be asked; a rerun judges it"
FAILED = "coalesce(stage = 'draw' AND sample_id IS NULL, FALSE)"
"""Whether a candidate was asked for and no response came; nothing was asked of a barred prompt."""
NO_DOUBLE = "NULL::BIGINT AS kept_ord, NULL::SMALLINT AS kept_arm, NULL::INTEGER AS kept_index, 0::SMALLINT AS rights"
"""Columns of `candidates`: the slot for whose sake one was dropped by dedup; null where another dataset has that sample. And
`rights`, the place of its prompt's licence (`tasks.license.freest_first`)."""
_REQUEST = "ord * 32768 + arm"
"""A number for a prompt and an arm, in the order of both."""
ADDRESSED = (
    "(SELECT ord, arm, sample_index, sample_id, inputs FROM slots "
    "UNION ALL SELECT ord, arm, sample_index, sample_id, inputs FROM together)"
)
"""Each slot with what verdicts on its sample are kept by; `together` must be there."""


def open_slots(workspace: Workspace, rule: Rule, verifiers: Sequence[Named]) -> None:
    """Make `open_slots`: the slots, whether each one's sample is here, and whether its verdicts are good already.

    `shared` is how many ask for a sample that isn't here, where more than one does, and `first` says which is the first of them.
    `failed` is why none came in the dataset's last build. `unwanted` and `lapsed` must be there.
    """
    _judge(workspace, rule, verifiers)
    # Two slots ask for the same sample where their requests are the same, and a request's slots are k in number: so its address
    # is looked at once, not each slot's.
    workspace.execute(
        f"CREATE OR REPLACE TABLE repeated AS SELECT key, min({_REQUEST}) AS first, count(*) AS times FROM slots "
        "WHERE sample_index = 0 GROUP BY key HAVING times > 1"
    )
    workspace.execute(
        "CREATE OR REPLACE TABLE open_slots (ord BIGINT, arm SMALLINT, sample_index INTEGER, key VARCHAR, here BOOLEAN, "
        "shared BIGINT, first BOOLEAN, accepted BOOLEAN, failed VARCHAR)"
    )
    for within in stretches(workspace):
        workspace.execute(
            f"""
            INSERT INTO open_slots
            SELECT ord, arm, sample_index, key, stored AS here, if(stored, 0, coalesce(times, 0)) AS shared,
                coalesce(repeated.first = {_REQUEST}, TRUE) AS first,
                stored AND unwanted.why IS NULL AND coalesce(accepted, {"FALSE" if verifiers else "TRUE"}) AS accepted,
                lapsed.why AS failed
            FROM (FROM slots WHERE {within}) LEFT JOIN repeated USING (key)
            LEFT JOIN (FROM lapsed WHERE {within}) AS lapsed USING (ord, arm, sample_index)
            LEFT JOIN (FROM judged WHERE {within}) USING (ord, arm, sample_index)
            LEFT JOIN (FROM unwanted WHERE {within}) AS unwanted USING (ord, arm, sample_index)
            ORDER BY ord, arm, sample_index
            """
        )
    workspace.execute("DROP TABLE repeated")


def shards_to_work(workspace: Workspace, *, early: bool) -> list[int]:
    """Return the numbers of the shards in which something may have to be bought. `early`: as in `SamplingOptions`."""
    lacking = "" if early else "WHERE NOT here"  # where verdicts decide what is asked for, only working a shard tells
    rows = workspace.rows(f"SELECT DISTINCT ord // {orders.PROMPTS} AS shard FROM open_slots {lacking} ORDER BY shard")
    return [number for (number,) in rows]


def missing_in(workspace: Workspace, shards: Sequence[int]) -> int:
    """Return how many slots of some shards have no sample here."""
    there = f"ord // {orders.PROMPTS} IN (SELECT unnest({list(shards)}::BIGINT[]))"
    return int(workspace.rows(f"SELECT count(*) FROM open_slots WHERE NOT here AND {there}")[0][0])


def arms_here(workspace: Workspace) -> list[int]:
    """Return the arms of which a sample is stored."""
    return [arm for (arm,) in workspace.rows("SELECT DISTINCT arm FROM open_slots WHERE here")]


def judge_slots(workspace: Workspace, rule: Rule, verifiers: Sequence[Named], *, worked: Mapping[int, int], asked: Path) -> None:
    """Make `candidates`: the worked shards' rows in `asked`, all slots of the others, and those of barred prompts.

    `worked`: as `Shards.worked`. Where `asked` hasn't as many rows of a shard, this raises: it would be a defect. `texts`,
    `unwanted` and `together` must be there.
    """
    _judge(workspace, rule, verifiers, addressed=ADDRESSED)
    workspace.execute("CREATE TABLE worked (shard BIGINT)")
    if worked:
        workspace.execute(f"INSERT INTO worked SELECT unnest({list(worked)})")
    there = f"SELECT ord // {orders.PROMPTS} AS shard, count(*) FROM read_parquet({literal(asked)}) GROUP BY shard"
    found = dict(workspace.rows(there))
    if found != {number: rows for number, rows in worked.items() if rows}:
        raise AssertionError(f"{sum(found.values())} slots were noted of the {sum(worked.values())} that were asked for")
    lacking = f"NOT here AND ord // {orders.PROMPTS} NOT IN (FROM worked)"
    ((left,),) = workspace.rows(f"SELECT count(*) FROM open_slots WHERE {lacking}")
    if left:
        raise AssertionError(f"{left} slots were never asked for")
    # One join at a time, of numbers as far as can be: each spills by itself, and several at once would need room at once.
    workspace.execute(
        f"""
        CREATE TABLE asked AS
        SELECT ord, arm, sample_index, bought, error FROM read_parquet({literal(asked)})
        UNION ALL
        SELECT ord, arm, sample_index, FALSE, NULL FROM open_slots WHERE ord // {orders.PROMPTS} NOT IN (FROM worked)
        """
    )
    workspace.execute(
        "CREATE TABLE wanted AS SELECT asked.*, sample_id, inputs FROM asked JOIN slots USING (ord, arm, sample_index)"
    )
    workspace.execute(
        "CREATE TABLE heard AS SELECT wanted.*, accepted, score, verifier "
        "FROM wanted LEFT JOIN judged USING (ord, arm, sample_index)"
    )
    workspace.execute(
        "CREATE TABLE read AS SELECT heard.* EXCLUDE (sample_id), texts.* FROM heard LEFT JOIN texts USING (sample_id)"
    )
    accepted = f"coalesce(accepted, {'FALSE' if verifiers else 'TRUE'})"
    workspace.execute(
        f"""
        CREATE TABLE candidates AS
        SELECT ord, arm, sample_index, bought, sample_id, inputs, digest, length,
            CASE WHEN why IS NULL THEN score END AS score, verifier,
            CASE WHEN sample_id IS NULL OR why IS NOT NULL THEN 'draw' WHEN NOT {accepted} THEN 'verify' END AS stage,
            CASE WHEN sample_id IS NULL THEN coalesce(error, 'no response') ELSE why END AS reason,
            {NO_DOUBLE}, FALSE AS returned
        FROM read LEFT JOIN unwanted USING (ord, arm, sample_index)
        """
    )
    for table in ("asked", "wanted", "heard", "read"):
        workspace.execute(f"DROP TABLE {table}")
    barred.reject(workspace)
    freest_first(workspace)


def reasons(workspace: Workspace, verifiers: Sequence[Named]) -> None:
    """Make `reasons`: what the first verifier that failed a slot's sample, or could not decide, said of it."""
    said = "verifiers.name || ': ' || CASE WHEN verdicts.reason = '' THEN 'failed' ELSE verdicts.reason END"
    workspace.execute(
        f"""
        CREATE TABLE reasons AS
        SELECT ord, arm, sample_index, CASE WHEN passed IS NULL THEN 'undecided: ' ELSE '' END || {said} AS reason,
            CASE WHEN NOT passed THEN verifiers.name END AS refuted_by
        FROM verdicts
        JOIN {listed(verifiers)} USING (fingerprint)
        JOIN (
            SELECT addressed.*, verifier
            FROM candidates JOIN {ADDRESSED} AS addressed USING (ord, arm, sample_index) WHERE stage = 'verify'
        ) AS rejected
            ON rejected.sample_id = verdicts.sample_id AND rejected.inputs = verdicts.inputs AND rejected.verifier = number
        WHERE passed IS DISTINCT FROM TRUE
        QUALIFY row_number() OVER (PARTITION BY ord, arm, sample_index ORDER BY passed, verdicts.reason) = 1
        """
    )


def listed(verifiers: Sequence[Named]) -> str:
    """Return verifiers as a table of number, fingerprint and name, in SQL."""
    rows = [f"({number}, {literal(named.fingerprint)}, {literal(named.name)})" for number, named in enumerate(verifiers)]
    values = ", ".join(rows or ["(-1, '', '')"])
    return f"(SELECT * FROM (VALUES {values}) AS verifiers(number, fingerprint, name)) AS verifiers"


def _judge(workspace: Workspace, rule: Rule, verifiers: Sequence[Named], *, addressed: str = "slots") -> None:
    """Make `judged`: each judged slot's acceptance, whether it has all verdicts, mean score, and who was against it first.

    That is the first verifier that failed it, else the first that could not decide.
    """
    workspace.execute(
        f"""
        CREATE OR REPLACE TABLE found AS
        SELECT ord, arm, sample_index, number, passed, score
        FROM verdicts JOIN {listed(verifiers)} USING (fingerprint) JOIN {addressed} AS slots USING (sample_id, inputs)
        """
    )
    # A verdict may stand twice, where a run was killed between reaching it and noting that.
    once = "SELECT ord, arm, sample_index, number, bool_and(passed) AS passed, min(score) AS score FROM found GROUP BY ALL"
    workspace.execute(
        f"""
        CREATE OR REPLACE TABLE judged AS
        SELECT ord, arm, sample_index, {rule.sql("fingerprint", "passed")} AS accepted, avg(score) AS score,
            count(*) = {len(verifiers)} AS complete,
            coalesce(min(number) FILTER (passed = FALSE), min(number) FILTER (passed IS NULL)) AS verifier
        FROM ({once}) JOIN {listed(verifiers)} USING (number)
        GROUP BY ord, arm, sample_index
        """
    )
    workspace.execute("DROP TABLE found")


class Counts(TypedDict):
    """What became of the slots that were asked for."""

    requested: int
    """kept + rejected + failed."""
    reused: int
    """Samples that the lake had."""
    kept: int
    """Traces."""
    rejected: dict[str, int]
    """By stage."""
    failed: int
    """Without a response."""


class Answered(TypedDict):
    """How many slots that somebody was asked for have responses."""

    responses: int
    """Those."""
    accepted: int
    """Of these, responses that were wanted and that the verifiers accepted."""


def counts(workspace: Workspace) -> Counts:
    """Return requested, reused, kept, rejected by stage, and failed. They add up, or this raises: it would be a defect."""
    kept = failed = requested = 0
    rejected: dict[str, int] = {}
    for stage, no_response, number in workspace.rows(
        f"SELECT stage, {FAILED} AS no_response, count(*) FROM candidates GROUP BY ALL ORDER BY ALL"
    ):
        requested += number
        if stage is None:
            kept += number
        elif no_response:
            failed += number
        else:
            rejected[stage] = rejected.get(stage, 0) + number
    distinct = "SELECT count(*) FROM (SELECT DISTINCT ord, arm, sample_index FROM candidates WHERE {})"
    slots = sum(workspace.rows(distinct.format(within))[0][0] for within in stretches(workspace))
    if slots != requested:
        raise AssertionError(f"{requested} outcomes for {slots} slots")
    reused = workspace.rows("SELECT count(*) FROM candidates WHERE NOT bought AND sample_id IS NOT NULL")[0][0]
    return {"requested": requested, "reused": reused, "kept": kept, "rejected": rejected, "failed": failed}


def answered(workspace: Workspace) -> Answered:
    """Return how many of the slots that somebody was asked for have responses, and of how many these were wanted and accepted."""
    refused = "coalesce(stage IN ('draw', 'verify'), FALSE)"
    ((responses, accepted),) = workspace.rows(
        f"SELECT count(*), count(*) FILTER (NOT {refused}) FROM candidates ANTI JOIN barred USING (ord) WHERE NOT {FAILED}"
    )
    return {"responses": responses, "accepted": accepted}
