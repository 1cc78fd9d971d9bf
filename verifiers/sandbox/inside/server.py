"""The fork server: process 1 of a jail. It forks a warm interpreter for each sample, and leaves nothing of the sample behind.

It never reads a sample's text: the child does, after it has given up its privileges. So nothing of one sample can be found in
the memory that the next one inherits. The host says what to do over one socket:

    {mode, limits}     kill everything but this process, answer {"status": …}, and fork a child that binds itself to these limits
    end                the same, with the limits that hold already

and hears {"ready": …} once, {"exit": …} when a child ends by itself, unless it is a function's, which its tests miss anyway.
With "ready" comes a second socket, for samples: the child waits there for its text and its descriptors. A status with "used" says
that what ended has left something in the jail's network, so that the jail should take no other sample.
"""

from __future__ import annotations

import builtins
import gc
import json
import marshal
import os
import random
import select
import signal
import socket
import sys
import threading
from typing import Any, NoReturn

from verifiers.sandbox.inside import lockdown, loopback, memory, program, solution, tester, uses
from verifiers.sandbox.inside.guard import Guard
from verifiers.sandbox.inside.orders import END, INLINE

NO_STATUS = b'{"status": null}'
MESSAGE = 1 << 12
CONTROL, JOBS, KERNEL = 10, 11, 12
"""The descriptors of the two sockets, and of the one over which the network is watched. A sample's own come below them."""
TALK = 3
"""The descriptor that leads to the tests, or from the tests to the host; 0, 1 and 2 are what they are everywhere."""
ROOM = socket.CMSG_SPACE(4 * CONTROL)
_texts = [bytearray(INLINE)]
_text = memoryview(_texts[0])
REHEARSALS = 12  # enough for the interpreter to have specialised its byte code
REHEARSAL = "from typing import List\n\ndef add(a: List[int], b):\n    print(a)\n    return [x + b for x in sorted(a)]\n"
REHEARSAL_TESTS = (
    "def check(candidate):\n    for n in range(9):\n        assert candidate([n, 1.5, 'a'][:2], 1) == sorted([n + 1, 2.5]), ''"
)


def main(control_number: int, proc: bool) -> None:
    """Serve until the host is gone, with the jail's processes in /proc if so asked. Expects that `warm_up` has run."""
    control = _moved(socket.socket(fileno=control_number), CONTROL)
    os.environ.clear()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        if proc:
            lockdown.mount_processes()
        _probe(network=loopback.watch(KERNEL))
    except OSError as error:
        control.send(json.dumps({"ready": False, "why": str(error)}).encode())
        return
    os.closerange(TALK, CONTROL)  # bubblewrap leaves its own open
    os.closerange(KERNEL + 1, lockdown.OPEN_FILES)
    jobs, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    jobs = _moved(jobs, JOBS)
    stage = solution.set_up(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, os.dup(JOBS)))
    if stage.peer.sock.fileno() != TALK:
        raise RuntimeError("the descriptors aren't what they should be")
    socket.send_fds(control, [json.dumps({"ready": True}).encode()], [theirs.fileno()])
    theirs.close()
    os.closerange(0, CONTROL)  # each sample brings its own, under the numbers that are free
    memory.fill_gaps()
    gc.freeze()
    _serve(control, jobs, stage)


def _moved(sock: socket.socket, number: int) -> socket.socket:
    """Return a socket under another descriptor."""
    if sock.fileno() == number:
        return sock
    with sock:
        os.dup2(sock.fileno(), number, inheritable=False)
        return socket.socket(sock.family, sock.type, sock.proto, number)


def warm_up(seed: int) -> None:
    """Do everything once, so that a child finds it done. What a child has to write to its memory costs a page each time."""
    lockdown.share_one_heap()
    job = marshal.loads(uses.prepare(REHEARSAL_TESTS, "add", "import math").payload)  # noqa: S302 - our own
    for _ in range(REHEARSALS):
        _rehearse(job)
    for name in ("solution", "pytest"):
        del sys.modules[name]
    random.seed(seed)  # for all samples alike: a verdict is a function of its inputs


def _rehearse(job: dict[str, Any]) -> None:
    """Run one sample in this process, our own code on both ends."""
    kept = sys.stdout, sys.stderr, sys.stdin, builtins.input
    jobs, inner = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours, theirs = socket.socketpair()
    lockdown.lock_down([(os.getpid, ()), (os.kill, (os.getpid(), 0))])
    with jobs, inner:
        socket.send_fds(jobs, [b"x"], [0])
        os.close(_take(inner)[1])
    code = threading.Thread(target=solution.main, args=(REHEARSAL, solution.Stage(theirs)), daemon=True)
    code.start()
    try:
        verdict = tester.judge(job, Guard(ours, _broken, 1000), None)
    finally:
        sys.stdout, sys.stderr, sys.stdin, builtins.input = kept
        ours.close()
    code.join()
    theirs.close()
    if verdict != ("passed", "", None, True):
        raise RuntimeError(f"the rehearsal went wrong: {verdict}")


