"""Exact dedup: of responses that say the same, one is kept, and every other one's outcome names it."""

from __future__ import annotations

from typing import Literal

from storage.workspace import Workspace
from tasks.options import NotYet, Options


class DedupOptions(Options):
    """The spec's `dedup`."""

    exact: bool = True
    """Drop a response that is another one's but for case, white space and Unicode form. Reasoning is a part of it."""
    near: NotYet = None
    """By MinHash. Not supported yet."""
    semantic: NotYet = None
    """By embeddings. Not supported yet."""
    by: Literal["response", "both"] = "response"
    """response: whatever was asked, over the whole dataset. both: only where the user's text is the same too."""


def digests(workspace: Workspace) -> None:
    """Make the table `texts`: each sample's id, digest of its normalised text, and length in characters."""
    text = "concat_ws(chr(0), reasoning, response)"
    normalised = rf"lower(trim(regexp_replace(nfc_normalize({text}), '\s+', ' ', 'g')))"
    # Joining and grouping each spill by themselves; both at once would need room at once.
    workspace.execute(
        f"CREATE OR REPLACE TABLE digested AS SELECT sample_id, md5_number({normalised}) AS digest, length({text}) AS length "
        "FROM samples WHERE sample_id IN (SELECT sample_id FROM slots)"
    )
    workspace.execute(  # lakes may be merged by hand
        "CREATE OR REPLACE TABLE texts AS SELECT sample_id, min(digest) AS digest, min(length) AS length FROM digested "
        "GROUP BY sample_id"
    )
    workspace.execute("DROP TABLE digested")


def dedup(workspace: Workspace, options: DedupOptions) -> None:
    """Reject duplicates among the `candidates` still in. The best verdict stays, then the shortest, then the least id."""
    if not options.exact:
        return
    same, prompts = ("digest", "") if options.by == "response" else ("digest, prompt_digest", "JOIN prompt_ids USING (ord)")
    workspace.execute(
        f"""
        UPDATE candidates SET stage = 'dedup', reason = 'duplicates ' || first
        FROM (
            SELECT ord, teacher, sample_index,
                first_value(sample_id) OVER same AS first,
                row_number() OVER same AS rank
            FROM candidates {prompts} WHERE stage IS NULL
            WINDOW same AS (
                PARTITION BY {same} ORDER BY score DESC NULLS LAST, length, sample_id, ord, teacher, sample_index
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            )
        ) AS ranked
        WHERE rank > 1 AND candidates.ord = ranked.ord
            AND candidates.teacher = ranked.teacher AND candidates.sample_index = ranked.sample_index
        """
    )
