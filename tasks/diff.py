"""Diff: what became of the prompts, slots and traces of one build in another one of the same dataset.

Both snapshots are joined by their ids, out of core; of a reason only its kind is joined, and the whole text is read for the few
examples that are shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from storage.lake import Lake, Manifest
from storage.schemas import SNAPSHOTS
from storage.sql import literal, parquet_in
from storage.workspace import JOIN_BYTES, Workspace

SLOT = "prompt_id, teacher, strategy, sample_index"
"""What a slot is known by."""
EXAMPLES = 3
"""Slots that are shown of each kind of change."""
KIND = 80
"""Characters of a reason's kind."""
PARTS = ("text", "reference", "tests", "tags", "license", "source", "generation")
"""What of a prompt may differ."""
COLUMNS = ("license", "train_use", "terms", "acknowledgement", "generation", "split", "score", "pass_rate", "answer")
"""What of a trace may differ though its sample is the same."""
SHOWN = ("model", "messages", "response", "reasoning")
"""What two samples of a slot may be seen to differ in."""
_SAID = r"regexp_replace(reason, '^([45][0-9]{2}) Error code: [0-9]{3}( - )?', '\1 ')"
"""A reason, without what an SDK puts before a server's message: so it stands in lakes of before that was left out."""
KIND_OF = (
    f"left(regexp_extract({_SAID}, '^[45][0-9]{{2}} ') || regexp_replace(regexp_replace(regexp_extract("
    rf"regexp_replace({_SAID}, '^[45][0-9]{{2}} ', ''), '^(undecided: )?[^:]*'), ', item .*$', ''), "
    rf"'(^|[^-\w.])([0-9a-f]{{16,}}|[0-9][0-9.,]*)\b', '\1…', 'g'), {KIND})"
)
"""The kind of a reason, in SQL: what stands before the colon, without a benchmark's item, ids and numbers, but for a status."""
RESPONDED = "sample_id IS NOT NULL AND stage IS DISTINCT FROM 'license'"
"""Whether a slot has a response that anybody looked at: what was rejected for its licence may be stored from an earlier build."""
ACCEPTED = f"{RESPONDED} AND (stage IS NULL OR stage NOT IN ('draw', 'verify'))"
"""Whether the verifiers accepted it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One slot of a kind of change."""

    prompt_id: str
    """Its prompt."""
    teacher: str
    """Who was asked."""
    strategy: str | None
    """By which strategy, where there are several."""
    sample_index: int
    """Which of the prompt's."""
    before: str | None
    """The whole reason then; None where it was kept, or wasn't there."""
    after: str | None
    """Likewise, now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Slots that went the same way, for the same kind of reason."""

    change: str
    """added or dropped, as a trace; changed: still a trace, of another sample; moved: a trace in neither."""
    before: str
    """kept, `rejected at STAGE: KIND`, `failed at STAGE: KIND`, `not asked for`, or `prompt not there`."""
    after: str
    """Likewise."""
    slots: int
    """How many."""
    examples: list[Example]
    """The first of them by prompt, teacher and index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What became of the slots of a source, a teacher or a strategy, in one build."""

    slots: int
    """That were asked for."""
    responses: int
    """That have one."""
    accepted: int
    """Responses that the verifiers accepted."""
    kept: int
    """Traces."""

    @property
    def pass_rate(self) -> float | None:
        """Share of the responses that were accepted; None where there are none."""
        return self.accepted / self.responses if self.responses else None


Pair = tuple[Rate | None, Rate | None]
"""Then and now; None where it had no slots."""


def load(workspace: Workspace, lake: Lake, before: Manifest, after: Manifest) -> None:
    """Make the tables that all below compares: `was_…` and `now_…`, of prompts, slots and traces."""
    workspace.make_room(before["requested"] + after["requested"], each=JOIN_BYTES)
    for side, build in (("was", before), ("now", after)):
        folders = {table: lake.snapshot(table, build["dataset"], build["build_id"]) for table in SNAPSHOTS}
        prompts, traces = parquet_in(folders["prompts"]), parquet_in(folders["traces"])
        given = parquet_in(folders["traces"], later="acknowledgement")
        # Joined by, so that nothing stands for null.
        columns = "* REPLACE (coalesce(strategy, '') AS strategy)"
        outcomes = f"(SELECT {columns} FROM {parquet_in(folders['outcomes'], later='strategy')})"
        workspace.execute(
            f"""
            CREATE TABLE {side}_prompts AS
            SELECT prompt_id, md5_number_lower(messages::VARCHAR) AS text, md5_number_lower(reference) AS reference,
                md5_number_lower(tests) AS tests, md5_number_lower(tags::VARCHAR) AS tags, license, source, generation
            FROM {prompts}
            """
        )
        workspace.execute(
            f"CREATE TABLE {side}_slots AS SELECT prompt_id, teacher, strategy, sample_index, sample_id, outcome, stage, "
            f"{KIND_OF} AS kind FROM {outcomes}"
        )
        workspace.execute(
            f"""
            CREATE TABLE {side}_traces AS
            SELECT prompt_id, teacher, coalesce(strategy, '') AS strategy, sample_id, license, train_use,
                terms, acknowledgement, generation, split, score, pass_rate,
                md5_number_lower(answer) AS answer
            FROM {given}
            """
        )
        workspace.execute(f"CREATE VIEW {side}_outcomes AS FROM {outcomes}")
        workspace.execute(
            f"CREATE VIEW {side}_texts AS SELECT {', '.join(SHOWN)}, "
            f"prompt_id, teacher, coalesce(strategy, '') AS strategy, sample_id FROM {traces}"
        )


