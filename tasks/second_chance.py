"""Dedup, then decontaminate, so that the two together don't cost a clean text.

Of texts that say nearly the same, one may have a held-out item in it and another not. Where dedup prefers the one that has, and
decontaminate then rejects it, the clean one has been dropped for the sake of nothing: so it comes back, unless it duplicates what
is still there. What duplicates a contaminated sample and is contaminated itself stays as it is, and its outcome names that
sample. Texts that are exactly the same have the same items in them, but for those of an exempt source, which come back too.

One round is enough, since whatever comes back is clean. Only ids are joined, and where nothing comes back it costs a look.
"""

from __future__ import annotations

from storage.lake import Lake
from storage.workspace import Workspace
from tasks.decontaminate import STAGE, Decontamination
from tasks.dedup import bring_back, dedup
from tasks.duplicates.options import DedupOptions


def dedup_and_decontaminate(
    workspace: Workspace, options: DedupOptions, heldout: Decontamination | None, lake: Lake, *, build_id: str
) -> None:
    """Reject duplicates, and then what is contaminated, among the `candidates` still in. `heldout`: None where nothing is."""
    dedup(workspace, options, lake, build_id=build_id)
    if heldout is None:
        return
    heldout.reject(workspace)
    if not options.on:
        return
    _bereft(workspace, by_prompt=options.by == "prompt")
    if workspace.rows("SELECT 1 FROM bereft LIMIT 1"):
        heldout.clear(workspace, "bereft")
        if workspace.rows("SELECT 1 FROM bereft LIMIT 1"):
            bring_back(workspace, "SELECT ord, arm, sample_index FROM bereft")
            dedup(workspace, options, lake, build_id=build_id)
    workspace.execute("DROP TABLE bereft")


def _bereft(workspace: Workspace, *, by_prompt: bool) -> None:
    """Make `bereft`: the slots that were dropped for the sake of one that is contaminated.

    By prompt, they are those of prompts that were dropped for the sake of one that has no sample left.
    """
    doubles = "SELECT ord, arm, sample_index, sample_id, kept_ord, kept_arm, kept_index FROM candidates"
    workspace.execute(f"CREATE TABLE doubles AS {doubles} WHERE stage = 'dedup' AND kept_ord IS NOT NULL")
    if by_prompt:
        none_left = f"bool_or(stage = '{STAGE}') AND count(*) FILTER (stage IS NULL) = 0"
        prompts = f"SELECT ord FROM candidates GROUP BY ord HAVING {none_left}"
        workspace.execute(
            f"CREATE TABLE bereft AS SELECT ord, arm, sample_index, sample_id FROM doubles WHERE kept_ord IN ({prompts})"
        )
    else:
        # What stands for a near-duplicate may itself have been dropped as a semantic one.
        workspace.execute(
            f"""
            CREATE TABLE bereft AS
            WITH RECURSIVE gone AS (
                SELECT ord, arm, sample_index, sample_id, FALSE AS dropped FROM candidates
                WHERE stage = '{STAGE}' AND sample_id IS NOT NULL
                UNION ALL
                SELECT doubles.ord, doubles.arm, doubles.sample_index, doubles.sample_id, TRUE
                FROM doubles JOIN gone
                    ON kept_ord = gone.ord AND kept_arm = gone.arm AND kept_index = gone.sample_index
            )
            SELECT ord, arm, sample_index, sample_id FROM gone WHERE dropped
            """
        )
    workspace.execute("DROP TABLE doubles")
