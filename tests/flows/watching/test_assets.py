"""The keys of assets: URIs that Prefect takes, the same from build to build."""

from __future__ import annotations

from pathlib import Path

import pytest
from prefect.assets import Asset

from flows.watching.assets import dataset_key, key, source_key
from tasks.sources import PromptSource


@pytest.mark.parametrize(
    ("uri", "found"),
    [
        ("s3://bucket/a b/c.jsonl", "s3://bucket/a~20b/c.jsonl"),
        ("file:///tmp/[x]/*.jsonl", "file:///tmp/~5bx~5d/*.jsonl"),
        ("hf://datasets/a/b/", "hf://datasets/a/b"),
        ("S3+x://b/c", "s3x://b/c"),
        ("file:///tmp/päth/100%.csv", "file:///tmp/päth/100~25.csv"),
    ],
)
def test_keys(uri: str, found: str) -> None:
    """What Prefect refuses in a key is written otherwise, and the rest stays."""
    assert key(uri) == Asset(key=key(uri)).key == found


def test_long_keys() -> None:
    """A long path is cut, and still tells itself from others."""
    one, other = (key(f"file:///{'a' * 600}/{n}") for n in range(2))
    assert len(Asset(key=one).key) == len(other) == 512
    assert one != other


def test_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A dataset that is another's source has the key of its own build; a URL's query, where keys tend to be, is left out."""
    monkeypatch.chdir(tmp_path)
    assert source_key(PromptSource(source="lake:./lake#sums")) == dataset_key(tmp_path / "lake", "sums")
    assert source_key(PromptSource(source="data/*.jsonl")) == f"file://{tmp_path}/data/*.jsonl"
    assert source_key(PromptSource(source="https://host/a.jsonl?token=secret")) == "https://host/a.jsonl"
    assert dataset_key("s3://bucket/lake", "sums") == "stillhouse://bucket/lake/sums"
