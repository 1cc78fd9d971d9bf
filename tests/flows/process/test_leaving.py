"""Leaving a process whose exit would wait for somebody without end."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import sys, threading, time
from flows.process.leaving import forsake, leave
threading._register_atexit(time.sleep, 600)
print("all of it", flush=len(sys.argv[2]) > 0)
print("and this", file=sys.stderr)
if sys.argv[2] == "full":
    sys.stdout = open("/dev/full", "w")
    print("lost")
forsake("a server")
leave(int(sys.argv[1]))
"""


@pytest.mark.parametrize(("code", "stdout", "left"), [(130, "", 130), (0, "", 0), (0, "full", 120), (3, "full", 3)])
def test_forsaken(code: int, stdout: str, left: int) -> None:
    """What hangs at exit is left alone; what was printed is out, or the code says that it isn't."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(code), stdout], text=True, capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (left, "and this\n")
    assert done.stdout == "all of it\n"


AT_LAST = """
import atexit, os, signal, sys
from flows.process.leaving import leave, whole_process

class Torn:
    def __del__(self):
        os.write(2, b"torn down")

with whole_process():
    kept = Torn()
    atexit.register(os.write, 1, b"called")
    if len(sys.argv) > 1:
        atexit.register(os.kill, os.getpid(), int(sys.argv[1]))
    print("told")
    leave(5)
"""


def at_last(*arguments: str) -> tuple[int, str, str]:
    """Return how a process ended that leaves so."""
    done = subprocess.run([sys.executable, "-c", AT_LAST, *arguments], text=True, capture_output=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def test_no_teardown() -> None:
    """What is done at exit is, what was printed is out, and then the process is gone."""
    assert at_last() == (5, "told\ncalled", "")


@pytest.mark.parametrize("number", [2, 15])
def test_a_signal_at_the_end(number: int) -> None:
    """It ends the process with the code that it would have had."""
    assert at_last(str(number)) == (5, "told\n", "")


def test_nobody_forsaken() -> None:
    """Else it leaves as any process does, and whoever is called at exit is."""
    code = "import atexit; from flows.process.leaving import leave; atexit.register(print, 'called'); leave(4)"
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (4, "called\n")
