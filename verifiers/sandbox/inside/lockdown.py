"""What a sample's process gives up before it sees anything of the sample: system calls, privileges, resources."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
from collections.abc import Callable
from typing import Any

from verifiers.sandbox.inside import seccomp

USER = 1000
SCRATCH = b"/tmp"
NO_NEW_PRIVILEGES, SET_SECCOMP, FILTER = 38, 22, 2
NOSUID_NODEV_NOATIME, NOSUID_NODEV_NOEXEC, DETACH = 0x406, 0x0E, 2
ARENA_MAX, TRIM_THRESHOLD, MAP_THRESHOLD = -8, -1, -3
HERE, BASIC_STATS = -100, 0x7FF
CAPABILITY_VERSION = 0x20080522
OPEN_FILES = 128

Steps = list[tuple[Callable[..., Any], tuple[Any, ...]]]

_libc = ctypes.CDLL(None, use_errno=True)
# Made once: making them in each child would have it write to a page for each.
_capset = _libc.capset
# The plain call, where the C library has it. Not through CDLL, which gives up Python's lock meanwhile.
_fork = getattr(ctypes.PyDLL(None, use_errno=True), "_Fork", os.fork)
_header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
_none = (ctypes.c_uint32 * 6)()


class _Program(ctypes.Structure):
    _fields_ = (("count", ctypes.c_ushort), ("code", ctypes.c_char_p))


def _must(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


LOOK = 512
_look, _fresh = (ctypes.create_string_buffer(LOOK) for _ in range(2))
"""What the scratch folder looks like, and what it looks like as long as nobody has written to it."""
_fresh_size: list[int] = []


def clean_scratch(size: int) -> None:
    """Put an empty file system, and thereby nothing of any other sample, where a sample may write."""
    if _fresh_size == [size]:  # mounting costs as much as a fork
        _see(_look)
        if _libc.memcmp(_look, _fresh, LOOK) == 0:
            return
    _libc.umount2(SCRATCH, DETACH)
    options = f"size={size},nr_inodes=2048,mode=1777".encode()
    _must(_libc.mount(b"tmpfs", SCRATCH, b"tmpfs", NOSUID_NODEV_NOATIME, options), "mount")
    os.chdir(SCRATCH)
    _see(_fresh)
    # Where samples share this process's user, they may hang a text on the folder itself.
    _fresh_size[:] = [size] if os.getuid() == 0 else []


def _see(look: ctypes.Array[ctypes.c_char]) -> None:
    """Note what any change to the scratch folder changes. With equal times, it still has its files, names and mode.

    Not by way of `os`, which would make a number of each field.
    """
    _must(_libc.statx(HERE, SCRATCH, 0, BASIC_STATS, look), "statx")
    _must(_libc.statvfs(SCRATCH, ctypes.byref(look, LOOK // 2)), "statvfs")


def mount_processes() -> None:
    """Put the jail's own processes into /proc, and nothing of the machine; a sample sees no process but its user's."""
    _must(_libc.mount(b"proc", b"/proc", b"proc", NOSUID_NODEV_NOEXEC, b"subset=pid,hidepid=invisible"), "mount /proc")


def share_one_heap() -> None:
    """Let threads use one heap: one for each would take 64 MB of address space, which the memory limit counts."""
    _libc.mallopt(ARENA_MAX, 1)
    # A child that gives memory back writes to more of it. Once one of the two is set the C library adjusts neither, and would
    # map each list of 16,000 items anew: these are as far as it adjusts them by itself.
    _libc.mallopt(TRIM_THRESHOLD, 64 << 20)
    _libc.mallopt(MAP_THRESHOLD, 32 << 20)


def filter_calls(*, network: bool) -> None:
    """Filter the system calls of this process and its descendants, for good. `network`: they may use the loop-back device.

    The fork server does it once, for all samples: setting up a filter costs as much as a fork.
    """
    code = seccomp.program(network=network)
    _must(_libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0), "no_new_privs")
    _must(_libc.prctl(SET_SECCOMP, FILTER, ctypes.byref(_Program(len(code) // 8, code)), 0, 0), "seccomp")


def fork() -> int:
    """Fork, without what Python and the C library do for processes with threads, which costs a hundred pages' writing.

    There is one thread, and it holds no lock.
    """
    child: int = _fork()
    _must(min(child, 0), "fork")
    return child


def kill_all() -> None:
    """Kill every process that this one may signal, as process 1 of its namespace, and wait for them all."""
    _libc.kill(-1, signal.SIGKILL)
    while _libc.waitpid(-1, None, 0) > 0:
        pass


def drop_message(number: int) -> None:
    """Drop the message that waits at a socket, if there is one, unread."""
    _libc.recv(number, None, 0, socket.MSG_DONTWAIT)


def steps_to(limits: dict[str, Any]) -> Steps:
    """Return what a process has to do to bind itself, and whatever it starts, to the limits. There is no way back."""
    # As the host's root, the jail maps a second, unprivileged user for samples, and its processes alone count. Otherwise
    # samples share the fork server's user, which adds one process to theirs.
    separate = os.getuid() == 0
    bounds = {
        resource.RLIMIT_CPU: limits["cpu_s"],
        resource.RLIMIT_AS: limits["memory_bytes"],
        resource.RLIMIT_FSIZE: limits["file_bytes"],
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: limits["processes"] + (not separate),
        resource.RLIMIT_DATA: limits.get("data_bytes", resource.RLIM_INFINITY),
    }
    steps: Steps = [(os.setsid, ())]
    steps += [(resource.setrlimit, (kind, (value, value))) for kind, value in bounds.items()]
    if separate:  # and with root go all capabilities, which the probe makes sure of
        return [*steps, (os.setgroups, ([],)), (os.setresgid, (USER,) * 3), (os.setresuid, (USER,) * 3)]
    return [*steps, (_drop_capabilities, ())]


def _drop_capabilities() -> None:
    _must(_capset(_header, _none), "capset")


def lock_down(steps: Steps) -> None:
    """Take the steps."""
    for call, arguments in steps:
        call(*arguments)


def check() -> None:
    """Raise unless this process, which has been locked down, is refused what it should be."""
    if 0 in {*os.getresuid(), *os.getresgid()}:
        raise OSError("a sample would run as root")
    if _libc.umount2(SCRATCH, DETACH) == 0:
        raise OSError("a sample would keep the fork server's capabilities")
    try:
        os.close(os.memfd_create("probe"))
    except PermissionError:
        return
    raise OSError("the filter of system calls doesn't hold")
