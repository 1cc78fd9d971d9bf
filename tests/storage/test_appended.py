"""Lines that are added to a file as they come."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from storage.appended import Appended
from storage.errors import StorageError


def test_written_as_they_come(tmp_path: Path):
    """Each line is in the file when it was written, behind what was there; before the first one there is no file."""
    path = tmp_path / "folder" / "run.jsonl"
    Appended(path).close(sync=True)
    assert not path.exists()
    for _ in range(2):
        lines = Appended(path)
        assert lines.write(b"one\n") == 4
        assert path.read_bytes().endswith(b"one\n")
        lines.close(sync=True)
    assert path.read_bytes() == b"one\none\n"


def test_behind_another_file(tmp_path: Path):
    """Where another file was put in its place, what comes next stands behind that one's lines."""
    path, other = tmp_path / "run.jsonl", tmp_path / "run.new"
    lines = Appended(path)
    lines.write(b"old\n")
    other.write_bytes(b"new\n")
    other.replace(path)
    lines.anew()
    lines.write(b"next\n")
    lines.close(sync=False)
    assert path.read_bytes() == b"new\nnext\n"


def test_after_its_end(tmp_path: Path):
    """Whoever writes to what was closed has a defect, and hears of it."""
    lines = Appended(tmp_path / "run.jsonl")
    lines.write(b"one\n")
    lines.close(sync=True)
    with pytest.raises(ValueError, match="closed"):
        lines.write(b"two\n")


def test_where_no_file_can_be(tmp_path: Path):
    """A disk that refuses it is told of in a line that names the file."""
    (tmp_path / "folder").write_bytes(b"")
    with pytest.raises(StorageError, match=r"run\.jsonl: can't be written"):
        Appended(tmp_path / "folder" / "run.jsonl").write(b"one\n")


def test_where_the_disk_takes_a_part(tmp_path: Path):
    """Of lines that a disk takes only the beginning of nothing is kept, and this is told: the next ones stand by themselves."""
    path = tmp_path / "run.jsonl"
    lines = Appended(path)
    lines.write(b"one\n")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with pytest.raises(StorageError, match=r"run\.jsonl: can't be written"):
            lines.write(b"a line that is longer\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    lines.write(b"two\n")
    lines.close(sync=True)
    assert path.read_bytes() == b"one\ntwo\n"
