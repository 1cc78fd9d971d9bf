"""What responses cost that gave no sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from storage.errors import StorageError
from storage.lake import Lake
from storage.waste import Waste
from storage.workspace import Workspace


def note(waste: Waste, sample_id: str = "s", cost_usd: float = 0.5) -> None:
    """Note a cost."""
    waste.note(sample_id=sample_id, teacher="t", cost_usd=cost_usd, tokens_in=10, tokens_out=20)


def noted(lake: Lake) -> list[tuple[Any, ...]]:
    """Return what a later run reads."""
    with Workspace(lake, lake.root / "work") as workspace:
        return workspace.rows("FROM waste ORDER BY sample_id")


def test_none(lake: Lake):
    """Where nothing was wasted there is no file, and nothing to read."""
    with Waste(lake.waste, run="r"):
        pass
    assert not lake.waste.exists()
    assert noted(lake) == []


def test_of_several_runs(lake: Lake):
    """All runs' are read, also those of one that was killed before it could close its file."""
    with Waste(lake.waste, run="one") as waste:
        note(waste, "a")
        note(waste, "b", 0.25)
    with Waste(lake.waste, run="two") as waste:
        note(waste, "c")
        found = noted(lake)  # nothing was closed yet
    assert found == [("a", "t", 0.5, 10, 20, 1), ("b", "t", 0.25, 10, 20, 1), ("c", "t", 0.5, 10, 20, 1)]


def test_torn(lake: Lake):
    """A line that a crash tore is left out, and the others count."""
    with Waste(lake.waste, run="one") as waste:
        note(waste, "a")
    with (lake.waste / "one.jsonl").open("a") as file:
        file.write('{"sample_id":"b","teacher":"t","co')
    assert [row[0] for row in noted(lake)] == ["a"]


def test_a_disk_that_refuses(tmp_path: Path):
    """A place that can't be written is one line."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        note(Waste(tmp_path / "file", run="r"))
