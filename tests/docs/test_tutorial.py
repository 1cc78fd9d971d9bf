"""The tutorial works as it stands there: its commands are run in an empty folder, and print what it says they print."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, Block, blocks


def steps(page: Path) -> list[tuple[str, str]]:
    """Return each block of commands with the output that the page shows below it, or nothing."""
    found: list[tuple[str, str]] = []
    previous: Block | None = None
    for block in blocks(page):
        if block.language == "sh":
            found.append((block.text, ""))
        elif block.language == "text" and previous is not None and previous.language == "sh":
            found[-1] = (found[-1][0], block.text)
        previous = block
    return found


def lacking(shown: str, printed: str) -> str | None:
    """Return the first line that a page shows and that wasn't printed, in the page's order; `…` stands for anything."""
    lines = iter([" ".join(line.split()) for line in printed.splitlines()])
    for line in filter(None, (" ".join(line.split()) for line in shown.splitlines())):
        pattern = ".*".join(map(re.escape, line.split("…")))
        if not any(re.fullmatch(pattern, given) for given in lines):
            return line
    return None


def test_what_is_lacking_is_told() -> None:
    """A line that wasn't printed, or not in this order, is found; one between them doesn't matter."""
    assert lacking("a …\nc\n", "a 1\nb\n  c  \n") is None
    assert lacking("c\na …\n", "a 1\nb\nc\n") == "a …"
    assert lacking("a\n", "a b\n") == "a"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_tutorial(tmp_path: Path) -> None:
    """Each of its commands ends well, in order, in an empty folder, and prints what the page shows."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "STILLHOUSE_"))}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}",
        "HOME": str(tmp_path / "home"),
        "COLUMNS": "200",
    }
    folder = tmp_path / "empty"
    folder.mkdir()
    run = steps(DOCS / "tutorial.md")
    assert len(run) >= 12
    for commands, shown in run:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}"
        line = lacking(shown, done.stdout)
        assert line is None, f"{commands}\nshows {line!r}, and printed\n{done.stdout}"
