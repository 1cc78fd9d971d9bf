"""Which revision of a model lies in a place: a commit where a cache of the Hub's says so, and else a digest."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from storage.errors import SetupError
from tasks.teachers.embedded import find_model
from tasks.teachers.weights import commit, digest, revision

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def saved(folder: Path, weights: bytes = b"weights", name: str = "model.safetensors") -> Path:
    """Save what looks like a model."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text('{"model": 1}')
    (folder / name).write_bytes(weights)
    return folder


def test_of_a_folder(tmp_path: Path):
    """A folder is told by its content: wherever it lies, and not by what a trainer noted beside it."""
    first, second = saved(tmp_path / "a"), saved(tmp_path / "b")
    assert revision(first) == revision(second) == f"sha256:{digest(first)}"
    (second / "trainer_state.json").write_text("{}")
    assert revision(second) == revision(first)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "tokenizer.json", "config.json"])
def test_trained_again(tmp_path: Path, name: str):
    """Other weights in the same place are another revision, in whatever form they are; so are a tokenizer and a configuration."""
    folder = saved(tmp_path / "a", name=name if name.startswith("pytorch") else "model.safetensors")
    before = revision(folder)
    (folder / name).write_bytes(b"{  }")
    os.utime(folder / name, ns=(1, 1))  # as fast as that may be, the clock has moved
    assert revision(folder) != before


def test_of_a_tokenizer(tmp_path: Path):
    """A folder that has nothing but a tokenizer is told by that."""
    (tmp_path / "tokenizer.json").write_text("{}")
    before = revision(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{ }")
    assert before.startswith("sha256:")
    assert revision(tmp_path) != before


def test_of_a_snapshot(tmp_path: Path):
    """In a cache of the Hub's the folder's name is the commit, also where somebody links to it."""
    folder = saved(tmp_path / "models--org--student" / "snapshots" / COMMIT)
    (tmp_path / "mine").symlink_to(folder)
    assert revision(folder) == revision(tmp_path / "mine") == COMMIT
    assert commit(folder / "tokenizer.json") == COMMIT


@pytest.mark.parametrize("name", [f"snapshots/{COMMIT}", f"models--a--b/{COMMIT}", "models--a--b/snapshots/main"])
def test_of_no_snapshot(tmp_path: Path, name: str):
    """A folder that only looks like one is told by its content."""
    assert revision(saved(tmp_path / name)).startswith("sha256:")


@pytest.mark.model
def test_of_a_gguf_file():
    """A file is told as `sha256sum` tells it."""
    file = find_model()
    assert revision(file) == f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"


def test_nothing(tmp_path: Path):
    """What isn't there is said to be unreadable."""
    with pytest.raises(SetupError, match="can't be read"):
        revision(tmp_path / "nowhere")
