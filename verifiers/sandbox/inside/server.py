"""The fork server: process 1 of a jail. It forks a warm interpreter for each sample, and leaves nothing of the sample behind.

It never reads a sample's text: the child does, after it has given up its privileges. So nothing of one sample can be found in
the memory that the next one inherits. The host says what to do over one socket:

    run {mode, limits} + descriptors     fork a child, which takes the descriptors
    end                                  kill everything but this process, clean up, answer {"status": …}

and hears {"ready": …} once, {"exit": …} when a child ends by itself.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import random
import select
import signal
import socket
import sys
import threading
from contextlib import suppress
from typing import Any, NoReturn

from verifiers.sandbox.inside import lockdown, program, solution, tester, uses

# What most code imports. Not what brings large libraries along, such as hashlib: each mapping costs every fork a microsecond.
WARM = (
    "abc", "bisect", "calendar", "collections", "contextlib", "copy", "dataclasses", "datetime", "decimal", "enum", "fractions",
    "functools", "heapq", "itertools", "json", "math", "numbers", "operator", "random", "re", "string", "struct", "textwrap",
    "threading", "time", "typing",
)  # fmt: skip
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
    quiet = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(quiet, number)
    os.close(quiet)
    gc.collect()
    gc.freeze()
    control.send(json.dumps({"ready": True}).encode())
    while _serve(control):
        pass


def warm_up(seed: int) -> None:
    """Do everything once, so that a child finds it done. What a child has to write to its memory costs a page each time."""
    lockdown.share_one_heap()
    for name in WARM:
        importlib.import_module(name)
    job = {**uses.prepare(REHEARSAL_TESTS, "add", "import math"), "output_bytes": 1000}
    for _ in range(REHEARSALS):
        _rehearse(job)
    for name in ("solution", "pytest"):
        del sys.modules[name]
    random.seed(seed)  # for all samples alike: a verdict is a function of its inputs


class _Rehearsed(BaseException):
    pass


def _rehearse(job: dict[str, Any]) -> None:
    """Run one sample in this process, our own code on both ends."""
    kept = sys.stdout, sys.stderr
    verdicts: list[tuple[str, str]] = []

    def end(kind: str, reason: str = "") -> NoReturn:
        verdicts.append((kind, reason))
        raise _Rehearsed

    ours, theirs = socket.socketpair()
    code = threading.Thread(target=solution.main, args=(REHEARSAL, theirs), daemon=True)
    code.start()
    try:
        with suppress(_Rehearsed):
            tester.judge(job, ours, end)
    finally:
        sys.stdout, sys.stderr = kept
        ours.close()
    code.join()
    theirs.close()
    if verdicts != [("passed", "")]:
        raise RuntimeError(f"the rehearsal went wrong: {verdicts}")


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


def _serve(control: socket.socket) -> bool:
    """Serve one sample. Return whether there may be another."""
    message, descriptors, _, _ = socket.recv_fds(control, 1 << 16, 8)
    if not message:
        return False
    job = json.loads(message)
    if job["do"] == "end":  # of a sample that never began
        control.send(b'{"status": null}')
        return True
    lockdown.clean_scratch(job["file_bytes"])
    child = os.fork()
    if child == 0:
        control.close()
        _become(job, descriptors)
    for number in descriptors:
        os.close(number)
    watch = os.pidfd_open(child)
    ready = select.poll()
    ready.register(control, select.POLLIN)
    ready.register(watch, select.POLLIN)
    status = None
    while True:
        happened = [number for number, _ in ready.poll()]
        if control.fileno() in happened:
            break
        _, status = os.waitpid(child, 0)
        ready.unregister(watch)
        control.send(json.dumps({"exit": status}).encode())
    if not control.recv(1 << 16):
        return False
    os.close(watch)
    _kill_all()
    control.send(json.dumps({"status": status}).encode())
    return True


def _kill_all() -> None:
    """End every process of the jail but this one: as process 1 of its namespace, it is the only one that a -1 leaves out."""
    while True:
        with suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        try:
            while True:
                os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _become(job: dict[str, Any], descriptors: list[int]) -> NoReturn:
    """Turn the child into the sample's process."""
    code = 1
    try:
        os.setsid()
        os.sched_setaffinity(0, {job["processor"]})
        payload, *others = descriptors
        for number in descriptors:
            os.set_inheritable(number, False)
        lockdown.lock_down(job)
        text = _read(payload)
        if job["mode"] == "program":
            for number, target in zip(others, (0, 1, 2), strict=True):
                os.dup2(number, target)
                os.close(number)
            code = program.execute(job, text) if "command" in job else program.main(text)
        elif job["mode"] == "solution":
            output, talk = others
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.close(output)
            sys.stderr = open(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
            solution.main(text, socket.socket(fileno=talk))
            code = 0
        else:
            verdict, talk = others
            tester.main({**json.loads(text), "output_bytes": job["output_bytes"]}, socket.socket(fileno=talk), verdict)
    finally:
        os._exit(code)


def _read(descriptor: int) -> str:
    chunks = []
    while chunk := os.read(descriptor, 1 << 20):
        chunks.append(chunk)
    os.close(descriptor)
    return b"".join(chunks).decode()
