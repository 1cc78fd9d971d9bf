"""Outcomes: every slot that was asked for ends as exactly one of kept, rejected and failed.

The table `candidates` has a row for each. A step that rejects one sets its `stage` and `reason`; what has no stage at the end is
kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from storage.sql import literal
from storage.workspace import Workspace
from tasks import shard
from tasks.verify import Named, Rule

NOT_JUDGED = "not judged: a judge's teacher could not be asked; a rerun judges it"


def open_slots(workspace: Workspace, rule: Rule, verifiers: Sequence[Named]) -> None:
    """Make `open_slots`: the slots, whether each one's sample is here, and whether its verdicts are good already."""
    workspace.execute(
        f"""
        CREATE OR REPLACE TABLE open_slots AS
        SELECT ord, teacher, sample_index, key, chars,
            stored AS here, NOT stored AND count(*) OVER (PARTITION BY sample_id) > 1 AS shared,
            stored AND coalesce(accepted, {"FALSE" if verifiers else "TRUE"}) AS accepted
        FROM slots LEFT JOIN ({_judged(rule, verifiers)}) USING (ord, teacher, sample_index)
        ORDER BY ord, teacher, sample_index
        """
    )


def shards_to_work(workspace: Workspace, *, adaptive: bool) -> list[int]:
    """Return the numbers of the shards in which something may have to be bought."""
    lacking = "" if adaptive else "WHERE NOT here"  # where k is adaptive, the rounds decide what is asked for at all
    rows = workspace.rows(f"SELECT DISTINCT ord // {shard.PROMPTS} AS shard FROM open_slots {lacking} ORDER BY shard")
    return [number for (number,) in rows]


def judge_slots(workspace: Workspace, rule: Rule, verifiers: Sequence[Named], *, worked: Sequence[int], asked: Path) -> None:
    """Make `candidates`: the worked shards' rows in `asked`, and all slots of the others. `texts` must be there."""
    workspace.execute("CREATE TABLE worked (shard BIGINT)")
    if worked:
        workspace.execute(f"INSERT INTO worked SELECT unnest({list(worked)})")
    accepted = f"coalesce(accepted, {'FALSE' if verifiers else 'TRUE'})"
    workspace.execute(
        f"""
        CREATE TABLE candidates AS
        WITH asked AS (
            SELECT ord, teacher, sample_index, bought, error FROM read_parquet({literal(asked)})
            UNION ALL
            SELECT ord, teacher, sample_index, FALSE, NULL FROM open_slots
            WHERE ord // {shard.PROMPTS} NOT IN (FROM worked)
        )
        SELECT asked.* EXCLUDE (error), prompt_id, prompt_digest, texts.sample_id, digest, length, score,
            CASE WHEN texts.sample_id IS NULL THEN 'draw' WHEN NOT {accepted} THEN 'verify' END AS stage,
            CASE WHEN texts.sample_id IS NULL THEN coalesce(error, 'no response')
                WHEN NOT {accepted} THEN coalesce(judged.reason, {literal(NOT_JUDGED)}) END AS reason
        FROM asked
        JOIN slots USING (ord, teacher, sample_index)
        JOIN prompt_ids USING (ord)
        LEFT JOIN texts ON texts.sample_id = slots.sample_id
        LEFT JOIN ({_judged(rule, verifiers)}) AS judged USING (ord, teacher, sample_index)
        """
    )


def _judged(rule: Rule, verifiers: Sequence[Named]) -> str:
    """Return a query for each judged slot's acceptance, mean score and reason, by the spec's own verifiers alone."""
    if not verifiers:
        return (
            "SELECT ord, teacher, sample_index, TRUE AS accepted, NULL::DOUBLE AS score, NULL::TEXT AS reason "
            "FROM slots WHERE FALSE"
        )
    listed = ", ".join(f"({number}, {literal(named.fingerprint)})" for number, named in enumerate(verifiers))
    # A verdict may stand twice, where a run was killed between reaching it and noting that.
    once = f"""
        SELECT sample_id, inputs, fingerprint, any_value(verifier) AS verifier, bool_and(passed) AS passed, min(score) AS score,
            min(reason) AS reason
        FROM verdicts WHERE fingerprint IN ({", ".join(literal(named.fingerprint) for named in verifiers)})
        GROUP BY sample_id, inputs, fingerprint
        """
    said = "verifier || ': ' || CASE WHEN verdicts.reason = '' THEN 'failed' ELSE verdicts.reason END"
    return f"""
        SELECT ord, teacher, sample_index, {rule.sql("verdicts.fingerprint", "passed")} AS accepted, avg(verdicts.score) AS score,
            coalesce(
                string_agg({said}, '; ' ORDER BY number, verdicts.reason) FILTER (passed = FALSE),
                'undecided: ' || string_agg({said}, '; ' ORDER BY number, verdicts.reason) FILTER (passed IS NULL)
            ) AS reason
        FROM slots
        JOIN prompt_ids USING (ord)
        JOIN ({once}) AS verdicts ON verdicts.sample_id = slots.sample_id AND verdicts.inputs = prompt_ids.inputs
        JOIN (VALUES {listed}) AS listed(number, fingerprint) ON listed.fingerprint = verdicts.fingerprint
        GROUP BY ord, teacher, sample_index
        """


def counts(workspace: Workspace) -> dict[str, int | dict[str, int]]:
    """Return requested, reused, kept, rejected by stage, and failed. They add up, or this raises: it would be a defect."""
    kept = failed = requested = 0
    rejected: dict[str, int] = {}
    for stage, number in workspace.rows("SELECT stage, count(*) FROM candidates GROUP BY stage ORDER BY stage"):
        requested += number
        if stage is None:
            kept += number
        elif stage == "draw":
            failed += number
        else:
            rejected[stage] = number
    slots = workspace.rows("SELECT count(*) FROM (SELECT DISTINCT ord, teacher, sample_index FROM candidates)")[0][0]
    if slots != requested:
        raise AssertionError(f"{requested} outcomes for {slots} slots")
    reused = workspace.rows("SELECT count(*) FROM candidates WHERE NOT bought AND stage IS DISTINCT FROM 'draw'")[0][0]
    return {"requested": requested, "reused": reused, "kept": kept, "rejected": rejected, "failed": failed}