def prompts(workspace: Workspace) -> dict[str, Any]:
    """Return how many prompts were added, dropped, changed and stayed, by part what changed, and some ids of each."""
    differs = {part: f"was.{part} IS DISTINCT FROM now.{part}" for part in PARTS}
    workspace.execute(
        f"""
        CREATE TABLE told_prompts AS
        SELECT coalesce(was.prompt_id, now.prompt_id) AS prompt_id,
            CASE WHEN was.prompt_id IS NULL THEN 'added' WHEN now.prompt_id IS NULL THEN 'dropped'
                WHEN {" OR ".join(differs.values())} THEN 'changed' ELSE 'same' END AS change,
            {", ".join(f"{sql} AS {part}" for part, sql in differs.items())}
        FROM was_prompts AS was FULL JOIN now_prompts AS now USING (prompt_id)
        """
    )
    counted = workspace.rows(
        f"SELECT change, count(*), min(prompt_id, {EXAMPLES}) FROM told_prompts GROUP BY change ORDER BY change"
    )
    numbers = {change: number for change, number, _ in counted}
    parts = ", ".join(f"count(*) FILTER ({part})" for part in PARTS)
    (changed,) = workspace.rows(f"SELECT {parts} FROM told_prompts WHERE change = 'changed'")
    return {change: numbers.get(change, 0) for change in ("added", "dropped", "changed", "same")} | {
        "changed_by": {part: number for part, number in zip(PARTS, changed, strict=True) if number},
        "examples": {change: ids for change, _, ids in counted if change != "same"},
    }


def moves(workspace: Workspace) -> list[Move]:
    """Return what became of the slots that ended otherwise than before, the largest part of each change first."""
    workspace.execute(
        f"""
        CREATE TABLE moved AS
        SELECT {SLOT}, was.outcome AS was, was.stage AS was_stage, was.kind AS was_kind,
            now.outcome AS now, now.stage AS now_stage, now.kind AS now_kind
        FROM was_slots AS was FULL JOIN now_slots AS now USING ({SLOT})
        WHERE was.outcome IS DISTINCT FROM now.outcome OR was.stage IS DISTINCT FROM now.stage
            OR was.kind IS DISTINCT FROM now.kind OR (was.outcome = 'kept' AND was.sample_id IS DISTINCT FROM now.sample_id)
        """
    )
    for name in ("was", "now"):
        workspace.execute(
            f"UPDATE moved SET {name} = if(prompt_id IN (SELECT prompt_id FROM {name}_prompts), 'absent', 'gone') "
            f"WHERE {name} IS NULL"
        )
    rows = workspace.rows(
        f"""
        WITH grouped AS (
            SELECT was, was_stage, was_kind, now, now_stage, now_kind, count(*) AS slots,
                min({{{", ".join(f"'{name}': {name}" for name in SLOT.split(", "))}}}, {EXAMPLES}) AS examples
            FROM moved GROUP BY ALL
        )
        SELECT CASE WHEN was = 'kept' AND now = 'kept' THEN 'changed' WHEN was = 'kept' THEN 'dropped'
                WHEN now = 'kept' THEN 'added' ELSE 'moved' END AS change, *
        FROM grouped
        ORDER BY list_position(['added', 'dropped', 'changed', 'moved'], change), slots DESC, was, was_stage, was_kind, now,
            now_stage, now_kind
        """
    )
    said = _reasons(workspace, [example for row in rows for example in row[-1]])
    return [
        Move(
            change=change,
            before=_end(*before),
            after=_end(*after),
            slots=slots,
            examples=[
                Example(
                    **each | {"strategy": each["strategy"] or None},
                    before=said.get(("was", *each.values())),
                    after=said.get(("now", *each.values())),
                )
                for each in examples
            ],
        )
        for change, *ends, slots, examples in rows
        for before, after in [(ends[:3], ends[3:])]
    ]


def _end(outcome: str, stage: str | None, kind: str | None) -> str:
    words = {"kept": "kept", "absent": "not asked for", "gone": "prompt not there"}
    return words.get(outcome) or f"{outcome} at {stage}" + (f": {kind}" if kind else "")


