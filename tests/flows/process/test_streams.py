"""Commands whose standard streams are closed, full, or read by nobody."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = str(Path(sys.executable).with_name("stillhouse"))
FULL = "error: stdout: can't be written: No space left on device\n"
OWN = """
import os, stat, sys
from flows.process import streams
streams.mend()
print("out", flush=True)
print("err", file=sys.stderr)
os.write(int(sys.argv[1]), b"x" if sys.argv[1] != "0" else b"")
assert [os.fstat(number).st_rdev for number in map(int, sys.argv[2:])] == [os.stat(os.devnull).st_rdev] * len(sys.argv[2:])
assert all(os.get_inheritable(number) for number in range(3))
"""


def shell(line: str) -> tuple[int, str, str]:
    """Run a command by a shell, and return its exit code, and what came out on either stream."""
    given = f"unset PYTHONUNBUFFERED; {line}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", given], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("closed", ["0", "1", "2", "1 2", "0 1 2"])
def test_closed(closed: str) -> None:
    """The null device is where a stream was closed, also for who is started, and no other file gets its number."""
    line = f"{sys.executable} -c '{OWN}' 2 {closed}" + "".join(f" {number}>&-" for number in closed.split())
    code, stdout, stderr = shell(line)
    assert code == 0
    assert (stdout, stderr) == ("" if "1" in closed else "out\n", "" if "2" in closed else "err\nx")


@pytest.mark.parametrize("arguments", ["--help", "status --lake gone --json"])
@pytest.mark.parametrize(
    ("streams", "code", "error"),
    [
        (">&-", 0, ""),
        (">/dev/full", 2, FULL),
        (">/dev/full 2>/dev/full", 2, ""),
        (">/dev/full 2>&-", 2, ""),
        ("2>/dev/full", 0, ""),
        (">&- 2>&-", 0, ""),
        ("| head -c0", 0, ""),
        ("2>&1 | head -c0", 0, ""),
    ],
)
def test_commands(arguments: str, streams: str, code: int, error: str) -> None:
    """A closed stdout, or one that nobody reads, is no error; a full one is a line and exit 2; stderr is no reason to fail."""
    found, _, stderr = shell(f"{COMMAND} {arguments} {streams}")
    assert (found, stderr) == (code, error)


@pytest.mark.parametrize("streams", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_the_module(streams: str) -> None:
    """The command line as a module does the same."""
    code, _, stderr = shell(f"{sys.executable} -m flows.cli --help {streams}")
    assert (code, stderr) == (0, "")


@pytest.mark.parametrize("streams", [">&-", ">/dev/full", "2>/dev/full", "2>&-", "| head -c0", "2>&1 | head -c0"])
def test_an_error(streams: str) -> None:
    """Its exit code is the same, whoever hears of it."""
    code, _, stderr = shell(f"{COMMAND} plan gone.yaml --json {streams}")
    assert code == 2
    assert "Traceback" not in stderr
    assert "error: gone.yaml: no such file" in stderr or "2>" in streams
