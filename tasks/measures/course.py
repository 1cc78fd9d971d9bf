"""Course: the way of a build's slots, from what was asked for to what became of each, as a diagram of flows shows it.

Every node's flows in and out are the same number, so that what was asked for can be followed to the last slot.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from storage.lake import Manifest
from storage.workspace import Workspace
from tasks.diff import KIND_OF

KINDS = 6
"""Kinds of reasons that a stage is parted into; the others stand as one."""
STAGES = ("draw", "verify", "dedup", "decontaminate", "license", "select")
ASKED, BOUGHT, REUSED, UNASKED, UNANSWERED = "asked for", "bought by this run", "in the store", "not sent", "no response"
RESPONSES, ACCEPTED, KEPT = "responses", "accepted", "kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Slots that went from one node to another."""

    source: str
    """A node."""
    target: str
    """A node farther on."""
    slots: int
    """How many; never 0."""


def course(workspace: Workspace, build: Manifest) -> list[dict[str, Any]]:
    """Return the flows of a build's slots, those that begin farthest to the left first."""
    rows = workspace.rows(
        f"SELECT outcome, stage, {KIND_OF} AS kind, sample_id IS NOT NULL AS here, count(*) AS slots FROM outcomes "
        "GROUP BY ALL ORDER BY slots DESC, outcome, stage, kind, here"
    )
    here = sum(slots for *_, there, slots in rows if there)
    reused = min(build["reused"], here)
    flows = Counter({(ASKED, BOUGHT): here - reused, (ASKED, REUSED): reused, (BOUGHT, RESPONSES): here - reused})
    flows[REUSED, RESPONSES] = reused
    kinds: Counter[str] = Counter()
    for outcome, stage, kind, there, slots in rows:
        if outcome == "failed":
            flows[ASKED, UNANSWERED] += slots
            ended = "failed"
            flows[UNANSWERED, ended] += slots
        elif outcome == "kept":
            flows[RESPONSES, ACCEPTED] += slots
            flows[ACCEPTED, KEPT] += slots
            continue
        else:
            ended = f"rejected: {stage}"
            if not there:
                flows[ASKED, UNASKED] += slots
                flows[UNASKED, ended] += slots
            elif stage in {"draw", "verify", "license"}:  # what is not licensed was never judged
                flows[RESPONSES, ended] += slots
            else:
                flows[RESPONSES, ACCEPTED] += slots
                flows[ACCEPTED, ended] += slots
        if kind:
            flows[ended, _reason(ended, kind, kinds)] += slots
    order = [
        ASKED,
        BOUGHT,
        REUSED,
        UNASKED,
        UNANSWERED,
        RESPONSES,
        ACCEPTED,
        *(f"rejected: {stage}" for stage in STAGES),
        "failed",
    ]
    listed = [Flow(source=source, target=target, slots=slots) for (source, target), slots in flows.items() if slots]
    return [asdict(flow) for flow in sorted(listed, key=lambda flow: (order.index(flow.source), -flow.slots, flow.target))]


def _reason(ended: str, kind: str, kinds: Counter[str]) -> str:
    """Return the node of a kind of reason: its own for a stage's first ones, which are its largest."""
    name = f"{ended}: {kind}"
    if name not in kinds:
        if kinds[ended] >= KINDS:
            return f"{ended}: other reasons"
        kinds[ended] += 1
        kinds[name] = 1
    return name
