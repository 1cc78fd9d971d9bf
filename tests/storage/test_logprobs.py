"""Distributions on their way to the lake and back."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from storage import parquet
from storage.journal import Journal
from storage.lake import Lake
from storage.logprobs import logprobs_of, packed, unpacked
from storage.records import Logprobs
from storage.repair import repair
from storage.rows import sample_of
from storage.segments import read
from storage.sql import parquet as reading
from storage.workspace import Workspace
from tests.fakes import make_sample
from tests.storage.damaging import flip

WHOLE = Logprobs(
    tokens=(b"\xf0\x9f", b" a", b""),
    ids=(5, 0, 2**31 - 1),
    logprobs=(-0.5, -math.inf, 0.0),
    counts=(2, 0, 1),
    top_tokens=(b"x", b"", b"\xff"),
    top_ids=(1, 2, 3),
    top_logprobs=(-0.25, -8.0, -math.inf),
    rest=(0.25, 1.0, 0.0),
)
CASES = {
    "whole": WHOLE,
    "bytes alone": replace(WHOLE, ids=None, top_ids=None),
    "ids alone": replace(WHOLE, tokens=None, top_tokens=None),
    "nothing": Logprobs(tokens=(), ids=None, logprobs=(), counts=(), top_tokens=(), top_ids=None, top_logprobs=(), rest=()),
}


@pytest.mark.parametrize("given", CASES.values(), ids=CASES)
def test_survive(given: Logprobs):
    """What was packed for the journal and unpacked is the same record."""
    assert logprobs_of(unpacked(packed(given))) == given


def test_precision():
    """Alternatives have half precision, the sampled token and the rest single; a gap's NaN stays one."""
    fine = replace(WHOLE, logprobs=(-1 / 3, math.nan, -7.3), top_logprobs=(-1 / 3, -7.3, -1e6), rest=(1 / 3, 0.0, 0.1))
    found = logprobs_of(unpacked(packed(fine)))
    assert found.logprobs[::2] == tuple(np.float32([-1 / 3, -7.3]).tolist())
    assert math.isnan(found.logprobs[1])
    assert found.top_logprobs == (*np.float16([-1 / 3, -7.3]).tolist(), -math.inf)
    assert found.rest == tuple(np.float32([1 / 3, 0, 0.1]).tolist())


@pytest.mark.parametrize(
    "change",
    [{"tokens": ["AAAA", [1, 1]]}, {"tokens": ["AAAA", [4]]}, {"logprobs": "AAA="}, {"logprobs": 1}],
    ids=["too few bytes", "too many", "half a number", "no text"],
)
def test_not_packed(change: dict[str, object]):
    """What has another form is refused, and never read beyond its end."""
    with pytest.raises((ValueError, TypeError)):
        unpacked(packed(WHOLE) | change)


@pytest.mark.parametrize(
    "change",
    [
        {"tokens": None},
        {"ids": (1,)},
        {"counts": (1, 1)},
        {"rest": ()},
        {"counts": (3, 3, 3)},
        {"top_tokens": ()},
        {"top_ids": None},
        {"tokens": None, "top_tokens": None, "ids": None, "top_ids": None},
    ],
    ids=repr,
)
def test_lists_that_differ(change: dict[str, object]):
    """A record whose lists don't belong together can't be made."""
    with pytest.raises(ValueError, match=r"^logprobs "):
        replace(WHOLE, **change)


async def test_journal_and_part(tmp_path: Path):
    """Samples with and without them lie side by side, in the journal and in a part, which DuckDB reads too."""
    samples = [make_sample("a"), make_sample("b", logprobs=WHOLE), make_sample("c", logprobs=CASES["ids alone"])]
    async with Journal(tmp_path, tmp_path / "parts", run="r") as log:
        await log.append(samples)
        assert [sample_of(row) for row in read(tmp_path / "r-000000.jsonl")] == samples
    (part,) = (tmp_path / "parts").glob("*.parquet")
    assert [sample_of(row) for row in pq.read_table(part).to_pylist()] == samples
    found = duckdb.connect().sql(f"SELECT logprobs FROM {reading(part)} ORDER BY sample_id").to_arrow_table()
    assert [each and logprobs_of(each) for each in found["logprobs"].to_pylist()] == [None, WHOLE, CASES["ids alone"]]


async def test_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A row group ends where its distributions have so many bytes, however few rows they are of."""
    monkeypatch.setattr(parquet, "GROUP_BYTES", 3 * unpacked(packed(WHOLE)).nbytes)
    async with Journal(tmp_path, tmp_path / "parts", run="r") as log:
        await log.append([make_sample(str(number), logprobs=WHOLE) for number in range(7)])
    metadata = pq.read_metadata(tmp_path / "parts" / "r-000000.parquet")
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [3, 3, 1]


async def test_repair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A repair writes them anew with what else it can read of a part."""
    monkeypatch.setattr(parquet, "GROUP_BYTES", 1)
    lake = Lake(tmp_path / "lake")
    samples = [make_sample("a", logprobs=WHOLE), make_sample("b", logprobs=WHOLE), make_sample("c", logprobs=WHOLE)]
    with lake.writing(print):
        async with Journal(lake.journal, lake.root / "samples", run="r") as log:
            for sample in samples:
                await log.append([sample])
    (part,) = (lake.root / "samples").glob("r-*.parquet")
    flip(part, group=1)
    assert repair(lake).saved == {part: 2}
    (salvaged,) = (lake.root / "samples").glob("*.salvaged.parquet")
    assert [sample_of(row) for row in pq.read_table(salvaged).to_pylist()] == samples[::2]


async def test_judged_without(tmp_path: Path):
    """Who reads responses to judge them doesn't read their distributions; a sample is made of such a row too."""
    lake = Lake(tmp_path / "lake")
    with lake.writing(print):
        async with Journal(lake.journal, lake.root / "samples", run="r") as log:
            await log.append([make_sample("a", logprobs=WHOLE)])
    with Workspace(lake, tmp_path / "work") as workspace:
        (row,) = workspace.table("SELECT responses AS sample FROM responses").to_pylist()
        assert sample_of(row["sample"]) == make_sample("a")
        (stored,) = workspace.table("SELECT * FROM samples").to_pylist()
        assert sample_of(stored) == make_sample("a", logprobs=WHOLE)
