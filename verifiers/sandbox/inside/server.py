"""The fork server: process 1 of a jail. It forks a warm interpreter for each sample, and leaves nothing of the sample behind.

It never reads a sample's text: the child does, after it has given up its privileges. So nothing of one sample can be found in
the memory that the next one inherits. The host says what to do over one socket:

    run {mode, limits} + descriptors     fork a child, which takes the descriptors
    end                                  kill everything but this process, answer {"status": …}

and hears {"ready": …} once, {"exit": …} when a child ends by itself, unless it is a function's, which its tests miss anyway.
"""

from __future__ import annotations

import builtins
import gc
import importlib
import json
import marshal
import os
import random
import select
import signal
import socket
import struct
import sys
import threading
from contextlib import suppress
from typing import Any, NoReturn

from verifiers.sandbox.inside import lockdown, program, solution, tester, uses
from verifiers.sandbox.inside.guard import Guard

# What most code imports. Not what brings large libraries along, such as hashlib: each mapping costs every fork a microsecond.
WARM = (
    "abc", "bisect", "calendar", "collections", "contextlib", "copy", "dataclasses", "datetime", "decimal", "enum", "fractions",
    "functools", "heapq", "itertools", "json", "math", "numbers", "operator", "random", "re", "string", "struct", "textwrap",
    "threading", "time", "typing",
)  # fmt: skip
END, NO_STATUS = b'{"do": "end"}', b'{"status": null}'
MESSAGE, DESCRIPTORS = 1 << 12, 4
REHEARSALS = 12  # enough for the interpreter to have specialised its byte code
REHEARSAL = "from typing import List\n\ndef add(a: List[int], b):\n    print(a)\n    return [x + b for x in sorted(a)]\n"
REHEARSAL_TESTS = (
    "def check(candidate):\n    for n in range(9):\n        assert candidate([n, 1.5, 'a'][:2], 1) == sorted([n + 1, 2.5]), ''"
)


def main(control_number: int, proc: bool) -> None:
    """Serve until the host is gone, with the jail's processes in /proc if so asked. Expects that `warm_up` has run."""
    control = socket.socket(fileno=control_number)
    os.environ.clear()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        if proc:
            lockdown.mount_processes()
        _probe()
    except OSError as error:
        control.send(json.dumps({"ready": False, "why": str(error)}).encode())
        return
    os.closerange(3, control_number)  # bubblewrap leaves its own open
    os.closerange(control_number + 1, lockdown.OPEN_FILES)
    quiet = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(quiet, number)
    os.close(quiet)
    stage = solution.set_up()
    gc.collect()
    gc.freeze()
    control.send(json.dumps({"ready": True}).encode())
    _serve(control, stage)


def warm_up(seed: int) -> None:
    """Do everything once, so that a child finds it done. What a child has to write to its memory costs a page each time."""
    lockdown.share_one_heap()
    for name in WARM:
        importlib.import_module(name)
    job = marshal.loads(uses.prepare(REHEARSAL_TESTS, "add", "import math").payload)  # noqa: S302 - our own
    for _ in range(REHEARSALS):
        _rehearse(job)
    for name in ("solution", "pytest"):
        del sys.modules[name]
    random.seed(seed)  # for all samples alike: a verdict is a function of its inputs


def _rehearse(job: dict[str, Any]) -> None:
    """Run one sample in this process, our own code on both ends."""
    kept = sys.stdout, sys.stderr, sys.stdin, builtins.input
    ours, theirs = socket.socketpair()
    code = threading.Thread(target=solution.main, args=(REHEARSAL, theirs, solution.Stage()), daemon=True)
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


def _broken(reason: str) -> NoReturn:
    raise RuntimeError(f"the rehearsal went wrong: {reason}")


def _probe() -> None:
    """Make sure that the limits can be set here before any sample relies on them."""
    lockdown.filter_calls()
    lockdown.clean_scratch(1 << 20)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            lockdown.lock_down({"cpu_s": 10, "memory_bytes": 1 << 30, "file_bytes": 1 << 20, "processes": 4})
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


def _serve(control: socket.socket, stage: solution.Stage) -> None:
    """Serve samples until the host is gone.

    What this process writes to after a fork costs it a page each: so it does little in between, and most of it here.
    """
    known = b""
    job: dict[str, Any] = {}
    room = socket.CMSG_SPACE(4 * DESCRIPTORS)
    while True:
        message, received, _, _ = control.recvmsg(MESSAGE, room, socket.MSG_CMSG_CLOEXEC)
        if not message:
            return
        if message == END:  # of a sample that never began
            control.send(NO_STATUS)
            continue
        if message != known:  # most jobs are like the one before
            known, job = message, json.loads(message)
        lockdown.clean_scratch(job["file_bytes"])
        descriptors = [number for _, _, data in received for (number,) in struct.iter_unpack("i", data)]
        child = os.fork()
        if child == 0:
            control.close()
            _become(job, descriptors, stage)
        for number in descriptors:
            os.close(number)
        if job["mode"] != "solution":
            _tell_of_exit(control, child)
        if not control.recv(MESSAGE):
            return
        status = _kill_all(child)
        control.send(NO_STATUS if status is None else b'{"status": %d}' % status)


def _tell_of_exit(control: socket.socket, child: int) -> None:
    """Wait for the host, and tell it if the child ends before."""
    watch = os.pidfd_open(child)
    try:
        ready = select.poll()
        ready.register(control, select.POLLIN)
        ready.register(watch, select.POLLIN)
        if control.fileno() not in [number for number, _ in ready.poll()]:
            _, status = os.waitpid(child, 0)
            control.send(json.dumps({"exit": status}).encode())
    finally:
        os.close(watch)


def _kill_all(child: int) -> int | None:
    """End every process of the jail but this one: as process 1 of its namespace, it is the only one that a -1 leaves out.

    Whoever loses its parent becomes this one's child, so there is nobody left once there is nobody to wait for. Return the
    child's wait status, if it had ended by itself.
    """
    status = None
    with suppress(ChildProcessError):  # the host has been told before
        ended, found = os.waitpid(child, os.WNOHANG)
        status = found if ended else None
    with suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        return status


def _become(job: dict[str, Any], descriptors: list[int], stage: solution.Stage) -> NoReturn:
    """Turn the child into the sample's process."""
    code = 1
    try:
        os.setsid()
        os.sched_setaffinity(0, {job["processor"]})
        lockdown.lock_down(job)
        if job["mode"] == "tests":
            tester.main(socket.socket(fileno=descriptors[0]))
        payload, *others = descriptors
        text = tester.read(payload).decode()
        if job["mode"] == "program":
            for number, target in zip(others, (0, 1, 2), strict=True):
                os.dup2(number, target)
                os.close(number)
            code = program.execute(job, text) if "command" in job else program.main(text)
        else:
            os.close(0)
            os.open("/dev/null", os.O_RDONLY)  # a file of its own: all samples would share the other one's locks and flags
            output, talk = others
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.close(output)
            solution.main(text, socket.socket(fileno=talk), stage)
            code = 0
    finally:
        os._exit(code)
