"""The jail's walls: the command line of bubblewrap, and the start of the process in it.

What is bound is the interpreter, its standard library and the system's shared libraries, read-only; for programs in another
language, its interpreter as well, and /proc of the jail's own processes. There is no other /proc, no /sys, no /etc, no home, no
environment and no network; the one writable place is a tmpfs that the fork server renews for each sample.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from storage.errors import SetupError
from verifiers.sandbox.inside.seccomp import MACHINES
from verifiers.sandbox.languages import LANGUAGES, Language, binds

INSIDE = Path(__file__).parent / "inside"
HOME = "/jail"
USER = 1000
# The host's root maps samples to an unprivileged user of the host, because the kernel lets root have as many processes as it
# likes. Any user does that owns nothing; below 65536, so that it exists in a container's own user namespace as well.
HOST_USER = 65533
DEVICES = ("null", "zero", "full", "random", "urandom")
INSTALL = "install it (Debian, Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap)"
# Modules such as random and threading have themselves called in each forked child, which costs a tenth of a millisecond and makes
# random numbers differ from run to run. Nothing in the jail needs that.
CODE = """
import os, sys
kept, os.register_at_fork = os.register_at_fork, lambda **hooks: None
sys.path.append("/jail")
from verifiers.sandbox.inside import memory
memory.import_warm()
from verifiers.sandbox.inside import server
sys.path.pop()
server.warm_up({seed})
os.register_at_fork = kept
server.main({control}, {proc})
"""


def _folders(path: str) -> Iterator[str]:
    """Make the folders above a path readable by every user: bubblewrap would copy the modes of the host's."""
    for parent in reversed(Path(path).parents[:-1]):
        yield from ("--perms", "0755", "--dir", str(parent))


def _libraries() -> list[str]:
    multiarch = sysconfig.get_config_var("MULTIARCH")
    near = [f"{root}/{multiarch}" for root in ("/lib", "/usr/lib")] if multiarch else []
    if not any(Path(folder).is_dir() for folder in near):
        near = ["/lib", "/usr/lib", "/usr/lib64"]
    return [folder for folder in (*near, "/lib64") if Path(folder).is_dir()]


@functools.cache
def _interpreter() -> tuple[str, ...]:
    """Return the options that bind the interpreter, whoever installed it: the system, pyenv, uv."""
    # sys._base_executable is the one outside of any virtual environment.
    program = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    library = sysconfig.get_path("stdlib")
    shared = (
        sorted({str(path) for path in Path(sys.base_prefix, "lib").glob("libpython*.so*")}) if sys.base_prefix != "/usr" else []
    )
    options: list[str] = []
    for folder in _libraries():
        options += [*_folders(folder), "--ro-bind", folder, folder]
    for path in (program, library, *shared):
        options += [*_folders(path), "--ro-bind", path, path]
    for name in ("site-packages", "dist-packages", "test", "idlelib", "ensurepip"):
        if Path(library, name).is_dir():
            options += ["--tmpfs", f"{library}/{name}", "--remount-ro", f"{library}/{name}"]
    for path in ("/etc/ld.so.cache", "/usr/share/zoneinfo"):
        options += [*_folders(path), "--ro-bind-try", path, path]
    return (*options, "--", program)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What tells jails apart."""

    language: str = "python"
    """Whose interpreter is in it, beside Python's."""
    seed: int = 0
    """Of Python's hashes and random numbers."""


def _interpreter_of(language: Language) -> Iterator[str]:
    """Yield the options that bind another language's interpreter and what it needs.

    Such programs read /dev/stdin, and shells connect processes by /dev/fd: links to /proc, of which the fork server mounts what
    concerns the jail's own processes and nothing of the machine.
    """
    if not language.command:
        return
    for source, target in binds(language):
        yield from (*_folders(target), "--ro-bind", source, target)
    yield from ("--symlink", "usr/bin", "/bin", "--proc", "/proc", "--symlink", "/proc/self/fd", "/dev/fd")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        yield from ("--symlink", f"/proc/self/fd/{number}", f"/dev/{name}")


