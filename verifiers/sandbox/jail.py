"""The host's handle on one jail: start it, give it a sample, take the sample away, throw it out."""

from __future__ import annotations

import concurrent.futures
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from storage.errors import SetupError
from verifiers.sandbox import bubblewrap
from verifiers.sandbox.inside.orders import END, INLINE
from verifiers.sandbox.inside.uses import Prepared
from verifiers.sandbox.protocol import Limits

Mode = Literal["solution", "tests", "program"]
START_S = 60
END_S = 5
VERDICT_BYTES = 1 << 14
PAGE = os.sysconf("SC_PAGE_SIZE")
FILES = 32 << 20
"""Bytes that a process shares as a rule, of its interpreter's files. What is beyond may be memory."""


class Damaged(Exception):
    """A jail doesn't do what it should: throw it out."""


class _Starter:
    """The one thread that starts jails: they die with the thread that started them, and a worker's may end at any time."""

    def __init__(self) -> None:
        self.reset()
        os.register_at_fork(after_in_child=self.reset)

    def reset(self) -> None:
        self.thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="jails")


_starter = _Starter()


class Standing:
    """A jail's test process, which may judge sample after sample."""

    def __init__(self, line: socket.socket, suits: tuple[Limits, int]) -> None:
        self.line = line
        self.suits = suits
        """The limits and the processor that it is bound to."""
        self.samples = 0


def _shared(folder: Path) -> int:
    """Return the bytes of memory that a process shares and that is no file's: its part of it, where the system says it."""
    for name, field in (("smaps_rollup", "Pss_Shmem:"), ("status", "RssShmem:")):
        with suppress(OSError):
            found = next((line for line in (folder / name).read_text().splitlines() if line.startswith(field)), None)
            if found is not None:
                return int(found.split()[1]) << 10
    return 0


class Line:
    """Where the verdict on one sample arrives."""

    def __init__(self, standing: Standing) -> None:
        self.number = standing.samples
        self.socket = standing.line
        self.verdict: tuple[str, str, float | None] | None = None
        """The kind, the reason, and the part that passed where it is counted. None: not come, or not in its exact form."""
        self.again = False
        """Whether the test process is ready for another sample."""

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self.socket.fileno()

    def move(self) -> bool:
        """Read the verdict. Return False: there is only one."""
        with suppress(OSError, ValueError, TypeError, RecursionError):
            number, kind, reason, score, again = json.loads(self.socket.recv(VERDICT_BYTES, socket.MSG_DONTWAIT))
            known = score is None or (type(score) is float and 0 <= score <= 1)
            if number == self.number and type(kind) is str and type(reason) is str and known:
                self.verdict, self.again = (kind, reason, score), again is True
        return False


@contextmanager
def _file(content: bytes) -> Iterator[int]:
    """Return a descriptor of a file in memory."""
    number = os.memfd_create("payload", os.MFD_CLOEXEC)
    try:
        with open(number, "wb", buffering=0, closefd=False) as file:
            while content:
                content = content[file.write(content) :]
        os.lseek(number, 0, os.SEEK_SET)
        yield number
    finally:
        os.close(number)


def _send(sock: socket.socket, head: bytes, content: bytes, descriptors: Sequence[int]) -> None:
    """Send a content with what leads it in, or as a file, the last descriptor, where it is large or nothing."""
    try:
        if 0 < len(content) <= INLINE:
            socket.send_fds(sock, [head, content], descriptors)
        else:
            with _file(content) as file:
                socket.send_fds(sock, [head], [*descriptors, file])
    except OSError as error:
        raise Damaged(str(error)) from error


