"""Landing a curated build: the manifest that says what it is and by which rights, and the snapshot that counts from then on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from flows.growth import Growth
from flows.spec import Spec
from storage import catalog
from storage.lake import Lake
from storage.workspace import Workspace
from tasks.report import Summary
from tasks.verify import Named


def land(
    lake: Lake,
    spec: Spec,
    summary: Summary,
    workspace: Workspace,
    *,
    licensing: Mapping[str, Any],
    verifiers: Sequence[Named],
    growth: Growth | None,
    approvals: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Make the snapshot in a workspace count, and return its manifest. `approvals`: what persons approved of this very run."""
    manifest = summary.as_dict() | {
        "spec": spec.model_dump(mode="json", exclude_defaults=True, exclude={"runner"}),
        "licensing": licensing,
        "verifiers": [{"name": each.name, "version": each.version, "fingerprint": each.fingerprint} for each in verifiers],
    }
    manifest["created_at"] = after(lake, spec.dataset, manifest["created_at"])
    if growth is not None:
        manifest["grown_rows"] = sum(each.asked for each in growth.counts())
    if spec.dedup.against:
        manifest["against"] = {name: lake.build(name)["build_id"] for name in spec.dedup.against}
    if approvals:
        manifest["approvals"] = list(approvals)
    lake.land(manifest, workspace.folder)
    catalog.write(lake)  # what has landed is to be seen, also where an export is refused
    return manifest


def after(lake: Lake, dataset: str, now: str) -> str:
    """Return the time of a build that lands now: later than the dataset's newest, also where a clock was set back since.

    By it everybody tells which build is the newest.
    """
    newest = max((build["created_at"] for build in lake.builds(dataset)), default="")
    if now > newest:
        return now
    return (datetime.fromisoformat(newest) + timedelta(microseconds=1)).isoformat(timespec="microseconds")