def _command(bwrap: str, options: Sequence[str], control: int, kind: Kind) -> list[str]:
    language = LANGUAGES[kind.language]
    *binds, _, program = _interpreter()
    command = [
        bwrap,
        "--unshare-user",
        "--unshare-pid",
        "--unshare-net",
        "--unshare-ipc",
        "--unshare-uts",
        "--unshare-cgroup-try",
    ]
    command += [
        "--die-with-parent",
        "--new-session",
        "--as-pid-1",
        "--hostname",
        "jail",
        "--clearenv",
        "--setenv",
        "PYTHONHASHSEED",
        str(kind.seed),
        "--setenv",
        "LD_BIND_NOW",  # else each sample's process looks up the addresses of functions
        "1",
    ]
    command += ["--cap-drop", "ALL", "--cap-add", "CAP_SYS_ADMIN", *options, *binds]
    command += [*_folders(f"{HOME}/verifiers/sandbox/inside"), "--ro-bind", str(INSIDE), f"{HOME}/verifiers/sandbox/inside"]
    command += ["--perms", "0755", "--dir", "/dev", "--symlink", "/tmp", "/dev/shm", "--perms", "0755", "--dir", "/tmp"]  # noqa: S108
    command += _interpreter_of(language)
    for name in DEVICES:
        command += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    command += ["--remount-ro", "/", "--chdir", "/", program, "-s", "-S", "-P", "-B", "-X", "utf8"]
    return [*command, "-c", CODE.format(control=control, seed=kind.seed, proc=bool(language.command))]


def find() -> str:
    """Return where bubblewrap is. Raise SetupError where it isn't."""
    if platform.machine() not in MACHINES:
        raise SetupError(f"the sandbox's filter of system calls knows {', '.join(MACHINES)}, and this is {platform.machine()}")
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise SetupError(f"bubblewrap, which holds code from models, is not on this machine: {INSTALL}")
    return bwrap


def start(control: int, kind: Kind) -> tuple[subprocess.Popen[bytes], int, IO[bytes]]:
    """Start a jail whose process 1 talks over the descriptor `control`. Return bubblewrap, process 1's id, and their stderr.

    Must be called from a thread that lives as long as the jail is to: `--die-with-parent` means the thread.
    """
    bwrap = find()
    info_read, info_write = os.pipe()
    mapped_read, mapped_write = os.pipe()
    errors = tempfile.TemporaryFile()  # noqa: SIM115 - the caller's
    try:
        options = ["--info-fd", str(info_write)]
        if os.geteuid() == 0:
            options += ["--userns-block-fd", str(mapped_read)]
            options += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_KILL"]
        else:
            options += ["--uid", str(USER), "--gid", str(USER)]
        process = subprocess.Popen(
            _command(bwrap, options, control, kind),
            env={},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            pass_fds=(control, info_write, mapped_read),
        )
        os.close(info_write)
        info_write = -1
        child = _child(info_read)
        if child and os.geteuid() == 0:
            for name in ("uid_map", "gid_map"):
                Path(f"/proc/{child}/{name}").write_text(f"0 0 1\n{USER} {HOST_USER} 1\n")
            os.write(mapped_write, b"1")
    except OSError as error:
        raise SetupError(f"bubblewrap can't be started: {error}") from error
    else:
        return process, child, errors
    finally:
        for number in (info_read, info_write, mapped_read, mapped_write):
            if number >= 0:
                os.close(number)


def _child(info: int) -> int:
    """Return process 1's id outside of the jail; 0 where bubblewrap ended before it had one."""
    text = b""
    while b"}" not in text:
        chunk = os.read(info, 4096)
        if not chunk:
            return 0
        text += chunk
    return int(json.loads(text)["child-pid"])
