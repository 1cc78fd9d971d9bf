"""Looking: a landed build's tables in a workspace that writes nothing into the lake."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from storage import memory
from storage.lake import Lake, Manifest
from storage.rot import verify_build
from storage.workspace import Workspace
from tasks.measures import breakdown


@contextlib.contextmanager
def looking(lake: Lake, dataset: str, build_id: str | None) -> Iterator[tuple[Workspace, Manifest]]:
    """Give a workspace with a build's `prompts`, `outcomes` and `traces`, the newest's by default, and the build's manifest.

    Raise StorageError where there is no such build.
    """
    memory.settle()
    build = lake.build(dataset, build_id)
    verify_build(lake, build)
    with tempfile.TemporaryDirectory(prefix="stillhouse-look-") as folder, Workspace(lake, Path(folder) / "work") as workspace:
        breakdown.views(workspace, lake, build)
        yield workspace, build
