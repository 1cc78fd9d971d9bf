"""Exports as those read them who train on them: each test uses the consumer itself."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.dataset as pads
import pytest

from storage.lake import Lake
from tests.tasks.landed import run, trace


def mixed(rows: int) -> list[dict[str, Any]]:
    """Return traces of two splits, with a reasoning only where a reader that guesses types by the first rows wouldn't see it."""
    return [
        trace(n, split="validation" if n % 5 == 4 else "train", reasoning="R" if n == rows - 2 else None) for n in range(rows)
    ]


@pytest.fixture
def hf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """Return `datasets`, without a network, and with its cache in a folder of the test."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its imports' own
        import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()
    yield datasets
    datasets.enable_progress_bars()


@pytest.mark.parametrize("file", ["parquet", "jsonl", "arrow"])
def test_datasets(lake: Lake, tmp_path: Path, hf: Any, file: str):
    """`datasets.load_dataset` of the folder finds the splits, the columns and every row, by the card."""
    run(lake, mixed(20), file=file, shards=3)
    loaded = hf.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {name: split.num_rows for name, split in loaded.items()} == {"train": 16, "validation": 4}
    assert loaded["validation"]["sample_id"] == ["s4", "s9", "s14", "s19"]
    assert [message["content"] for message in loaded["train"][0]["messages"]] == ["Be brief.", "Q0 ä\u2028\n", "A0"]
    assert [row["sample_id"] for row in loaded["train"] if row["reasoning"]] == ["s18"]
    text = hf.Value("string")
    assert loaded["train"].features["messages"] == hf.List({"role": text, "content": text})


def test_datasets_reads_the_tar(lake: Lake, tmp_path: Path, hf: Any):
    """It reads a folder of tars too."""
    run(lake, mixed(10), format="webdataset", shards=2)
    loaded = hf.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {name: split.num_rows for name, split in loaded.items()} == {"train": 8, "validation": 2}
    assert loaded["validation"][0]["json"]["sample_id"] == "s4"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_webdataset(lake: Lake, tmp_path: Path):
    """`webdataset` reads the shards by the pattern that the card gives, each row once."""
    import webdataset

    run(lake, mixed(20), format="webdataset", shards=2)
    card = (tmp_path / "out" / "README.md").read_text()
    pattern = card.split('WebDataset("FOLDER/')[1].split('"')[0]
    rows = list(webdataset.WebDataset(f"{tmp_path}/out/{pattern}", shardshuffle=False, empty_check=False).decode())
    assert [row["json"]["sample_id"] for row in rows] == [f"s{n}" for n in range(20) if n % 5 != 4]
    assert len({row["__key__"] for row in rows}) == 16


def test_duckdb_and_arrow(lake: Lake, tmp_path: Path):
    """DuckDB and Arrow read the Parquet files of a split together."""
    run(lake, mixed(20), shards=3)
    pattern = tmp_path / "out" / "train-*.parquet"
    found = (
        duckdb.connect().sql(f"SELECT count(*), count(DISTINCT sample_id), min(messages[-1].content) FROM '{pattern}'").fetchall()
    )
    assert found == [(16, 16, "A0")]
    assert pads.dataset(sorted((tmp_path / "out").glob("train-*.parquet"))).count_rows() == 16


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("file", ["parquet", "jsonl", "arrow", "tar"])
def test_croissant(lake: Lake, tmp_path: Path, file: str):
    """`mlcroissant` has nothing to say against the metadata, and yields the rows of the files that it can read."""
    import mlcroissant

    manifest = run(lake, mixed(10), file=file, shards=2)
    described = mlcroissant.Dataset(str(tmp_path / "out" / "croissant.json"))
    assert not described.metadata.issues.errors
    assert not described.metadata.issues.warnings
    listed = {each.name: each.sha256 for each in described.metadata.distribution if hasattr(each, "sha256")}
    assert listed == {shard["file"]: shard["sha256"] for shard in manifest["shards"]}
    if file in {"parquet", "jsonl"}:
        rows = list(described.records("validation"))
        assert [row["validation/sample_id"] for row in rows] == [b"s4", b"s9"]
        assert rows[0]["validation/messages"][-1] == {
            "validation/messages/role": b"assistant",
            "validation/messages/content": b"A4",
        }
    assert json.loads((tmp_path / "out" / "croissant.json").read_text())["conformsTo"] == "http://mlcommons.org/croissant/1.1"
