"""What responses cost that gave no sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from storage.errors import StorageError
from storage.journal import Journal
from storage.lake import Lake
from storage.repair import repair
from storage.waste import Note, Waste, rows_of
from storage.workspace import Workspace
from tests.fakes import make_sample


def note(waste: Waste, sample_id: str = "s", cost_usd: float = 0.5) -> None:
    """Note a cost."""
    waste.note(sample_id=sample_id, teacher="t", cost_usd=cost_usd, tokens_in=10, tokens_out=20)


def noted(lake: Lake) -> list[tuple[Any, ...]]:
    """Return what a later run reads."""
    with Workspace(lake, lake.root / "work") as workspace:
        return workspace.rows("SELECT * EXCLUDE (estimated) FROM waste ORDER BY sample_id")


def test_estimated(lake: Lake):
    """Where nobody knows what was billed that is said, and a line of before there was a word for it says nothing."""
    with Waste(lake.waste, run="r") as waste:
        note(waste, "a")
        waste.note(sample_id="b", teacher="t", cost_usd=0.5, tokens_in=10, tokens_out=20, estimated="given up")
    with Workspace(lake, lake.root / "work") as workspace:
        assert workspace.rows("SELECT sample_id, estimated FROM waste ORDER BY sample_id") == [("a", None), ("b", "given up")]
    assert [row["sample_id"] for row in rows_of(lake.waste / "r.jsonl")] == ["a", "b"]


def test_none(lake: Lake):
    """Where nothing was wasted there is no file, and nothing to read."""
    with Waste(lake.waste, run="r"):
        pass
    assert not lake.waste.exists()
    assert noted(lake) == []


def test_a_folder_with_signs_of_patterns(tmp_path: Path):
    """A lake's path is no pattern, whatever signs are in it."""
    lake = Lake(tmp_path / "run[1]" / "l*ke")
    with Waste(lake.waste, run="a") as waste:
        note(waste)
    assert len(noted(lake)) == 1


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


class TestKilled:
    """A kill may come between a sample on disk and the line that takes back what it carries."""

    CARRIED: Note = {"sample_id": "a", "teacher": "t", "cost_usd": 0.5, "tokens_in": 10, "tokens_out": 20, "responses": 1}
    LOST = 7.0
    """Of the same slot, billed for a request that gave no sample."""

    async def _left(self, lake: Lake, *, told: bool, noted: bool = True) -> None:
        """Leave the segment of a killed run, whose sample took back what it carries or, not `told`, had not got to that."""
        with Waste(lake.waste, run="r") as waste:
            if noted:
                note(waste, "a", self.LOST)
                note(waste, "a")
                note(waste, "a")
            note(waste, "b")
            waste.note(sample_id="a", teacher="a judge", cost_usd=2.0, tokens_in=0, tokens_out=0)
            journal = Journal(lake.journal, lake.root / "samples", run="r")
            await journal.__aenter__()
            await journal.append([make_sample("b")])
            await journal.append(
                [make_sample("a"), make_sample("c")],
                carries=[self.CARRIED] * 2,
                carried=lambda: waste.take_back([self.CARRIED] * 2) if told else None,
            )
            assert journal._file is not None
            assert journal._writer is not None
            journal._file.close()
            journal._writer.cancel()

    @pytest.mark.parametrize("told", [True, False])
    @pytest.mark.parametrize("torn", [True, False])
    async def test_it_is_taken_back_once(self, lake: Lake, told: bool, torn: bool):
        """What a judge was billed for the same sample isn't, nor what another sample was; and a torn line takes none along."""
        await self._left(lake, told=told)
        if torn:
            with (lake.waste / "r.jsonl").open("a") as file:
                file.write('{"sample_id":"b","teacher":"t","co')
        left = next(lake.journal.glob("r-*.jsonl")).read_bytes()
        for _ in range(2):  # the second time as if the first had been broken off
            (lake.journal / "r-000000.jsonl").write_bytes(left)
            with lake.writing(print):
                pass
            found = {(row[0], row[1]): 0.0 for row in noted(lake)}
            for sample_id, teacher, cost, *_ in noted(lake):
                found[sample_id, teacher] += cost
            assert found == {("a", "t"): self.LOST, ("a", "a judge"): 2.0, ("b", "t"): 0.5}
        part = pq.read_table(lake.root / "samples" / "r-000000.parquet")
        assert part["sample_id"].to_pylist() == ["b", "a", "c"]
        assert "carried" not in part.column_names

    async def test_of_what_was_noted_alone(self, lake: Lake):
        """A note that came late to where another machine finds it isn't there: the others are taken back."""
        await self._left(lake, told=False)
        path = lake.waste / "r.jsonl"
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join([*lines[:2], *lines[3:]]))
        with lake.writing(print):
            pass
        assert sum(row[2] for row in noted(lake) if row[:2] == ("a", "t")) == self.LOST

    async def test_a_repair(self, lake: Lake):
        """It salvages what a damaged segment has, and takes back what that carries."""
        await self._left(lake, told=False)
        segment = next(lake.journal.glob("r-*.jsonl"))
        lines = segment.read_bytes().splitlines(keepends=True)
        segment.write_bytes(lines[0].replace(b"smol", b"smal") + b"".join(lines[1:]))
        repair(lake)
        assert sum(row[2] for row in noted(lake) if row[:2] == ("a", "t")) == self.LOST

    async def test_what_was_not_noted_is_not_taken_back(self, lake: Lake):
        """As where the notes are on a disk that is lost."""
        await self._left(lake, told=False, noted=False)
        with lake.writing(print):
            pass
        assert sorted((row[0], row[1], row[2]) for row in noted(lake)) == [("a", "a judge", 2.0), ("b", "t", 0.5)]


def test_a_disk_that_refuses(tmp_path: Path):
    """A place that can't be written is one line."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        note(Waste(tmp_path / "file", run="r"))
