"""Unwanted: responses that a teacher's `retry` rejects. They were paid for and stay in the lake, and nobody judges them."""

from __future__ import annotations

from collections.abc import Sequence

from storage.records import CUT_OFF, REFUSED
from storage.sql import literal
from storage.workspace import Workspace
from tasks.teachers.options import RetryOptions


def find(workspace: Workspace, policies: Sequence[RetryOptions]) -> None:
    """Make `unwanted` of the slots whose stored response is. `policies` are the drawing teachers', in the spec's order."""
    cases = [
        f"WHEN teacher = {number} AND finish_reason IN ({', '.join(map(literal, sorted(reasons)))}) "
        f"THEN '{what}: finish_reason is ' || finish_reason || ', and retry.{name} is {getattr(policy, name)}'"
        for number, policy in enumerate(policies)
        for name, what, reasons in (("length", "cut off", CUT_OFF), ("refusal", "refused", REFUSED))
        if getattr(policy, name) != "keep"
    ]
    if not cases:
        workspace.execute("CREATE OR REPLACE TABLE unwanted (ord BIGINT, teacher INTEGER, sample_index INTEGER, why VARCHAR)")
        return
    workspace.execute(
        f"""
        CREATE OR REPLACE TABLE unwanted AS
        SELECT ord, teacher, sample_index, min(why) AS why
        FROM (
            SELECT ord, teacher, sample_index, CASE {" ".join(cases)} END AS why
            FROM slots JOIN (SELECT sample_id, finish_reason FROM samples) USING (sample_id)
        )
        WHERE why IS NOT NULL
        GROUP BY ord, teacher, sample_index
        """
    )
