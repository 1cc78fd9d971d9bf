"""Select: which accepted samples of a prompt become traces."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from storage.sql import literal
from storage.workspace import Workspace
from tasks.options import Options


class SelectOptions(Options):
    """The spec's `select`."""

    require: Literal["all", "any"] | Annotated[tuple[str, ...], Field(min_length=1)] = "all"
    """all: no verifier failed the sample and, where any is listed, at least one passed it; any: at least one passed it; names of
    verifiers: as all, among these. A verifier that could not decide doesn't count."""
    per_prompt: int | None = Field(default=None, ge=1)
    """Traces of one prompt, over all teachers. Left out: no bound."""
    prefer: Literal["shortest", "longest", "best", "random"] = "best"
    """Which ones, where there are more: by length in characters, reasoning included; by score, then length; or by the seed."""


def select(workspace: Workspace, options: SelectOptions, *, seed: int) -> None:
    """Reject what is more than `per_prompt` among the `candidates` that are still in."""
    if options.per_prompt is None:
        return
    order = {
        "shortest": "length",
        "longest": "length DESC",
        "best": "score DESC NULLS LAST, length",
        "random": f"sha256({literal(str(seed))} || '/' || sample_id)",
    }[options.prefer]
    workspace.execute(
        f"""
        UPDATE candidates SET stage = 'select',
            reason = 'per_prompt: {options.per_prompt} others were preferred ({options.prefer})'
        FROM (
            SELECT ord, teacher, sample_index,
                row_number() OVER (PARTITION BY ord ORDER BY {order}, sample_id, teacher, sample_index) AS rank
            FROM candidates WHERE stage IS NULL
        ) AS ranked
        WHERE rank > {options.per_prompt} AND candidates.ord = ranked.ord
            AND candidates.teacher = ranked.teacher AND candidates.sample_index = ranked.sample_index
        """
    )
