"""Student loss: drop the traces that a student can't represent, by what it makes of their tokens.

A response that is all surprise to a student teaches it little but to guess; such traces are dropped by the student's own mean
cross-entropy on a response's tokens, from scores that are stored (`stillhouse score`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

from pydantic import Field, model_validator

from storage import scores
from storage.errors import SpecError
from storage.sql import literal
from storage.wording import counted
from storage.workspace import Workspace
from tasks.options import Options, PathText
from tasks.score.answers import Shown


class StudentLossOptions(Options):
    """The spec's `select.student_loss`."""

    student: PathText
    """Whose loss: a teacher of the spec by its name, or a model's folder."""
    reasoning: Shown = "omit"
    """How it is shown reasoning that a sample has apart from its response, as exports have it."""
    max: float | None = Field(default=None, gt=0)
    """Nats a token that a response may cost the student, on average."""
    keep: float | None = Field(default=None, gt=0, le=1)
    """In place of it: the part of the traces that stays, those of the least loss."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.max is None) == (self.keep is None):
            raise ValueError("needs either `max`, in nats a token, or `keep`, a share of the traces")
        return self


def tops(workspace: Workspace) -> list[int]:
    """Return the numbers of alternatives that anything was scored with."""
    return [top for (top,) in workspace.rows("SELECT DISTINCT top FROM scores ORDER BY top")]


def drop(workspace: Workspace, options: StudentLossOptions, fingerprints: Sequence[str]) -> str:
    """Reject those `candidates` still in that cost the student more than they may, and return a line that says what came of it.

    `fingerprints` are those of the student as it is. What couldn't be scored stays in. Raise SpecError where a trace was never
    scored that could be.
    """
    workspace.execute("CREATE OR REPLACE TABLE examined AS SELECT DISTINCT sample_id FROM candidates WHERE stage IS NULL")
    scored = scores.choose(workspace, options.student, "examined", fingerprints=fingerprints)
    left = _unscored(workspace, options, fingerprints)
    scores.losses(workspace)
    most = options.max
    if most is None:  # the loss of the last that stays; ties stay with it
        stay = math.ceil(float(options.keep or 0) * scored - 1e-9)
        ((most,),) = workspace.rows(f"SELECT max(nats) FROM (SELECT nats FROM losses ORDER BY nats LIMIT {stay})")
    most = most or 0.0  # where nothing is scored
    rule = f"more than {most:.4g}" + ("" if options.max is not None else f", which {options.keep:.0%} of the traces cost at most")
    said = f"'student_loss: ' || format('{{:.4g}}', nats) || {literal(f' nats a token, {rule} ({options.student})')}"
    over = f"nats > {literal(repr(most))}::DOUBLE"  # quoted, since it may be infinite
    ((dropped,),) = workspace.rows(f"SELECT count(*) FROM losses WHERE {over}")
    workspace.execute(
        f"UPDATE candidates SET stage = 'select', reason = {said} FROM losses "
        f"WHERE candidates.sample_id = losses.sample_id AND stage IS NULL AND {over}"
    )
    for table in ("examined", "losses", "scored", "unscorable"):
        workspace.execute(f"DROP TABLE {table}")
    return (
        f"student_loss: {options.student} scored {counted(scored, 'response')}, and {dropped:,} of them cost it {rule} nats a "
        f"token; {left:,} could not be scored and are kept"
    )


def _unscored(workspace: Workspace, options: StudentLossOptions, fingerprints: Sequence[str]) -> int:
    """Return how many of `examined` couldn't be scored. Raise SpecError where others weren't."""
    scores.unscorable(workspace, "examined")
    listed = ", ".join(map(literal, fingerprints)) or "NULL"
    ((left, never),) = workspace.rows(
        f"""
        SELECT count(*) FILTER (hopeless), count(*) FILTER (NOT hopeless)
        FROM (
            SELECT sample_id, sample_id IN (SELECT sample_id FROM unscorable) OR sample_id IN (
                SELECT sample_id FROM scores WHERE reason IS NOT NULL AND fingerprint IN ({listed})
            ) AS hopeless
            FROM examined ANTI JOIN scored USING (sample_id)
        )
        """
    )
    if never:
        raise SpecError(
            f"select.student_loss: {options.student} has not scored {never:,} of the responses that are left to select from; run "
            f"`stillhouse score SPEC --teacher {options.student} --dataset all`, then build again: nothing is bought twice"
        )
    return int(left)