def _reasons(workspace: Workspace, slots: list[Mapping[str, Any]]) -> dict[tuple[Any, ...], str]:
    """Return the whole reasons of some slots by side, prompt, teacher, strategy and index."""
    texts = ("prompt_id", "teacher", "strategy")
    values = ", ".join(f"({', '.join(literal(slot[name]) for name in texts)}, {slot['sample_index']})" for slot in slots)
    if not values:
        return {}
    wanted = f"(SELECT DISTINCT * FROM (VALUES {values}) AS wanted({SLOT}))"
    found = workspace.rows(
        " UNION ALL ".join(
            f"SELECT '{side}', {SLOT}, reason FROM {side}_outcomes SEMI JOIN {wanted} USING ({SLOT}) WHERE reason IS NOT NULL"
            for side in ("was", "now")
        )
    )
    return {tuple(row[:-1]): row[-1] for row in found}


def traces(workspace: Workspace) -> dict[str, Any]:
    """Return how many traces there were and are, and how many of those whose sample stayed differ, by column."""
    columns = ", ".join(f"count(*) FILTER (was.{column} IS DISTINCT FROM now.{column})" for column in COLUMNS)
    ((stayed, *differ),) = workspace.rows(
        f"SELECT count(*), {columns} FROM was_traces AS was JOIN now_traces AS now "
        "USING (prompt_id, teacher, strategy, sample_id)"
    )
    ((before, after),) = workspace.rows("SELECT (SELECT count(*) FROM was_traces), (SELECT count(*) FROM now_traces)")
    return {
        "before": before,
        "after": after,
        "stayed": stayed,
        "changed_by": {column: number for column, number in zip(COLUMNS, differ, strict=True) if number},
    }


def replaced(workspace: Workspace) -> dict[str, int]:
    """Return how many traces that are another sample of their slot now differ in what, and how many in nothing that they show."""
    workspace.execute(
        f"""
        CREATE TABLE replaced AS
        SELECT prompt_id, teacher, strategy, was.sample_id AS was_id, now.sample_id AS now_id
        FROM was_slots AS was JOIN now_slots AS now USING ({SLOT})
        WHERE was.outcome = 'kept' AND now.outcome = 'kept' AND was.sample_id IS DISTINCT FROM now.sample_id
        """
    )
    for side in ("was", "now"):
        digests = ", ".join(f"md5_number_lower({column}::VARCHAR) AS {column}" for column in SHOWN)
        workspace.execute(
            f"CREATE TABLE {side}_shown AS SELECT prompt_id, teacher, strategy, was_id, now_id, {digests} FROM {side}_texts "
            f"JOIN (SELECT DISTINCT * FROM replaced) USING (prompt_id, teacher, strategy) WHERE sample_id = {side}_id"
        )
    differ = {column: f"was.{column} IS DISTINCT FROM now.{column}" for column in SHOWN}
    counts = ", ".join(f"count(*) FILTER ({sql})" for sql in [*differ.values(), f"NOT ({' OR '.join(differ.values())})"])
    (found,) = workspace.rows(
        f"SELECT {counts} FROM replaced JOIN was_shown AS was USING (prompt_id, teacher, strategy, was_id, now_id) "
        "JOIN now_shown AS now USING (prompt_id, teacher, strategy, was_id, now_id)"
    )
    return {name: number for name, number in zip([*SHOWN, "address alone"], found, strict=True) if number}


def licenses(workspace: Workspace) -> dict[str, tuple[int, int]]:
    """Return how many traces had and have each licence."""
    return _having(workspace, "license")


def acknowledgements(workspace: Workspace) -> dict[str, tuple[int, int]]:
    """Return how many traces had and have each acknowledgement: of which terms, why, by whom and by which agreement."""
    return _having(workspace, "acknowledgement")


def _having(workspace: Workspace, column: str) -> dict[str, tuple[int, int]]:
    rows = workspace.rows(
        f"SELECT {column}, sum(was)::BIGINT, sum(now)::BIGINT FROM (SELECT {column}, 1 AS was, 0 AS now FROM was_traces "
        f"UNION ALL SELECT {column}, 0, 1 FROM now_traces) WHERE {column} IS NOT NULL GROUP BY {column} ORDER BY {column}"
    )
    return {value: (was, now) for value, was, now in rows}


def rates(workspace: Workspace, by: str) -> dict[str, Pair]:
    """Return what became of the slots by `source`, `teacher` or `strategy`, then and now."""
    found: dict[str, list[Rate | None]] = {}
    for place, side in enumerate(("was", "now")):
        rows = workspace.rows(
            f"""
            SELECT {by}, count(*), count(*) FILTER ({RESPONDED}), count(*) FILTER ({ACCEPTED}),
                count(*) FILTER (outcome = 'kept')
            FROM {side}_slots {f"JOIN {side}_prompts USING (prompt_id)" if by == "source" else ""} GROUP BY {by}
            """
        )
        for name, slots, responses, accepted, kept in rows:
            rate = Rate(slots=slots, responses=responses, accepted=accepted, kept=kept)
            found.setdefault(name, [None, None])[place] = rate
    return {name: (was, now) for name, (was, now) in sorted(found.items()) if name}
