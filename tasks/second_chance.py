"""Dedup, then decontaminate and choose, so that none of it costs a text that is wanted.

Of texts that say nearly the same, one may have a held-out item in it and another not. Where dedup prefers the one that has, and
decontaminate then rejects it, the clean one has been dropped for the sake of nothing: so it comes back, unless it duplicates what
is still there. What duplicates a contaminated sample and is contaminated itself stays as it is, and its outcome names that
sample. Texts that are exactly the same have the same items in them, but for those of an exempt source, which come back too.

One round is enough, since whatever comes back is clean. Only ids are joined, and where nothing comes back it costs a look.

So it is with what was dropped for the sake of one that `per_prompt` or a cap then leaves out: it comes back, unless there is no
place for it or it duplicates what is still there. That is chosen from again, and so on. What has been chosen stays: each round
settles all that came back, but for the duplicates of what a prompt got too much of in that very round.
"""

from __future__ import annotations

from storage.lake import Lake
from storage.workspace import Workspace
from tasks.decontaminate import STAGE, Decontamination
from tasks.dedup import bring_back, dedup
from tasks.duplicates.options import ORDER, DedupOptions
from tasks.select import SelectOptions, choose, turn_away

_CHOSEN = "select"
"""The stage of what is left out."""


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
    _bereft(workspace, STAGE, by_prompt=options.by == "prompt")
    if workspace.rows("SELECT 1 FROM bereft LIMIT 1"):
        heldout.clear(workspace, "bereft")
        if workspace.rows("SELECT 1 FROM bereft LIMIT 1"):
            bring_back(workspace, "SELECT ord, arm, sample_index FROM bereft")
            dedup(workspace, options, lake, build_id=build_id)
    workspace.execute("DROP TABLE bereft")


def narrow(
    workspace: Workspace,
    select: SelectOptions,
    options: DedupOptions,
    heldout: Decontamination | None,
    lake: Lake,
    *,
    build_id: str,
    seed: int,
) -> None:
    """Choose among the `candidates` still in, and among what then comes back."""
    workspace.execute("UPDATE candidates SET returned = FALSE WHERE returned")
    choose(workspace, select, seed=seed)
    while options.on and _back(workspace, by_prompt=options.by == "prompt"):
        turn_away(workspace, select, seed=seed)
        if heldout is not None:
            heldout.reject(workspace, again=True)
        if workspace.rows("SELECT 1 FROM candidates WHERE returned AND stage IS NULL LIMIT 1"):
            dedup(workspace, options, lake, build_id=build_id)
            choose(workspace, select, seed=seed)
    if options.by == "prompt":
        _rename(workspace)


def _rename(workspace: Workspace) -> None:
    """Let outcomes name a kept sample of the prompt whose best one was left out, or is contaminated, after they named it."""
    workspace.execute(
        f"""
        UPDATE candidates AS mine SET reason = replace(mine.reason, gone.sample_id, stayed.sample_id),
            kept_arm = stayed.arm, kept_index = stayed.sample_index
        FROM candidates AS gone JOIN (
            FROM candidates WHERE stage IS NULL QUALIFY row_number() OVER (PARTITION BY ord ORDER BY {ORDER}) = 1
        ) AS stayed USING (ord)
        WHERE mine.stage = 'dedup' AND gone.stage IS NOT NULL AND gone.ord = mine.kept_ord
            AND gone.arm = mine.kept_arm AND gone.sample_index = mine.kept_index
        """
    )


def _back(workspace: Workspace, *, by_prompt: bool) -> bool:
    """Bring back what was dropped for the sake of one that is left out. Return whether there is any."""
    _bereft(workspace, _CHOSEN, by_prompt=by_prompt)
    some = bring_back(workspace, "SELECT ord, arm, sample_index FROM bereft")
    workspace.execute("DROP TABLE bereft")
    return some


def _bereft(workspace: Workspace, stage: str, *, by_prompt: bool) -> None:
    """Make `bereft`: the slots that were dropped for the sake of one that was rejected at a stage.

    By prompt, they are those of prompts that were dropped for the sake of one that has no sample left.
    """
    doubles = "SELECT ord, arm, sample_index, sample_id, kept_ord, kept_arm, kept_index FROM candidates"
    workspace.execute(f"CREATE TABLE doubles AS {doubles} WHERE stage = 'dedup' AND kept_ord IS NOT NULL")
    if by_prompt:
        none_left = f"bool_or(stage = '{stage}') AND count(*) FILTER (stage IS NULL) = 0"
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
                WHERE stage = '{stage}' AND sample_id IS NOT NULL
                UNION ALL
                SELECT doubles.ord, doubles.arm, doubles.sample_index, doubles.sample_id, TRUE
                FROM doubles JOIN gone
                    ON kept_ord = gone.ord AND kept_arm = gone.arm AND kept_index = gone.sample_index
            )
            SELECT ord, arm, sample_index, sample_id FROM gone WHERE dropped
            """
        )
    workspace.execute("DROP TABLE doubles")
