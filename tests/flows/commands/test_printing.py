"""What is printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from flows.commands import printing
from flows.commands.printing import plain, print_exported, print_lines


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


@pytest.mark.parametrize(("width", "lines"), [(80, 1), (45, 2), (20, 1)])
def test_a_narrow_terminal(width: int, lines: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """What may be folded is folded, and a name, which one may want to copy, is never cut off, whether or not its line fits."""
    monkeypatch.setattr(printing, "out", Console(force_terminal=True, color_system=None, width=width, soft_wrap=True))
    print_lines([("a name of some length", "a text of some length that is folded")])
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == lines
    assert shown[0].startswith("a name of some length  a text of")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\N{MAN}\u200d\N{WOMAN}", "\N{MAN}\u200d\N{WOMAN}"),
        ("1\u00a0000\u3000\u6f22", "1\u00a0000\u3000\u6f22"),
        ("a\r\nb", "a\nb"),
        ("a\rb\x1b[2J\u202e\u2028\ud800", "a\ufffdb\ufffd[2J\ufffd\ufffd\ufffd"),
    ],
    ids=["joined", "spaces", "windows", "steering"],
)
def test_what_a_terminal_is_given(text: str, shown: str):
    """What people write is shown as they wrote it; what steers a terminal, or turns a line around, isn't."""
    assert plain(text) == shown


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
