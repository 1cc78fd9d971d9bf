"""Manner: how contestants write, beside what they solve. Habits are those of `tasks.measures.style`, by prompt and contestant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from storage.workspace import Workspace
from tasks.evaluation.passing import Counts
from tasks.measures import style
from tasks.measures.diversity import CHARS, SAMPLE, diversity
from tasks.measures.style import HABITS

STYLED = 4_096
"""Responses of each contestant in which habits are looked for, at most; all contestants' are of the same prompts."""
JUDGED = "grade IN ('passed', 'refuted', 'undecided')"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """Habits, counted."""

    responses: Counts
    """Looked at, of prompts (rows) by contestants (columns)."""
    habits: Counts
    """Of these, with a habit: prompts by contestants by HABITS."""
    diversity: Sequence[dict[str, Any]]
    """Each contestant's, of one response to each of the same prompts (`tasks.measures.diversity`)."""


def manner(workspace: Workspace, *, contestants: int, samples: int) -> Manner:
    """Look at the responses to the prompts whose ids' hashes are least. `graded` must be there."""
    number = max(1, STYLED // samples)
    workspace.execute(
        "CREATE TABLE styled AS SELECT ord, row_number() OVER (ORDER BY md5(prompt_id), ord) - 1 AS place "
        f"FROM prompt_ids SEMI JOIN graded USING (ord) ORDER BY md5(prompt_id), ord LIMIT {number}"
    )
    ((rows,),) = workspace.rows("SELECT count(*) FROM styled")
    responses = np.zeros((rows, contestants), dtype=np.int64)
    habits = np.zeros((rows, contestants, len(HABITS)), dtype=np.int64)
    texts: dict[tuple[int, int], tuple[str, int]] = {}
    names = list(HABITS)
    seen: set[tuple[int, int, int]] = set()
    wanted = workspace.stream(
        f"""
        SELECT place, arm, sample_index, left(response, {max(CHARS, style.HEAD)}) AS head,
            right(response, {style.TAIL}) AS tail, length(response) AS length
        FROM (SELECT place, arm, sample_index, sample_id FROM graded JOIN styled USING (ord) WHERE {JUDGED})
        JOIN (SELECT sample_id, response FROM samples) USING (sample_id)
        """
    )
    for batch in wanted:
        for row in batch.to_pylist():
            slot = row["place"], row["arm"], row["sample_index"]
            if slot in seen:  # lakes may be merged by hand
                continue
            seen.add(slot)
            place, arm, index = slot
            responses[place, arm] += 1
            for habit in style.found(row["head"][: style.HEAD], row["tail"]):
                habits[place, arm, names.index(habit)] += 1
            if index == 0 and place < SAMPLE:
                texts[place, arm] = row["head"][:CHARS], row["length"]
    workspace.execute("DROP TABLE styled")
    # The measures grow with the texts, so each contestant has as many, and of the same prompts.
    shared = [place for place in range(min(rows, SAMPLE)) if all((place, arm) in texts for arm in range(contestants))]
    found = [
        diversity([texts[place, arm][0] for place in shared], [texts[place, arm][1] for place in shared])
        for arm in range(contestants)
    ]
    return Manner(responses=responses, habits=habits, diversity=found)
