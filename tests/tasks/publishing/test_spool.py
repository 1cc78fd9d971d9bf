"""The spool: rows on disk, in order or shuffled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from storage.errors import StorageError
from tasks.publishing.spool import BUCKET_BYTES, Spool, keys_of

SCHEMA = pa.schema([("n", pa.int64()), ("turns", pa.list_(pa.struct([("content", pa.string())])))])


def batch(first: int, last: int, *, length: int = 10) -> pa.RecordBatch:
    """Return rows of numbers, with texts of that length."""
    rows = [{"n": n, "turns": [{"content": str(n % 10) * length}] * (n % 3)} for n in range(first, last)]
    return pa.RecordBatch.from_pylist(rows, schema=SCHEMA)


def shuffled(path: Path, sizes: list[int], *, seed: int, bytes_expected: int = 0, length: int = 10) -> list[dict[str, object]]:
    """Put rows through a spool in batches of these sizes, and return them."""
    with Spool(path, SCHEMA, seed=seed, bytes_expected=bytes_expected) as spool:
        first = 0
        for size in sizes:
            spool.add(batch(first, first + size, length=length))
            first += size
        spool.close()
        assert sum(rows for rows, _ in spool.pieces) == spool.rows == first
        return [row for each in spool.read() for row in each.to_pylist()]


def test_in_order(tmp_path: Path):
    """Without a seed rows come back as they went in, and what they weigh is known by stretches."""
    with Spool(tmp_path / "s", SCHEMA) as spool:
        for first, last in ((0, 100), (100, 100), (100, 1_000)):
            spool.add(batch(first, last))
        spool.close()
        assert [row for each in spool.read() for row in each.to_pylist()] == batch(0, 1_000).to_pylist()
        assert sum(rows for rows, _ in spool.pieces) == spool.rows == 1_000
        assert max(rows for rows, _ in spool.pieces) == 64
        sample = spool.sample()
        assert sample is not None
        assert sample["n"].to_pylist() == list(range(100, 1_000))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("bytes_expected", [0, 20 * BUCKET_BYTES])
def test_a_permutation(tmp_path: Path, bytes_expected: int):
    """Shuffled, every row comes back once and whole, however finely rows are dealt."""
    rows = shuffled(tmp_path / "s", [500, 500], seed=1, bytes_expected=bytes_expected)
    assert sorted(rows, key=lambda row: row["n"]) == batch(0, 1_000).to_pylist()
    assert [row["n"] for row in rows] != list(range(1_000))


def test_batches_and_buckets_decide_nothing(tmp_path: Path):
    """The order is the seed's and the rows' alone: not that of the batches in which they came, nor of how they were dealt."""
    orders = [
        [row["n"] for row in shuffled(tmp_path / "s", sizes, seed=3, bytes_expected=expected)]
        for sizes, expected in (([300], 0), ([1, 99, 200], 0), ([300], 50 * BUCKET_BYTES))
    ]
    assert orders[0] == orders[1] == orders[2]


def test_dealt_more_than_once(tmp_path: Path):
    """Where rows are more than are dealt at a time, a bucket's pieces from all deals are put in order together."""
    length = BUCKET_BYTES // 100
    rows = shuffled(tmp_path / "s", [10] * 40, seed=5, bytes_expected=4 * BUCKET_BYTES, length=length)
    few = shuffled(tmp_path / "s", [10] * 40, seed=5)
    assert [row["n"] for row in rows] == [row["n"] for row in few]


def test_even(tmp_path: Path):
    """A shuffle is even: what stands together before is spread over all of it."""
    rows = shuffled(tmp_path / "s", [4_000], seed=2, bytes_expected=8 * BUCKET_BYTES)
    quarters = [sum(row["n"] < 1_000 for row in rows[start : start + 1_000]) for start in range(0, 4_000, 1_000)]  # type: ignore[operator]
    assert all(200 < each < 300 for each in quarters)


def test_no_room(tmp_path: Path):
    """A disk that is full is a StorageError that names the spool, not whatever the export goes to."""
    # The device refuses every write, and stays where it is.
    with (
        Spool(Full("/dev/full"), SCHEMA) as spool,
        pytest.raises(StorageError, match="/dev/full: can't be written: No space left"),
    ):
        spool.add(batch(0, 100_000))


class Full(type(Path())):  # type: ignore[misc]
    """A path that nobody removes."""

    def unlink(self, missing_ok: bool = False) -> None:
        """Leave it."""


def test_nothing(tmp_path: Path):
    """A spool without rows gives none."""
    for seed in (None, 1):
        with Spool(tmp_path / "s", SCHEMA, seed=seed) as spool:
            spool.close()
            assert (list(spool.read()), spool.pieces, spool.sample()) == ([], [], None)


def test_keys_never_change():
    """The keys are those of SplitMix64, on every machine and in every version: shards of years ago can be made again."""
    assert keys_of(np.arange(3, dtype=np.uint64), 7).tolist() == KEYS


KEYS = [16886114407743784434, 7276452696135751452, 5680667148098334032]
