"""Which destination an export's `to` names, and which it may not."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from storage.errors import SpecError
from storage.lake import Lake
from tasks.destinations.choose import check_apart, destination_at


@pytest.mark.parametrize(
    "targets",
    [
        ["lake"],
        ["lake/out"],
        ["."],
        ["out", "out"],
        ["out", "./out"],
        ["out", "out/more"],
        ["s3://b/out", "s3://b/out/"],
        ["s3://b/out/more", "s3://b/out"],
    ],
    ids=" and ".join,
)
def test_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, targets: list[str]):
    """An export in the lake, around it, or in another export would replace what must stay: it is refused."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError, match="keep them apart"):
        check_apart(targets, Lake(tmp_path / "lake"))


def test_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Names that only begin alike are apart."""
    monkeypatch.chdir(tmp_path)
    check_apart(["lake2", "out", "out2", "s3://b/out", "s3://b/out2", "gs://b/out"], Lake(tmp_path / "lake"))


@pytest.mark.parametrize("to", ["s3://b/lake", "s3://b/lake/out", "s3a://b//lake/samples/out/", "s3://b", "working/copy/out"])
def test_apart_from_a_lake_on_an_object_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str):
    """Shards below a lake's URL would be taken for its parts: that is refused, as is the folder of its working copy."""
    monkeypatch.chdir(tmp_path)
    lake = Lake(tmp_path / "working" / "copy", replica=cast("Any", SimpleNamespace(url="s3://b/lake")))
    with pytest.raises(SpecError, match="keep them apart"):
        check_apart([to], lake)
    check_apart(["s3://b/lakes", "s3://c/lake"], lake)


@pytest.mark.parametrize("to", ["s3://key:secret@bucket/x", "ftp://me:secret@host/x", "s3://bucket/x?token=secret"])
def test_no_credentials_in_a_url(to: str):
    """A URL with a password or a query is refused, and neither is repeated."""
    with pytest.raises(SpecError, match="credentials belong into the environment") as caught:
        destination_at(to)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("to", ["s3://", "file:///", "hf://"])
def test_a_url_of_nothing(to: str):
    """A URL that names no folder is refused: `s3://` was written to a folder here that is called `s3:`."""
    with pytest.raises(SpecError, match=rf"^exports: {to}: names no folder"):
        destination_at(to)
