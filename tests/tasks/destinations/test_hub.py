"""Exports to the Hub, by its real client, against a server on loopback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.errors import SetupError, SpecError, StorageError
from storage.lake import Lake
from tasks.destinations.choose import destination_at
from tests.tasks.hub_server import Hub, serving
from tests.tasks.landed import run

TO = "hf://datasets/me/sums"
TOKEN = "hf_aCanaryThatNobodyMaySee"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """Return a Hub without the repository, and a token for it."""
    from huggingface_hub import constants

    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with serving() as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        yield served


def test_there_and_again(lake: Lake, tmp_path: Path, hub: Hub):
    """A repository is made, private; each export is one commit, which takes away what it doesn't replace."""
    destination_at(TO).check()
    run(lake, shards=3, to=TO)
    run(lake, shards=3, to="here")
    assert hub.private
    assert hub.files == {".gitattributes": b""} | {path.name: path.read_bytes() for path in (tmp_path / "here").iterdir()}
    run(lake, shards=1, to=TO)
    assert sorted(hub.files or ()) == sorted(
        [".gitattributes", "LICENSE", "NOTICE", "README.md", "croissant.json", "manifest.json", "train-00000-of-00001.parquet"]
    )
    assert [each["deleted"] for each in hub.commits] == [[], [f"train-0000{n}-of-00003.parquet" for n in range(3)]]
    assert hub.tokens == {f"Bearer {TOKEN}"}
    assert not list(lake.staging.glob("*"))


def test_with_what_the_hub_begins_with(lake: Lake, hub: Hub):
    """A repository that was made on the site, with a README of its own, is as good as none."""
    hub.files = {".gitattributes": b"", "README.md": b"hello"}
    run(lake, to=TO)
    assert hub.files["README.md"].startswith(b"---\npretty_name: sums")


def test_foreign_files(lake: Lake, hub: Hub):
    """Somebody else's data is left alone, and found before anything is spent."""
    hub.files = {".gitattributes": b"", "data.csv": b"mine"}
    with pytest.raises(SpecError, match=r"hf://datasets/me/sums: has files that are no export of stillhouse \(data\.csv\)"):
        destination_at(TO).check()
    assert hub.commits == []


def test_refused(lake: Lake, hub: Hub):
    """What the Hub refuses is one line, without the token."""
    hub.refuse = 403
    with pytest.raises(StorageError, match=r"^hf://datasets/me/sums: can't be written: .*403") as caught:
        run(lake, to=TO)
    assert "\n" not in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert caught.value.__cause__ is None


def test_without_a_token(monkeypatch: pytest.MonkeyPatch):
    """Without a token it is said which variable to set."""
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(SetupError, match="needs a token: set HF_TOKEN"):
        destination_at(TO)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch):
    """Without the package it is said what to install."""
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(SetupError, match=r"`pip install 'stillhouse\[hub\]'`"):
        destination_at(TO)


@pytest.mark.parametrize("to", ["hf://me/sums", "hf://datasets/sums", "hf://datasets/me/sums/more", "hf://models/me/sums"])
def test_names(to: str):
    """Another URL of the Hub's is told how datasets are called."""
    with pytest.raises(SpecError, match="hf://datasets/ORGANISATION/NAME"):
        destination_at(to)
