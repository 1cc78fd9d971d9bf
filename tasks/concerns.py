"""Concerns: what whoever reads a build's summary should look at first, since something may be wrong with how it was made."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from storage.sql import parquet_in
from storage.workspace import Workspace
from tasks.cut_off import cut_off
from tasks.diff import KIND_OF
from tasks.lapsed import asked_again
from tasks.selection.split import SplitOptions

_MOST = 3
"""Reasons that are named."""


def concerns(
    workspace: Workspace, counts: Mapping[str, Any], split: SplitOptions | None = None, *, batched: Collection[str] = ()
) -> Iterator[str]:
    """Yield what is to be said of a staged snapshot with these counts, of which this was to be held back.

    `batched`: the teachers that are asked through batches.
    """
    found = workspace.staged("outcomes")
    if failed := counts["failed"]:
        why = _reasons(workspace, found, "failed")
        asked = asked_again(workspace, found, batched)
        again = "them again" if asked == failed else f"{asked:,} of them again, and for the others where these get answers"
        yield f"{failed:,} of {counts['requested']:,} samples got no response: {why}; a rerun asks for {again}"
    if counts["rejected"] and not counts["kept"]:
        yield f"nothing was kept: {_reasons(workspace, found, 'rejected')}"
    if (cut := cut_off(workspace.staged("traces"))) is not None:
        yield cut
    if split is not None and counts["kept"]:
        yield from _lacking(workspace, split)


def _lacking(workspace: Workspace, split: SplitOptions) -> Iterator[str]:
    """Yield which splits have no trace, since shares are met by chance, or all that was for them was rejected."""
    there = {name for (name,) in workspace.rows(f"SELECT DISTINCT split FROM {parquet_in(workspace.staged('traces'))}")}
    what = "prompts" if split.group is None else "groups"
    hint = "" if split.group is None else "; groups that share a text are one"
    for name, share in (("validation", split.validation), ("test", split.test)):
        if share and name not in there:
            yield f"select.split: no trace is in the split {name!r}, for which {share:g} of the {what} were to be held back{hint}"


def _reasons(workspace: Workspace, outcomes: Path, outcome: str) -> str:
    """Return the reasons that most slots have."""
    said = f"CASE WHEN outcome = 'rejected' THEN stage || ': ' ELSE '' END || {KIND_OF}"
    rows = workspace.rows(
        f"SELECT {said} AS said, count(*) AS slots FROM {parquet_in(outcomes)} WHERE outcome = ? GROUP BY said "
        "ORDER BY slots DESC, said",
        [outcome],
    )
    more = " and others" if len(rows) > _MOST else ""
    return ", ".join(f"{what} ({slots:,})" for what, slots in rows[:_MOST]) + more
