"""Of how many traces it is said that they were cut off."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from storage.errors import StorageError
from storage.parquet import write_rows
from storage.schemas import TRACES
from tasks.cut_off import cut_off


def wrote(folder: Path, *reasons: str | None, schema: pa.Schema = TRACES) -> Path:
    """Write a part of traces that ended so."""
    number = len(list(folder.glob("*.parquet")))
    rows = [
        dict.fromkeys(schema.names) | ({"finish_reason": each} if "finish_reason" in schema.names else {}) for each in reasons
    ]
    write_rows(folder / f"part-{number:05d}.parquet", schema, rows)
    return folder


def test_whatever_a_server_calls_it(tmp_path: Path):
    """Over all parts, by any API's word for it."""
    wrote(tmp_path, "stop", "length", None)
    said = cut_off(wrote(tmp_path, "max_tokens", "end_turn"))
    assert said is not None
    assert said.startswith("2 of 5 traces were cut off")


def test_none(tmp_path: Path):
    """Nothing is said where nothing is wrong, nor where there is nothing."""
    assert cut_off(tmp_path) is None
    assert cut_off(wrote(tmp_path, "stop", None)) is None


def test_an_earlier_build(tmp_path: Path):
    """Traces of a version that didn't keep it are left in peace."""
    earlier = pa.schema([each for each in TRACES if each.name != "finish_reason"])
    assert cut_off(wrote(tmp_path, "length", schema=earlier)) is None


def test_a_broken_part(tmp_path: Path):
    """It is named."""
    (wrote(tmp_path, "stop") / "part-00001.parquet").write_bytes(b"PAR1")
    with pytest.raises(StorageError, match=r"part-00001\.parquet"):
        cut_off(tmp_path)
