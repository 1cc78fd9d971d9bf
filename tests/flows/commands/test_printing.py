"""What is printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.commands.printing import print_exported, print_lines


def test_paths_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]):
    """What stands in brackets is no markup, and nothing in a name steers the terminal."""
    print_exported({"rows": 1200, "shards": [1, 2], "destination": "out [bold] [/x] \x1b[2J"})
    assert capsys.readouterr().out == "exported 1,200 rows in 2 shards to out [bold] [/x] \N{REPLACEMENT CHARACTER}[2J\n"


def test_a_row_is_a_line(capsys: pytest.CaptureFixture[str]):
    """Whatever stands in a tag of somebody's data."""
    print_lines([("tag a\nb", "c\u2028d \x1b[2J [/x]"), ("e", "f")])
    assert capsys.readouterr().out == "tag a b  c d \N{REPLACEMENT CHARACTER}[2J [/x]\ne        f\n"


def test_a_pipe_gets_whole_lines(capsys: pytest.CaptureFixture[str]):
    """However long, and without spaces at the end."""
    print_lines([("a", "long " * 100 + "end"), ("b", "")])
    assert capsys.readouterr().out == f"a  {'long ' * 100}end\nb\n"


def test_one_is_one(capsys: pytest.CaptureFixture[str]):
    """A row and a shard have no plural."""
    print_exported({"rows": 1, "shards": [1], "destination": "out"})
    assert capsys.readouterr().out == "exported 1 row in 1 shard to out\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_terminal_without_some_characters(encoding: str, tmp_path: Path):
    """What it hasn't got is written as an escape, and JSON is JSON."""
    command = [sys.executable, "-m", "flows.cli", "status", "--lake", str(tmp_path / "日本")]
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    shown = subprocess.run(command, capture_output=True, check=True, env=environment).stdout.decode(encoding)
    assert ("日本" if encoding == "utf-8" else r"\u65e5\u672c") in shown
    told = subprocess.run([*command, "--json"], capture_output=True, check=True, env=environment).stdout
    assert json.loads(told)["lake"] == str(tmp_path / "日本")