class Jail:
    """One jail. Not for two threads at once."""

    def __init__(self, kind: bubblewrap.Kind | None = None) -> None:
        self.kind = kind or bubblewrap.Kind()
        self.standing: Standing | None = None
        self.settings = b""
        """How the process is bound that waits for a sample."""
        self.used = False
        """Whether a sample left something behind that the next one would meet: then there is no next one."""
        self.control, inner = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self.process, self.child, errors = _starter.thread.submit(bubblewrap.start, inner.fileno(), self.kind).result()
        except BaseException:
            self.control.close()
            raise
        finally:
            inner.close()
        self.control.settimeout(START_S)
        with errors:
            try:
                message, descriptors, _, _ = socket.recv_fds(self.control, 4096, 1, socket.MSG_CMSG_CLOEXEC)
                answer = json.loads(message or b"{}")
            except (OSError, ValueError):
                answer, descriptors = {}, []
            self.jobs = socket.socket(fileno=descriptors[0]) if descriptors else self.control
            if answer.get("ready") and not descriptors:  # the system drops one for which there is no room, and says nothing
                self.kill()
                raise SetupError("a jail can't be made: too many files are open in this process; raise `ulimit -n`")
            if not answer.get("ready"):
                self.kill()
                errors.seek(0)
                text = errors.read().decode(errors="replace").strip()
                if text.startswith("Traceback"):
                    raise RuntimeError(f"the fork server doesn't start\n{text}")
                lines = text.splitlines() or [answer.get("why", "it ended at once")]
                raise SetupError(
                    f"bubblewrap can't make a jail here ({lines[-1]}); it needs unprivileged user namespaces: see `man bwrap`, "
                    "sysctl kernel.unprivileged_userns_clone or kernel.apparmor_restrict_unprivileged_userns"
                )
        self.control.settimeout(END_S)

    def run(
        self,
        mode: Mode,
        payload: str,
        limits: Limits,
        processor: int,
        descriptors: Sequence[int],
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        """Start a sample: its process takes the payload, and the descriptors as its first ones. `extra` outranks the limits."""
        if self.standing:
            self._end()
        job = {
            "mode": mode,
            "processor": processor,
            "cpu_s": limits.cpu_s + (mode == "tests"),  # of which it may have used some before this sample
            "memory_bytes": limits.memory_bytes,
            "file_bytes": limits.file_bytes,
            "output_bytes": limits.output_bytes,
            "processes": limits.processes,
            **(extra or {}),
        }
        settings = json.dumps(job).encode()
        if settings != self.settings:
            self._end(settings)
            self.settings = settings
        _send(self.jobs, b"", payload.encode(errors="replace"), descriptors)

    def must_have_taken(self) -> None:
        """Raise Damaged where nobody has taken the sample: its process, which had waited for it, was killed, and not for it."""
        # What was sent and hasn't been read. The fork server drops that once it is asked to end the sample.
        if int.from_bytes(fcntl.ioctl(self.jobs, termios.TIOCOUTQ, bytes(4)), sys.byteorder):
            raise Damaged("the sample's process was gone before it came")

    def test(self, tests: Prepared, limits: Limits, processor: int, talk: int, *, whole: bool = False) -> Line:
        """Have tests judged by this jail's test process. Return where the verdict arrives; `talk` leads to the code.

        `whole`: whether the code changes what the tests have made and it has kept.
        """
        standing = self.standing
        if standing is None or not tests.plain or standing.suits != (limits, processor):
            line, inner = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with inner, open(os.devnull, "r+b", buffering=0) as null:  # noqa: PTH123 - pathlib takes longer
                try:
                    self.run("tests", "", limits, processor, [null.fileno()] * 3 + [inner.fileno()])
                except BaseException:
                    line.close()
                    raise
            standing = self.standing = Standing(line, (limits, processor))
        standing.samples += 1
        head = b"%d %d %d %d\n" % (standing.samples, limits.output_bytes, self.kind.seed, whole)
        _send(standing.line, head, tests.payload, [talk])
        return Line(standing)

    def heard(self) -> dict[str, Any]:
        """Read what the fork server says. Raise Damaged where it is gone."""
        try:
            message = self.control.recv(4096)
            if message:
                return dict(json.loads(message))
        except (OSError, ValueError) as error:
            raise Damaged(str(error)) from error
        raise Damaged("the jail ended")

    def ask_end(self, message: bytes = END) -> None:
        """Have everything of the sample killed and its files dropped; `wait_end` waits for it."""
        if self.standing:
            self.standing.line.close()
            self.standing = None
        try:
            self.control.send(message)
        except OSError as error:
            raise Damaged(str(error)) from error

    def wait_end(self) -> int | None:
        """Return the wait status of the sample's process; None where it had to be killed."""
        status = None
        while "status" not in (answer := self.heard()):
            status = answer.get("exit", status)
        found: int | None = answer["status"]
        self.used = "used" in answer
        return status if found is None else found

    def _end(self, message: bytes = END) -> None:
        """Make room for a sample. Raise Damaged where there can't be another one."""
        self.ask_end(message)
        self.wait_end()
        if self.used:
            raise Damaged("the jail's network was used")

    def memory(self) -> int:
        """Return the bytes of memory that the jail's processes hold for themselves, about."""
        total, waiting = 0, [self.child]
        while waiting:
            number = waiting.pop()
            with suppress(OSError, ValueError):
                folder = Path(f"/proc/{number}")
                for thread in (folder / "task").iterdir():
                    waiting += map(int, (thread / "children").read_text().split())
                _, resident, shared, *_ = map(int, (folder / "statm").read_text().split())
                total += (resident - shared) * PAGE
                if shared * PAGE > FILES:
                    total += _shared(folder)
        return total

    def kill(self) -> None:
        """Throw the jail out: its process 1 takes all others with it."""
        self.control.close()
        self.jobs.close()
        if self.standing:
            self.standing.line.close()
        if self.process.poll() is None:  # as long as bubblewrap hasn't been waited for, its child's number is its child's
            with suppress(OSError):
                if self.child:
                    os.kill(self.child, signal.SIGKILL)
            self.process.kill()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(END_S)
