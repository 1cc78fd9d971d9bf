"""What a model's samples are like, by what is stored: of this dataset, of the same prompts, or of any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from storage.records import Message
from storage.wording import counted
from storage.workspace import Workspace
from tasks.teachers.options import BATCH, TeacherOptions
from tasks.teachers.protocol import OUT_UNKNOWN
from tasks.tokens import estimate_messages

LOOKED_AT = 1_000
"""Requests of other prompts that are read for what a model's tokens are like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """What a model's samples are like."""

    samples: int
    """Stored ones that this goes by."""
    billed: float
    """Prompt tokens billed for each that `tasks.tokens` reckons."""
    out: float
    """Completion tokens of a sample."""
    reasoning: float
    """Of a completion token, the part that is reasoning."""
    cached: float
    """Of a prompt token, the part that was read from a cache."""


def likeness(workspace: Workspace, number: int, teacher: TeacherOptions, most: int | None) -> tuple[Likeness | None, bool, str]:
    """Return what the model's samples are like, whether they answer these very prompts, and a text that says so."""
    own = _own(workspace, number)
    if own:
        return own, True, f"{counted(own.samples, 'stored sample')} of this dataset"
    same = _mean(
        workspace,
        f"""
        WITH asked AS (
            SELECT prompt_id, chars, tokens FROM slots JOIN prompt_ids USING (ord) WHERE arm = {number} AND sample_index = 0
        )
        SELECT sum(tokens_in), any_value(tokens), count(*), sum(least(tokens_out, {most or "tokens_out"})), sum(tokens_reasoning),
            sum(tokens_cached)
        FROM samples JOIN asked USING (prompt_id)
        WHERE provider IN (?, ?) AND model = ? AND list_sum(list_transform(messages, lambda each: length(each.content))) = chars
        GROUP BY prompt_id, created_at
        """,
        [teacher.vendor, f"{teacher.vendor}{BATCH}", teacher.model],
    )
    if same:
        return same, True, f"{counted(same.samples, 'stored sample')} of the same prompts under other settings"
    other = _elsewhere(workspace, teacher)
    if other:
        return other, False, f"{counted(other.samples, 'stored sample')} of this model for other prompts"
    out = f"max_tokens is {most:,}" if most else f"{OUT_UNKNOWN} tokens out are a guess, since no max_tokens is set"
    return None, False, f"nothing of this model is stored, and {out}"


def _own(workspace: Workspace, number: int) -> Likeness | None:
    # A step at a time, since each spills by itself, and several at once would need room at once.
    workspace.execute(
        "CREATE OR REPLACE TABLE own AS SELECT sample_id, min(ord) AS ord, any_value(tokens) AS reckoned "
        f"FROM slots WHERE stored AND arm = {number} GROUP BY sample_id"
    )
    tokens = "tokens_in, tokens_out, tokens_reasoning, tokens_cached, created_at"
    workspace.execute(f"CREATE OR REPLACE TABLE billed AS SELECT own.*, {tokens} FROM samples JOIN own USING (sample_id)")
    # A sample may stand twice: lakes may be merged by hand. Those of one request have one time.
    workspace.execute(
        """
        CREATE OR REPLACE TABLE own AS
        SELECT any_value(ord) AS ord, any_value(reckoned) AS reckoned, min(tokens_in) AS tokens_in, min(tokens_out) AS tokens_out,
            min(tokens_reasoning) AS tokens_reasoning, min(tokens_cached) AS tokens_cached, min(created_at) AS created_at
        FROM billed GROUP BY sample_id
        """
    )
    found = _mean(
        workspace,
        "SELECT sum(tokens_in), any_value(reckoned), count(*), sum(tokens_out), sum(tokens_reasoning), sum(tokens_cached) "
        "FROM own GROUP BY ord, created_at",
    )
    workspace.execute("DROP TABLE own")
    workspace.execute("DROP TABLE billed")
    return found


def _mean(workspace: Workspace, requests: str, parameters: list[Any] | None = None) -> Likeness | None:
    """Return the mean over a query that has a row a request: billed, reckoned, samples, out, reasoning, cached."""
    ((billed, reckoned, samples, out, reasoning, cached),) = workspace.rows(
        "SELECT sum(billed), sum(reckoned), sum(samples)::BIGINT, sum(out), sum(reasoning), sum(cached) "
        f"FROM ({requests}) AS requests(billed, reckoned, samples, out, reasoning, cached)",
        parameters,
    )
    return _of(billed, reckoned, samples, out, reasoning, cached) if samples else None


def _of(billed: float, reckoned: float, samples: int, out: float, reasoning: float | None, cached: float | None) -> Likeness:
    return Likeness(
        samples=samples,
        billed=float(billed) / max(float(reckoned), 1.0),
        out=float(out) / samples,
        reasoning=float(reasoning or 0) / max(float(out), 1.0),
        cached=float(cached or 0) / max(float(billed), 1.0),
    )


def _elsewhere(workspace: Workspace, teacher: TeacherOptions) -> Likeness | None:
    rows = workspace.rows(
        f"""
        SELECT any_value(messages), sum(tokens_in)::BIGINT, count(*), sum(tokens_out)::BIGINT, sum(tokens_reasoning)::BIGINT,
            sum(tokens_cached)::BIGINT
        FROM samples WHERE provider IN (?, ?) AND model = ? GROUP BY prompt_id, created_at LIMIT {LOOKED_AT}
        """,
        [teacher.vendor, f"{teacher.vendor}{BATCH}", teacher.model],
    )
    if not rows:
        return None
    reckoned = sum(estimate_messages(Message(**message) for message in row[0]) for row in rows)
    billed, samples, out, reasoning, cached = (sum(row[column] or 0 for row in rows) for column in range(1, 6))
    return _of(billed, reckoned, samples, out, reasoning, cached)
