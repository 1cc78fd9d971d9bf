"""Files that are whole and on disk, or as they were."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from storage.disk import replacing, write_bytes, write_text
from storage.errors import StorageError
from tests.fakes import listing


def test_replaces(tmp_path: Path):
    """A file that was there is replaced as a whole."""
    write_text(tmp_path / "new" / "m.json", "a much longer text\n")
    write_text(tmp_path / "new" / "m.json", "ä\n")
    assert (tmp_path / "new" / "m.json").read_text(encoding="utf-8") == "ä\n"
    assert listing(tmp_path / "new") == ["m.json"]


def test_refused(tmp_path: Path):
    """What the disk refuses is a StorageError that names the file, and leaves nothing."""
    (tmp_path / "m.json").mkdir()
    with pytest.raises(StorageError, match=r"m\.json: can't be written: Is a directory"):
        write_text(tmp_path / "m.json", "text")
    assert listing(tmp_path) == ["m.json"]


def test_broken_off(tmp_path: Path):
    """What ends a write leaves the file as it was, and nothing beside it."""
    write_bytes(tmp_path / "m", b"old")
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "m") as temporary:  # noqa: PT012 - half-way
        temporary.write_bytes(b"ne")
        raise ZeroDivisionError
    assert (tmp_path / "m").read_bytes() == b"old"
    assert listing(tmp_path) == ["m"]


def test_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What is in it is on disk before it has its name, and that it has it when this returns."""
    path, sync, synced = tmp_path / "m", os.fsync, list[tuple[str, bool]]()

    def watching(handle: int) -> None:
        sync(handle)
        synced.append((Path(f"/proc/self/fd/{handle}").readlink().name, path.exists()))

    monkeypatch.setattr(os, "fsync", watching)
    write_bytes(path, b"new")
    assert synced == [(".m.tmp", False), (tmp_path.name, True)]