def _broken(reason: str, kind: str = "") -> NoReturn:  # noqa: ARG001
    raise RuntimeError(f"the rehearsal went wrong: {reason}")


def _probe(*, network: bool) -> None:
    """Make sure that the limits can be set here before any sample relies on them."""
    lockdown.filter_calls(network=network)
    lockdown.clean_scratch(1 << 20)
    reading, writing = os.pipe()
    child = lockdown.fork()
    if child == 0:
        try:
            limits = {"cpu_s": 10, "memory_bytes": 1 << 30, "file_bytes": 1 << 20, "processes": 4}
            lockdown.lock_down(lockdown.steps_to(limits))
            lockdown.check()
        except BaseException as error:  # noqa: BLE001 - told to the parent
            os.write(writing, str(error).encode() or b"unknown")
        os._exit(0)
    os.close(writing)
    why = os.read(reading, 4096)
    os.close(reading)
    os.waitpid(child, 0)
    if why:
        raise OSError(why.decode())


def _serve(control: socket.socket, jobs: socket.socket, stage: solution.Stage) -> None:
    """Serve samples until the host is gone.

    What this process writes to after a fork costs it a page each: so it does little in between, and most of it here.
    """
    child = 0
    job: dict[str, Any] = {}
    steps: lockdown.Steps = []
    while message := control.recv(MESSAGE):
        status = _kill_all(child)
        lockdown.drop_message(JOBS)  # of a process that never came to read it
        if message != END:
            job = json.loads(message)
            steps = lockdown.steps_to(job)
            os.sched_setaffinity(0, {job["processor"]})  # and thereby the children's
        if loopback.used(KERNEL):
            control.send(json.dumps({"status": status, "used": True}).encode())
            return
        control.send(NO_STATUS if status is None else b'{"status": %d}' % status)
        lockdown.clean_scratch(job["file_bytes"])
        child = lockdown.fork()
        if child == 0:
            _become(job, steps, jobs, stage)
        if job["mode"] != "solution" and _tell_of_exit(control, child):
            child = 0


def _tell_of_exit(control: socket.socket, child: int) -> bool:
    """Wait for the host. Tell it if the child ends before, and whether that was so."""
    watch = os.pidfd_open(child)
    try:
        ready = select.poll()
        ready.register(control, select.POLLIN)
        ready.register(watch, select.POLLIN)
        if control.fileno() in [number for number, _ in ready.poll()]:
            return False
        _, status = os.waitpid(child, 0)
        control.send(json.dumps({"exit": status}).encode())
        return True
    finally:
        os.close(watch)


def _kill_all(child: int) -> int | None:
    """End every process of the jail but this one: as process 1 of its namespace, it is the only one that a -1 leaves out.

    Whoever loses its parent becomes this one's child, so there is nobody left once there is nobody to wait for. Return the
    child's wait status, if it had ended by itself. `child` is 0 where there is none any more.
    """
    ended, status = os.waitpid(child, os.WNOHANG) if child else (0, 0)
    lockdown.kill_all()
    return status if ended else None


def _take(jobs: socket.socket) -> tuple[int, int]:
    """Wait for a sample. Return the size of its text, and its last descriptor."""
    size, received, _, _ = jobs.recvmsg_into(_texts, ROOM)
    return size, int.from_bytes(received[0][2][-4:], sys.byteorder)


def _become(job: dict[str, Any], steps: lockdown.Steps, jobs: socket.socket, stage: solution.Stage) -> NoReturn:
    """Turn the child into a sample's process."""
    code = 1
    try:
        lockdown.lock_down(steps)
        size, last = _take(jobs)
        os.closerange(CONTROL, KERNEL + 1)
        if last >= CONTROL:
            raise RuntimeError("the descriptors aren't what they should be")
        if job["mode"] == "tests":
            os.closerange(TALK + 1, CONTROL)
            os.set_inheritable(TALK, False)  # nor may one that the tests start give the verdict
            tester.main(socket.socket(fileno=TALK))
        source = str(_text[:size], "utf-8") if size else tester.read(last).decode()
        if job["mode"] == "solution":
            os.set_inheritable(TALK, False)  # a program that the code leaves behind must not keep the tests waiting
            solution.main(source, stage)
            code = 0
        else:
            code = program.execute(job, source) if "command" in job else program.main(source)
    finally:
        os._exit(code)
