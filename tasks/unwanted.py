"""Unwanted: responses that a teacher's `retry` rejects, or that ended before their first word.

They were paid for and stay in the lake, and nobody judges them.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence

from storage.records import CUT_OFF, REFUSED
from storage.sql import literal
from storage.workspace import Workspace
from tasks.teachers.options import RetryOptions

KINDS = (("length", "cut off", CUT_OFF), ("refusal", "refused", REFUSED))


def find(workspace: Workspace, policies: Sequence[RetryOptions]) -> None:
    """Make `unwanted` of the slots whose stored response is. `policies` are the drawing teachers', in the spec's order.

    The same as `RetryOptions.wants`, in SQL, and with the reason.
    """
    cases = [
        f"WHEN arm = {number} AND finish_reason IN {_listed(reasons)} "
        f"THEN '{what}: finish_reason is ' || finish_reason || ', and retry.{name} is {getattr(policy, name)}'"
        for number, policy in enumerate(policies)
        for name, what, reasons in KINDS
        if getattr(policy, name) != "keep"
    ]
    cases += [
        f"WHEN finish_reason IN {_listed(reasons)} AND trim(response, {literal(string.whitespace)}) = '' "
        f"THEN '{what} before the first word: finish_reason is ' || finish_reason"
        for _, what, reasons in KINDS
    ]
    workspace.execute(
        f"""
        CREATE OR REPLACE TABLE unwanted AS
        SELECT ord, arm, sample_index, min(why) AS why
        FROM (
            SELECT ord, arm, sample_index, CASE {" ".join(cases)} END AS why
            FROM slots JOIN (
                SELECT sample_id, finish_reason, response FROM samples WHERE finish_reason IN {_listed(CUT_OFF | REFUSED)}
            ) USING (sample_id)
        )
        WHERE why IS NOT NULL
        GROUP BY ord, arm, sample_index
        """
    )


def _listed(reasons: Iterable[str]) -> str:
    return f"({', '.join(map(literal, sorted(reasons)))})"
