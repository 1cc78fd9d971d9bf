"""What is printed."""

from __future__ import annotations

import pytest

from flows.commands.printing import print_exported


def test_paths_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]):
    """What stands in brackets is no markup, and nothing in a name steers the terminal."""
    print_exported({"rows": 1200, "shards": [1, 2], "destination": "out [bold] [/x] \x1b[2J"})
    assert capsys.readouterr().out == "exported 1,200 rows in 2 shards to out [bold] [/x] \N{REPLACEMENT CHARACTER}[2J\n"
