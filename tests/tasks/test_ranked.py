"""Texts are dealt into buckets by the rank of their sample."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from storage.lake import Lake
from storage.parquet import write_rows
from storage.schemas import SAMPLES
from storage.workspace import Workspace
from tasks.ranked import deal_samples, packed


def dealt(tmp_path: Path, ids: list[str], ranks: list[tuple[str, int]], size: int) -> list[list[tuple[int, str]]]:
    """Return what stands in each bucket: rank and response."""
    lake = Lake.at(str(tmp_path / "lake"))
    lake.mend()
    write_rows(
        lake.root / "samples" / "part.parquet", SAMPLES, ({"sample_id": each, "response": f"says {each[:2]}"} for each in ids)
    )
    with Workspace(lake, tmp_path / "work") as workspace:
        workspace.execute("CREATE TABLE wanted (sample_id VARCHAR, rank BIGINT)")
        for row in ranks:
            workspace.execute("INSERT INTO wanted VALUES (?, ?)", list(row))
        deal_samples(workspace, "texts", ["response"], f"SELECT sample_id, rank, rank // {size} AS bucket FROM wanted")
        last = max(rank for _, rank in ranks) // size if ranks else 0
        return [
            workspace.rows(f"SELECT rank, response FROM {workspace.dealt('texts', bucket)} ORDER BY rank")
            for bucket in range(last + 1)
        ]


def test_each_bucket_has_the_texts_of_its_ranks(tmp_path: Path) -> None:
    """A sample with two ranks stands at both, and one without a rank nowhere."""
    ids = [f"{number:02x}" * 16 for number in (255, 0, 7, 128)]
    found = dealt(tmp_path, ids, [(ids[0], 0), (ids[1], 1), (ids[3], 2), (ids[1], 4)], size=2)
    assert found == [[(0, "says ff"), (1, "says 00")], [(2, "says 80")], [(4, "says 00")]]


def test_nothing_to_deal(tmp_path: Path) -> None:
    """Where no sample has a rank, every bucket is empty."""
    assert dealt(tmp_path, ["ab" * 16], [], size=2) == [[]]


def test_ids_are_packed_as_they_are() -> None:
    """Sixteen bytes hold all of an id, zeros at its end included, wherever in an array it stands."""
    ids = ["0123456789abcdef" * 2, "ff" * 15 + "00", "00" * 16]
    assert packed(pa.array(ids)).tobytes() == b"".join(map(bytes.fromhex, ids))
    assert packed(pa.array(ids).slice(1)).tobytes() == b"".join(map(bytes.fromhex, ids[1:]))
    assert not len(packed(pa.array([], pa.string())))
