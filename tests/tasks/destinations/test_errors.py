"""Whose error it is when an export fails: the place's, or what the export does itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.errors import StorageError
from storage.lake import Lake
from tasks import export
from tasks.destinations.choose import destination_at
from tasks.publishing.containers import CONTAINERS
from tests.tasks.destinations.test_hub import TO, hub
from tests.tasks.hub_server import Hub
from tests.tasks.landed import run

__all__ = ["hub"]


def test_of_an_export_itself(lake: Lake, tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch):
    """A defect, or a file that is missing, isn't told as if the place couldn't be written."""
    for error in (KeyError("rows"), FileNotFoundError("tokenizer.json")):

        def gather(*_: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(export, "gather", gather)
        for to in ("out", f"file://{tmp_path}/out", "memory://of-an-export-itself", TO):
            with pytest.raises(type(error)):
                run(lake, to=to)
            destination_at(to if "://" in to else str(tmp_path / to)).check()  # nothing is left
    assert hub.commits == []


def test_of_the_disk(lake: Lake, monkeypatch: pytest.MonkeyPatch):
    """A disk that is full while a shard is written is told by the shard's name."""

    def write(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(CONTAINERS["jsonl"]), "write", write)
    with pytest.raises(StorageError, match=r"train-00000-of-00001\.jsonl: can't be written: No space left on device"):
        run(lake, file="jsonl")
