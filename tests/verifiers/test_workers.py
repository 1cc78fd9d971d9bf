"""Worker processes: a limit that holds from outside."""

from __future__ import annotations

import contextlib
import errno
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing import forkserver
from pathlib import Path

import pytest

from storage.errors import SetupError, VerifierError
from verifiers import workers
from verifiers.workers import Workers


@pytest.fixture
def pool() -> Iterator[Workers]:
    """Return a pool of two."""
    pool = Workers(2)
    yield pool
    pool.close()


def test_it_returns_what_the_function_returns(pool: Workers):
    """From a process that is kept for the next call."""
    assert pool.call(math.sqrt, 4, timeout_s=10) == 2.0
    alone = Workers(1)
    assert alone.call(os.getpid, timeout_s=10) == alone.call(os.getpid, timeout_s=10) != os.getpid()
    alone.close()


def test_it_raises_what_the_function_raises(pool: Workers):
    """With the worker's traceback as a note."""
    with pytest.raises(ValueError, match="math domain error") as caught:
        pool.call(math.sqrt, -1, timeout_s=10)
    assert any("Traceback" in note for note in caught.value.__notes__)


def test_it_kills_what_takes_too_long(pool: Workers):
    """And a new worker takes the next call."""
    began = time.monotonic()
    with pytest.raises(VerifierError, match=r"no verdict within 0\.2 s"):
        pool.call(time.sleep, 60, timeout_s=0.2)
    assert time.monotonic() - began < 10
    assert pool.call(math.sqrt, 4, timeout_s=10) == 2.0


@pytest.mark.parametrize(
    ("crash", "how"),
    [
        ((os._exit, 3), "exit code 3"),
        ((os.abort,), "killed by SIGABRT"),
        ((signal.raise_signal, signal.SIGKILL), "killed by SIGKILL"),
    ],
    ids=["exit", "abort", "kill"],
)
def test_it_survives_a_crash(pool: Workers, crash: tuple, how: str):
    """A worker that ends is told and replaced, as often as it happens."""
    for _ in range(5):
        with pytest.raises(VerifierError, match=f"the check ended its process: {how}"):
            pool.call(*crash, timeout_s=10)
    assert pool.call(math.sqrt, 4, timeout_s=10) == 2.0


def _once(path: str) -> str:
    """End this process the first time."""
    if not Path(path).exists():
        Path(path).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


def test_a_death_is_believed_the_second_time(pool: Workers, tmp_path: Path):
    """The kernel may have killed it for a neighbour's hunger."""
    assert pool.call(_once, str(tmp_path / "tried"), timeout_s=10) == "alive"


def _nested(number: float) -> tuple[float, bool]:
    """Call from within a worker."""
    return workers.default().call(math.sqrt, number, timeout_s=10), multiprocessing.current_process().daemon


def test_a_worker_may_call(pool: Workers):
    """What needs a worker within a worker has one already."""
    assert pool.call(_nested, 4, timeout_s=10) == (2.0, True)


def _with_a_child() -> None:
    """Start a process, and hang."""
    subprocess.Popen(["sleep", "345"])
    time.sleep(60)


def test_what_a_check_started_goes_with_it(pool: Workers):
    """Of ten million checks that hang, none may leave a process behind."""
    with pytest.raises(VerifierError, match="no verdict"):
        pool.call(_with_a_child, timeout_s=1)
    until = time.monotonic() + 10
    while "sleep\0345" in "".join(_commands()) and time.monotonic() < until:
        time.sleep(0.05)
    assert "sleep\0345" not in "".join(_commands())


def _commands() -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield path.read_text()


def test_memory_is_bounded(pool: Workers):
    """A check that wants too much hears of it, and the machine doesn't."""
    with pytest.raises(MemoryError):
        pool.call(bytearray, workers.MEMORY_BYTES, timeout_s=60)


def test_the_server_of_forks_is_killed(pool: Workers):
    """Where it ends before it has made a worker, as by the kernel's hand, another makes it."""
    pool.call(math.sqrt, 4, timeout_s=10)
    server = forkserver._forkserver._forkserver_pid
    os.kill(server, signal.SIGSTOP)  # so that it is asked, and doesn't answer
    another = Workers(1)
    killing = threading.Timer(1, os.kill, (server, signal.SIGKILL))
    killing.start()
    assert another.call(math.sqrt, 9, timeout_s=10) == 3.0
    assert pool.call(math.sqrt, 4, timeout_s=10) == 2.0
    assert forkserver._forkserver._forkserver_pid != server
    another.close()


def test_no_process_to_be_had(monkeypatch: pytest.MonkeyPatch):
    """That is no sample's fault: one line that says so."""
    alone = Workers(1)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(alone._context, "Pipe", full)
    with pytest.raises(SetupError, match="Too many open files"):
        alone.call(math.sqrt, 4, timeout_s=10)
    monkeypatch.undo()
    assert alone.call(math.sqrt, 4, timeout_s=10) == 2.0
    alone.close()


GROUP = """
import signal, sys, time
from verifiers.workers import Workers
if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    pool = Workers(1)
    print("starting", flush=True)
    pool.call(time.sleep, 0, timeout_s=60)
    print("working", flush=True)
    pool.call(time.sleep, 1.5, timeout_s=60)
    print(pool.call(abs, -4, timeout_s=60), flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("when", ["starting", "working"])
def test_what_ends_a_build_reaches_no_check(tmp_path: Path, number: int, when: str):
    """A signal to a terminal's or a service's whole group is the build's alone: what is being judged gets its verdict."""
    script = tmp_path / "build.py"
    script.write_text(GROUP)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, start_new_session=True) as build:
        assert build.stdout is not None
        while build.stdout.readline().strip() != when:
            pass
        for _ in range(5):
            os.killpg(build.pid, number)
            time.sleep(0.05)
        assert build.stdout.read().split()[-1] == "4"


def test_a_neighbour_is_not_disturbed(pool: Workers):
    """While one worker hangs, the other one works."""
    hanging = threading.Thread(target=lambda: pool.call(time.sleep, 1.5, timeout_s=60))
    hanging.start()
    began = time.monotonic()
    assert pool.call(math.sqrt, 4, timeout_s=10) == 2.0
    assert time.monotonic() - began < 1.2
    hanging.join()


def test_it_is_replaced_before_it_leaks(pool: Workers, monkeypatch: pytest.MonkeyPatch):
    """After so many calls a worker gives its memory back."""
    monkeypatch.setattr(workers, "CALLS", 2)
    alone = Workers(1)
    processes = [alone.call(os.getpid, timeout_s=10) for _ in range(4)]
    assert processes[0] == processes[1] != processes[2] == processes[3]
    alone.close()


def test_no_worker_outlives_a_killed_build(tmp_path: Path):
    """Not even one that hangs."""
    script = tmp_path / "build.py"
    script.write_text(
        "import os, threading, time\n"
        "from verifiers.workers import Workers\n"
        "if __name__ == '__main__':\n"
        "    pool = Workers(1)\n"
        "    print(pool.call(os.getpid, timeout_s=60), flush=True)\n"
        "    pool.call(time.sleep, 600, timeout_s=600)\n"
    )
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as build:
        assert build.stdout is not None
        worker = int(build.stdout.readline())
        time.sleep(0.3)
        build.kill()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{worker}").exists()
