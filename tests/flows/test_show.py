"""Show: what a lake holds is shown, whichever version wrote it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.show import show, status
from storage.errors import SpecError
from storage.lake import Lake
from tasks.browse.choose import Filters
from tests.flows.test_diff import land
from tests.flows.test_report import COUNTS
from tests.tasks.house import Spec

EARLIER = pa.list_(pa.struct([("token", pa.binary()), ("logprob", pa.float32())]))
"""How an earlier version had the column `logprobs`, which it left empty."""


async def test_earlier_samples(lake: Lake, tmp_path: Path):
    """Samples of an earlier version, whose column of distributions has another form, are shown without any."""
    await land(lake, Spec(), "1", tmp_path, COUNTS)
    parts = [part for part in lake.root.glob("samples/**/*.parquet") if part.stem != "_empty"]
    assert parts
    for part in parts:
        table = pq.read_table(part, partitioning=None)
        place = table.schema.get_field_index("logprobs")
        pq.write_table(table.set_column(place, "logprobs", pa.nulls(len(table), EARLIER)), part)
    _, rows = show(lake, "d", Filters(outcome="kept"), build_id=None, number=3)
    assert rows
    assert [row["logprobs"] for row in rows] == [None] * len(rows)


async def test_a_segment_that_lands_meanwhile(lake: Lake, tmp_path: Path):
    """A segment of the journal that a build lands while it is counted is no reason to end in a traceback."""
    await land(lake, Spec(), "1", tmp_path, COUNTS)
    (lake.journal / "run-000000.jsonl").symlink_to(lake.journal / "landed")  # listed, and not there when it is opened
    (lake.journal / "run-000001.jsonl").write_bytes(b"one\ntwo\n")
    assert status(lake, None)["journal"] == 2


async def test_a_prompt_that_is_not_there(lake: Lake, tmp_path: Path):
    """A prompt that the build hasn't got is told from one that has no sample of the kind."""
    await land(lake, Spec(), "1", tmp_path, COUNTS)
    with pytest.raises(SpecError, match=r"--prompt: build \S+ has no prompt 'nothere'"):
        show(lake, "d", Filters(prompt="nothere"), build_id=None, number=3)
