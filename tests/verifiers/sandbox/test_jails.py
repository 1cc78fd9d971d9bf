"""Jails are lent, replaced when they are damaged, and gone when whoever started them is gone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from storage.errors import SetupError
from verifiers.sandbox import bubblewrap
from verifiers.sandbox.jail import Jail
from verifiers.sandbox.judge import BubblewrapSandbox
from verifiers.sandbox.protocol import Limits, Program, PythonJob, Sandbox

ADD = PythonJob(source="def add(a, b): return a + b", tests="assert add(2, 3) == 5")
SLOW = PythonJob(source="import time\ndef add(a, b):\n    time.sleep(1)\n    return a + b", tests="assert add(2, 3) == 5")
ROOT = Path(__file__).parents[3]


def alive(process: int) -> bool:
    """Say whether a process runs."""
    try:
        return (Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]) != "Z"
    except (FileNotFoundError, ProcessLookupError):  # it may end between the opening and the reading
        return False


def wait_for(condition) -> bool:
    """Wait until something is so."""
    end = time.monotonic() + 10
    while time.monotonic() < end and not condition():
        time.sleep(0.02)
    return condition()


def test_it_is_a_sandbox(sandbox):
    """The class keeps the protocol."""
    assert isinstance(sandbox, Sandbox)


def test_every_folder_is_open_to_samples(judge):
    """Wherever the interpreter is (/usr for a distribution's own), a sample may read all folders on the way to its modules."""
    source = """
        def closed():
            import os
            found = []
            for _ in os.walk("/", onerror=lambda error: found.append(error.filename)):
                pass
            return found
    """
    result = judge(source, "assert closed() == [], closed()")
    assert (result.passed, result.reason) == (True, "")


def test_jails_are_used_again(sandbox):
    """A sample that behaves leaves its jails to the next one."""
    sandbox.run_python(ADD, Limits())
    before = {jail.child for jail in sandbox.pool.idle}
    for _ in range(5):
        assert sandbox.run_python(ADD, Limits()).passed is True
    assert {jail.child for jail in sandbox.pool.idle} == before


def test_a_jail_that_was_killed_is_replaced(sandbox):
    """Idle or at work, a killed jail costs a sample some time and never its verdict."""
    sandbox.run_python(ADD, Limits())
    for jail in list(sandbox.pool.idle):
        os.kill(jail.child, signal.SIGKILL)
    assert sandbox.run_python(ADD, Limits()).passed is True

    found = []
    thread = threading.Thread(target=lambda: found.append(sandbox.run_python(SLOW, Limits())))
    known = [jail.child for jail in sandbox.pool.idle if alive(jail.child)]
    thread.start()
    time.sleep(0.4)
    for child in known:
        os.kill(child, signal.SIGKILL)
    thread.join()
    assert found[0].passed is True


def test_a_jail_that_met_a_limit_is_not_used_again(sandbox):
    """After an endless loop, the jail is thrown out with everything in it."""
    sandbox.run_python(ADD, Limits())
    before = {jail.child for jail in sandbox.pool.idle}
    assert sandbox.run_python(PythonJob(source="while True: pass", tests="assert x"), Limits(wall_s=0.5)).passed is False
    after = {jail.child for jail in sandbox.pool.idle}
    gone = before - after
    assert len(gone) == 2
    assert wait_for(lambda: not any(map(alive, gone)))


def test_many_threads_at_once():
    """Verdicts don't get mixed up between threads, and no more jails are started than are needed."""
    own = BubblewrapSandbox(2)

    def judge(number):
        job = PythonJob(source=f"def f(x): return x + {number}", tests=f"assert f(1) == {1 + number - number % 2}")
        return own.run_python(job, Limits()).passed is (number % 2 == 0)

    with ThreadPoolExecutor(12) as threads:
        assert all(threads.map(judge, range(60)))
    assert len(own.pool.idle) == 4
    children = [jail.child for jail in own.pool.idle]
    own.close()
    assert wait_for(lambda: not any(map(alive, children)))


PARENT = """
import sys, time
from verifiers.sandbox.judge import default
from verifiers.sandbox.protocol import Limits, PythonJob
assert default().run_python(PythonJob(source="def f(): return 1", tests="assert f() == 1"), Limits()).passed
print(*[n for jail in default().pool.idle for n in (jail.child, jail.process.pid)], flush=True)
if sys.argv[1] == "wait":
    time.sleep(100)
"""


@pytest.mark.parametrize("how", ["ends", "is killed"])
def test_jails_die_with_their_parent(how):
    """Neither the end of Python nor a SIGKILL leaves a process behind."""
    argument = "wait" if how == "is killed" else "end"
    with subprocess.Popen([sys.executable, "-c", PARENT, argument], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        numbers = [int(word) for word in parent.stdout.readline().split()]
        assert len(numbers) == 4
        if how == "is killed":
            assert all(map(alive, numbers))
            parent.kill()
    assert wait_for(lambda: not any(map(alive, numbers)))


def test_without_bubblewrap_nothing_is_run(monkeypatch):
    """Where bubblewrap is missing, the error says in one line what to install; there is no weaker way."""
    monkeypatch.setattr(bubblewrap.shutil, "which", lambda _name: None)
    with pytest.raises(SetupError, match="apt install bubblewrap") as error:
        BubblewrapSandbox(1).run_python(ADD, Limits())
    assert "\n" not in str(error.value)


def test_a_bubblewrap_that_fails_is_quoted(monkeypatch, tmp_path):
    """Where bubblewrap can't make a jail, the error quotes it."""
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: no namespaces for you' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(bubblewrap.shutil, "which", lambda _name: str(broken))
    with pytest.raises(SetupError, match="no namespaces for you"):
        Jail()


def test_a_forked_process_starts_jails_of_its_own(sandbox):
    """After os.fork, the child doesn't talk to its parent's jails."""
    sandbox.run_python(ADD, Limits())
    mine = {jail.child for jail in sandbox.pool.idle}
    assert mine
    child = os.fork()
    if child == 0:
        code = 1
        try:
            passed = sandbox.run_python(ADD, Limits()).passed is True
            code = 0 if passed and not mine & {jail.child for jail in sandbox.pool.idle} else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert sandbox.run_python(ADD, Limits()).passed is True
    assert {jail.child for jail in sandbox.pool.idle} == mine


def test_a_sample_is_judged_although_the_process_that_waited_for_it_was_killed():
    """Which says nothing of the sample: it runs in another jail."""
    own = BubblewrapSandbox(1)

    def kill_waiting():
        for jail in own.pool.idle:
            children = Path(f"/proc/{jail.child}/task/{jail.child}/children")
            assert wait_for(children.read_text)
            for number in map(int, children.read_text().split()):
                os.kill(number, signal.SIGKILL)
                assert wait_for(lambda number=number: not alive(number))

    try:
        for answer in (42, 41):
            assert own.execute(Program(source=f"print({answer})"), "", Limits()).stdout == f"{answer}\n"
            kill_waiting()
        for _ in range(2):
            assert own.run_python(ADD, Limits(wall_s=1)).passed is True
            kill_waiting()
    finally:
        own.close()


def test_a_jail_whose_socket_was_dropped_is_none(monkeypatch):
    """As the system does where too many files are open: no sample's text may go where the fork server's orders do."""
    take = socket.recv_fds

    def full(*given):
        message, descriptors, flags, address = take(*given)
        for number in descriptors:
            os.close(number)
        return message, [], flags, address

    monkeypatch.setattr(socket, "recv_fds", full)
    with pytest.raises(SetupError, match="too many files are open"):
        Jail()


def test_large_lists_are_not_mapped_anew_each(judge):
    """What the fork server tells the C library's allocator leaves a sample as fast as anywhere."""
    source = """
        import resource
        def faults():
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            for _ in range(100):
                large = [0] * 50_000
                large[1] = 1
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    """
    result = judge(source, "found = faults()\nassert found < 2_000, found")
    assert (result.passed, result.reason) == (True, "")


def test_a_program_that_the_code_leaves_behind_keeps_nobody_waiting(judge):
    """It has no part of the line to the tests, which hear at once that the code has ended."""
    source = """
        import os, sys
        if os.fork() == 0:
            os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(60)"])
        def f():
            os._exit(3)
        """
    result = judge(source, "assert f() == 1", wall_s=60)
    assert (result.passed, "the code ended its process" in result.reason) == (False, True), result


def test_samples_of_several_kinds_take_turns(sandbox):
    """The process that waits for a sample of one kind is replaced before one of another kind comes."""
    for _ in range(3):
        assert sandbox.execute(Program(source="print(42)"), "", Limits()).stdout == "42\n"
        assert sandbox.run_python(ADD, Limits()).passed is True
        assert sandbox.run_python(ADD, Limits(memory_bytes=300 << 20)).passed is True


@pytest.mark.parametrize("size", [0, 1, 1 << 16, (1 << 16) + 1, 1 << 20])
def test_a_text_of_any_size_arrives(sandbox, size):
    """Whether it goes with the message that starts the sample, or as a file."""
    source = "print(42)" if size else ""
    assert sandbox.execute(Program(source=source.ljust(size)), "", Limits()).stdout == ("42\n" if source else "")
