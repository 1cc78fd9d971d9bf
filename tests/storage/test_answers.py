"""Answers that were got in vain, and are there for the next build."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.answers import Answers
from storage.errors import StorageError
from storage.lake import Lake


def test_kept_for_the_next_run(lake: Lake) -> None:
    """What one run keeps, itself and the next one find; where there is nothing to keep there is no file."""
    with Answers(lake.answers, lake.checks, run="r") as first:
        assert first.get("k") is None
    assert not lake.answers.exists()
    with Answers(lake.answers, lake.checks, run="s") as second:
        second.keep({"k": "yes \ud800", "l": "no\n"})
        second.keep({"m": ""})
        assert second.get("l") == "no\n"
    with Answers(lake.answers, lake.checks, run="t") as third:
        assert [third.get(key) for key in "klmn"] == ["yes ?", "no\n", "", None]


def test_a_torn_line(lake: Lake) -> None:
    """What a crash tore, or isn't ours, is left out; the rest counts."""
    lake.answers.mkdir(parents=True)
    (lake.answers / "r.jsonl").write_bytes(b'["k","yes"]\n[1,2]\n{}\n7\n["a","b","c"]\n\xff\n["l","n')
    with Answers(lake.answers, lake.checks, run="s") as answers:
        assert [answers.get(key) for key in "kla"] == ["yes", None, None]


def test_a_folder_that_can_not_be_written(tmp_path: Path) -> None:
    """It is one line for the user."""
    (tmp_path / "answers").write_text("a file")
    with Answers(tmp_path / "answers", tmp_path / "checks", run="r") as answers, pytest.raises(StorageError):
        answers.keep({"k": "v"})


def test_a_file_that_can_not_be_read(lake: Lake) -> None:
    """It is one line that says so, and names the file."""
    (lake.answers / "r.jsonl").mkdir(parents=True)
    with (
        pytest.raises(StorageError, match=r"r\.jsonl: can't be read: Is a directory"),
        Answers(lake.answers, lake.checks, run="s"),
    ):
        pass
