"""What a sample's process gives up before it sees anything of the sample: system calls, privileges, resources."""

from __future__ import annotations

import ctypes
import os
import resource
from typing import Any

from verifiers.sandbox.inside import seccomp

USER = 1000
SCRATCH = b"/tmp"
NO_NEW_PRIVILEGES, SET_SECCOMP, FILTER = 38, 22, 2
NOSUID_NODEV_NOATIME, NOSUID_NODEV_NOEXEC, DETACH = 0x406, 0x0E, 2
ARENA_MAX = -8
CAPABILITY_VERSION = 0x20080522
OPEN_FILES = 128

_libc = ctypes.CDLL(None, use_errno=True)
# Made once: making them in each child would have it write to a page for each.
_capset = _libc.capset
_header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
_none = (ctypes.c_uint32 * 6)()


class _Program(ctypes.Structure):
    _fields_ = (("count", ctypes.c_ushort), ("code", ctypes.c_char_p))


_code = seccomp.program()
_filter = _Program(len(_code) // 8, _code)


def _must(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


_fresh: list[Any] = []
"""What the scratch file system looks like as long as nobody has written to it, after its size."""


def clean_scratch(size: int) -> None:
    """Put an empty file system, and thereby nothing of any other sample, where a sample may write."""
    if _fresh == [size, *_look()]:  # mounting costs as much as a fork
        return
    _libc.umount2(SCRATCH, DETACH)
    options = f"size={size},nr_inodes=2048,mode=1777".encode()
    _must(_libc.mount(b"tmpfs", SCRATCH, b"tmpfs", NOSUID_NODEV_NOATIME, options), "mount")
    # Where samples share this process's user, they may hang a text on the folder itself.
    _fresh[:] = [size, *_look()] if os.getuid() == 0 else []


def _look() -> list[Any]:
    """Return what any change to the scratch folder changes. With equal times, it still has its files, names and mode."""
    folder, system = os.stat(SCRATCH), os.statvfs(SCRATCH)  # noqa: PTH116 - pathlib does more than it
    return [
        folder.st_dev, folder.st_mtime_ns, folder.st_ctime_ns, folder.st_mode, folder.st_nlink, folder.st_size, folder.st_uid,
        folder.st_gid, system.f_bfree, system.f_ffree,
    ]  # fmt: skip


def mount_processes() -> None:
    """Put the jail's own processes into /proc, and nothing of the machine; a sample sees no process but its user's."""
    _must(_libc.mount(b"proc", b"/proc", b"proc", NOSUID_NODEV_NOEXEC, b"subset=pid,hidepid=invisible"), "mount /proc")


def share_one_heap() -> None:
    """Let threads use one heap: one for each would take 64 MB of address space, which the memory limit counts."""
    _libc.mallopt(ARENA_MAX, 1)


def filter_calls() -> None:
    """Filter the system calls of this process and its descendants, for good.

    The fork server does it once, for all samples: setting up a filter costs as much as a fork.
    """
    _must(_libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0), "no_new_privs")
    _must(_libc.prctl(SET_SECCOMP, FILTER, ctypes.byref(_filter), 0, 0), "seccomp")


def lock_down(limits: dict[str, Any]) -> None:
    """Bind this process, and whatever it starts, to the limits. There is no way back."""
    # As the host's root, the jail maps a second, unprivileged user for samples, and its processes alone count. Otherwise
    # samples share the fork server's user, which adds one process to theirs.
    separate = os.getuid() == 0
    for kind, value in (
        (resource.RLIMIT_CPU, limits["cpu_s"]),
        (resource.RLIMIT_AS, limits["memory_bytes"]),
        (resource.RLIMIT_FSIZE, limits["file_bytes"]),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, limits["processes"] + (not separate)),
        (resource.RLIMIT_DATA, limits.get("data_bytes", resource.RLIM_INFINITY)),
    ):
        resource.setrlimit(kind, (value, value))
    os.chdir(SCRATCH)
    if separate:
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)
        return  # and with root go all capabilities, which the probe makes sure of
    _must(_capset(_header, _none), "capset")


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
