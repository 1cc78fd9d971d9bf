"""Grades: what became of each sample of an evaluation, counted by prompt and contestant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from storage.sql import literal
from storage.workspace import Workspace
from tasks.asking.usable import EMPTY
from tasks.evaluation.passing import Counts
from tasks.outcomes import ADDRESSED, listed
from tasks.verify import Named, Rule

GRADES = ("passed", "refuted", "undecided", "unusable", "missing")
"""passed: the verifiers accept it. refuted: whatever is undecided, they don't. undecided: they might. unusable: it was empty, or
cut off or declined where the teacher's `retry` rejects that. missing: no response came."""
OPEN = ("undecided", "missing")
"""Of these nobody knows whether they would have passed."""
TAG_VALUES = 50
"""A tag that has more different values than this is more of an id, and isn't broken down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grades:
    """Counts of samples, of prompts (rows) by contestants (columns)."""

    ords: Counts
    """The prompts' numbers, in their order."""
    ids: Sequence[str]
    """The prompts' ids."""
    samples: int
    """Of each prompt and contestant."""
    counts: Mapping[str, Counts]
    """By grade."""
    chars: Counts
    """Characters of all responses, reasoning included."""
    responses: Counts
    """That were judged: all but unusable and missing ones."""

    def most(self) -> Counts:
        """Return how many would have passed if all that is open had."""
        return self.counts["passed"] + sum(self.counts[grade] for grade in OPEN)


def grade(workspace: Workspace, rule: Rule, verifiers: Sequence[Named]) -> None:
    """Make `graded` of `candidates`: each slot's grade. Each has exactly one."""
    workspace.execute(
        f"""
        CREATE TABLE refuted AS
        SELECT ord, arm, sample_index, {rule.refuting_sql("fingerprint", "passed")} AS refuted
        FROM (
            SELECT DISTINCT ord, arm, sample_index, fingerprint, passed
            FROM verdicts JOIN {listed(verifiers)} USING (fingerprint) JOIN {ADDRESSED} AS slots USING (sample_id, inputs)
        )
        GROUP BY ord, arm, sample_index
        """
    )
    workspace.execute(
        f"""
        CREATE TABLE graded AS
        SELECT ord, arm, sample_index, sample_id, length,
            CASE
                WHEN sample_id IS NULL AND reason = {literal(EMPTY)} THEN 'unusable'
                WHEN sample_id IS NULL THEN 'missing'
                WHEN stage = 'draw' THEN 'unusable'
                WHEN stage IS NULL THEN 'passed'
                WHEN refuted THEN 'refuted'
                ELSE 'undecided'
            END AS grade
        FROM candidates LEFT JOIN refuted USING (ord, arm, sample_index)
        """
    )
    workspace.execute("DROP TABLE refuted")


def read(workspace: Workspace, *, contestants: int) -> Grades:
    """Count what `graded` has. Raise where a prompt and a contestant lack a sample: it would be a defect."""
    counted = ", ".join(f"count(*) FILTER (grade = '{name}') AS {name}" for name in GRADES)
    judged = "grade IN ('passed', 'refuted', 'undecided')"
    table = workspace.table(
        f"""
        SELECT ord, arm, count(*) AS samples, {counted}, count(*) FILTER ({judged}) AS responses,
            coalesce(sum(length) FILTER ({judged}), 0)::BIGINT AS chars
        FROM graded GROUP BY ord, arm ORDER BY ord, arm
        """
    )
    columns = {name: np.asarray(table[name], dtype=np.int64).reshape(-1, contestants) for name in table.column_names}
    samples = columns["samples"]
    if (columns["ord"] != columns["ord"][:, :1]).any() or (samples != samples[0, 0]).any():
        raise AssertionError("a prompt lacks samples of a contestant")
    named = workspace.rows("SELECT prompt_id FROM prompt_ids SEMI JOIN graded USING (ord) ORDER BY ord")
    return Grades(
        ords=columns["ord"][:, 0],
        ids=[identifier for (identifier,) in named],
        samples=int(samples[0, 0]),
        counts={name: columns[name] for name in GRADES},
        chars=columns["chars"],
        responses=columns["responses"],
    )


def by_tag(workspace: Workspace) -> Iterator[tuple[str, str, Counts]]:
    """Yield tags and values, each with its prompts' numbers, for tags that have at most TAG_VALUES values."""
    workspace.execute(
        "CREATE TABLE tagged AS SELECT ord, entry.key AS tag, entry.value AS value FROM "
        "(SELECT ord, unnest(map_entries(tags)) AS entry FROM prompts WHERE ord IN (SELECT ord FROM graded))"
    )
    few = f"SELECT tag FROM tagged GROUP BY tag HAVING count(DISTINCT value) <= {TAG_VALUES}"
    for tag, value, ords in workspace.rows(
        f"SELECT tag, value, list(ord) FROM tagged WHERE tag IN ({few}) GROUP BY tag, value ORDER BY tag, value"
    ):
        yield tag, value, np.asarray(ords, dtype=np.int64)
    workspace.execute("DROP TABLE tagged")
