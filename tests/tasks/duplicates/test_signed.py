"""Signatures by the number of their row in an index of several parts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from storage.index import Index
from storage.lake import Lake
from tasks.duplicates import signed
from tasks.duplicates.signed import Maybe, Signed, firsts

SCHEMA = pa.schema([("key_high", pa.uint64()), ("key_low", pa.uint64()), ("b000", pa.uint64())])


def made(lake: Lake, *parts: list[tuple[int, int, int]]) -> Index:
    """Return an index of these rows."""
    index = Index(lake, "some-v1", SCHEMA)
    for part in parts:
        with index.writer("run") as writer:
            writer.extend([dict(zip(SCHEMA.names, row, strict=True)) for row in part])
    return index


def hashes(*values: int) -> np.ndarray:
    """Return an array."""
    return np.array(values, np.uint64)


def test_find(lake: Lake):
    """A key is both of its halves; of rows with the same key the first counts, and keys may repeat."""
    one = Signed(made(lake, [(7, 1, 10), (7, 2, 11), (8, 1, 12)], [(7, 1, 13), (9, 9, 14)]))
    assert one.rows == 5
    found = one.find(hashes(7, 9, 8, 7, 7, 6), hashes(2, 9, 1, 1, 2, 1))
    assert found.tolist() == [1, 4, 2, 0, 1, -1]
    assert one.column("b000", np.array([4, 0, 4])).tolist() == [14, 10, 14]


def test_what_is_added(lake: Lake):
    """Parts that are added later are looked at by themselves, and their rows are numbered on."""
    index = made(lake, [(7, 1, 10)])
    one = Signed(index)
    assert one.column("b000", np.array([0])).tolist() == [10]
    made(lake, [(8, 1, 11), (8, 2, 12)])
    assert one.find(hashes(8), hashes(2)).tolist() == [-1]
    parts, first = one.look()
    assert ([path.name for path in parts], first) == (["run-001.parquet"], 1)
    assert one.find(hashes(8, 7), hashes(2, 1), parts, first).tolist() == [2, -1]
    assert one.find(hashes(8, 7), hashes(2, 1)).tolist() == [2, 0]
    assert one.column("b000", np.array([2, 0])).tolist() == [12, 10]


def test_lacking(lake: Lake):
    """What no part has is told by its place, as often as it was asked for; keys that differ in their lowest bit are the same."""
    one = Signed(made(lake, [(7, 1, 10), (3, 2, 11)], [(9, 1, 12)]))
    assert one.lacking(hashes(9, 12, 7, 4, 12, 3, 2)).tolist() == [1, 3, 4]
    assert one.lacking(hashes(3, 9, 7, 7)).tolist() == []
    assert one.lacking(hashes()).tolist() == []
    assert Signed(made(lake.__class__(lake.root / "empty"))).lacking(hashes(3)).tolist() == [0]


@pytest.mark.parametrize("held", [signed.HELD, 1_000, 0])
def test_sharing(lake: Lake, monkeypatch: pytest.MonkeyPatch, held: int):
    """Rows of any part are found that have a column's value of one of some rows, and no others."""
    monkeypatch.setattr(signed, "HELD", held)
    drawn = np.random.default_rng(0).integers(0, 2**63, 200).tolist()
    rows = [(drawn[number], drawn[199 - number], drawn[number // 2]) for number in range(100)]
    one = Signed(made(lake, rows[:40], rows[40:]))
    assert one.sharing(["key_high", "b000"], np.array([99, 6])).tolist() == [6, 7, 98, 99]
    found = [99, 98, 7, 6]
    assert one.column("b000", np.array(found)).tolist() == [rows[number][2] for number in found]
    assert one.column("key_low", np.array(found)).tolist() == [rows[number][1] for number in found]
    # Of rows that share nothing in a column, it isn't held.
    shared = one.column("key_high", np.array(found)).tolist()
    assert shared == [rows[number][0] if number in {99, 6} or not held else 0 for number in found]
    assert one.sharing(["key_low"], np.array([6])).tolist() == [6]
    assert one.sharing([], np.array([6])).tolist() == []


@pytest.mark.parametrize("held", [0, 40, 1_000])
def test_what_is_held(lake: Lake, monkeypatch: pytest.MonkeyPatch, held: int):
    """A column that is read a second time is the same, whether it stayed in memory or not."""
    monkeypatch.setattr(signed, "HELD", held)
    one = Signed(made(lake, [(7, 1, 10), (7, 2, 11), (8, 1, 12)], [(7, 3, 13)]))
    for _ in range(2):
        columns = {name: one.column(name, np.array([3, 1])).tolist() for name in SCHEMA.names}
        assert columns == {"key_high": [7, 7], "key_low": [3, 2], "b000": [13, 11]}


def test_nothing(lake: Lake):
    """An index without parts holds nothing, and nothing is found of no keys."""
    one = Signed(made(lake))
    assert one.find(hashes(8), hashes(2)).tolist() == [-1]
    assert Signed(made(lake, [(7, 1, 10)])).find(hashes(), hashes()).tolist() == []


@pytest.mark.parametrize("block", [1, 1 << 20])
def test_by_the_book(lake: Lake, monkeypatch: pytest.MonkeyPatch, block: int):
    """It is what a dictionary gives, for many keys of which some share a half, however many rows are ordered at a time."""
    monkeypatch.setattr(signed, "_BLOCK", block)
    rng = np.random.default_rng(0)
    rows = [(int(high) << 40, int(low), 0) for high, low in rng.integers(0, 40, (3_000, 2))]
    known: dict[tuple[int, int], int] = {}
    for number, row in enumerate(rows):
        known.setdefault(row[:2], number)
    wanted = [(int(high) << 40, int(low)) for high, low in rng.integers(0, 60, (2_000, 2))]
    found = Signed(made(lake, rows[:1_000], rows[1_000:])).find(*(hashes(*half) for half in zip(*wanted, strict=True)))
    assert found.tolist() == [known.get(key, -1) for key in wanted]


def test_maybe():
    """What was added is never denied, and of the rest hardly any is not."""
    drawn = np.random.default_rng(0).integers(0, 2**64, 200_000, dtype=np.uint64)
    maybe = Maybe(10_000)
    maybe.add(drawn[:10_000])
    assert maybe.has(drawn[:10_000]).all()
    assert maybe.has(drawn[10_000:]).sum() < 100


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_firsts(columns: int):
    """Each row has the first whose columns are all the same."""
    keys = list(np.random.default_rng(0).integers(0, 4, (columns, 200)).astype(np.uint64))
    rows = list(zip(*(key.tolist() for key in keys), strict=True))
    assert firsts(keys).tolist() == [rows.index(row) for row in rows]
    assert firsts([key[:0] for key in keys]).tolist() == []
