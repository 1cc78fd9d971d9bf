"""The sandbox of another machine: a server that speaks SandboxFusion's `POST /run_code`.

It judges whole programs alone: what they print is compared here. Tests in Python source would share a process with the code that
they test, which could forge their verdict.

Protocol: Bytedance, SandboxFusion, https://github.com/bytedance/SandboxFusion.
"""

from __future__ import annotations

import functools
import http.client
import json
import time
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, cast
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from storage.errors import SetupError, VerifierError
from verifiers.sandbox import programs
from verifiers.sandbox.languages import LANGUAGES, MEGABYTE, Language
from verifiers.sandbox.protocol import Execution, Limits, Program, ProgramJob, PythonJob, Result

ATTEMPTS = 4
WAIT_S = 0.5
SLACK_S = 30  # beyond a program's own limit: for a server that has others to run first
CUT_BYTES = 1 << 20  # SandboxFusion cuts longer outputs off, and doesn't say so
ESCAPED = 6  # bytes that one byte of an output may take in JSON
CONNECT_S = 10
BUSY = {429, 502, 503, 504}
REFUSALS = {301, 302, 303, 307, 308, 401, 403, 404, 405, 410, 501}
CHUNK = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Server:
    """Where a remote sandbox is, as a spec says it."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    url: str
    """Up to, and without, `/run_code`."""

    def __post_init__(self) -> None:
        """Refuse what is no address."""
        try:
            parts = urlsplit(self.url)
            fine = parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port > 0)
        except ValueError:
            fine, parts = False, urlsplit("")
        if not fine or not self.url.isascii() or not self.url.isprintable() or " " in self.url:
            raise ValueError(f"{self.url!r} is not the address of a server, such as http://127.0.0.1:8080")
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError("the address of a sandbox has neither a user, a query nor a fragment in it")


class RemoteSandbox:
    """`Sandbox` over HTTP. Each run is a connection of its own, so threads share nothing."""

    def __init__(self, server: Server) -> None:
        self.url = server.url.rstrip("/")
        self._parts = urlsplit(self.url)

    def ready(self, language: str = "python") -> None:
        """Have the server run a program. Raise SetupError where it can't."""
        try:
            ran = self.execute(Program(source=LANGUAGES[language].probe, language=language), "", Limits())
        except VerifierError as error:
            raise SetupError(f"the sandbox at {self.url} doesn't run {LANGUAGES[language].title}: {error}") from None
        if ran.fault or ran.stdout.strip() != "42":
            found = ran.fault or repr(ran.stdout[:80])
            raise SetupError(f"the sandbox at {self.url} doesn't run {LANGUAGES[language].title}: {found}")

    def run_python(self, job: PythonJob, limits: Limits) -> Result:  # noqa: ARG002 - the protocol's
        """Refuse: the verdict could be forged."""
        raise VerifierError(
            "tests in Python source are not run by a remote sandbox, where the code could forge their verdict: "
            'give {"stdin", "stdout"} pairs, or leave `sandbox` out'
        )

    def run_program(self, job: ProgramJob, limits: Limits) -> Result:
        """Judge a program by its output."""
        return programs.judge(job, lambda stdin: self.execute(job.program, stdin, limits))

    def execute(self, program: Program, stdin: str, limits: Limits) -> Execution:
        """Run a program once. Raise VerifierError for an error of the server, SetupError where it can't be reached."""
        language = LANGUAGES[program.language]
        asked = {
            "code": program.source.encode(errors="replace").decode(),
            "language": language.remote,
            "stdin": stdin,
            "compile_timeout": limits.wall_s,
            "run_timeout": limits.wall_s,
            "memory_limit_MB": (limits.memory_bytes + language.reserve_bytes) // MEGABYTE,
            "files": {},
            "fetch_files": [],
        }
        return _execution(self._post(json.dumps(asked).encode(), limits), language, limits)

    def _post(self, body: bytes, limits: Limits) -> object:
        """Return the server's answer. Ask again where it is busy or a connection broke off."""
        error: SetupError | VerifierError | None = None
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(WAIT_S * 2 ** (attempt - 1))
            deadline = time.monotonic() + limits.wall_s + SLACK_S
            connection = self._connection()
            try:
                try:
                    connection.connect()
                except OSError as fault:
                    error = SetupError(f"the sandbox at {self.url} can't be reached: {fault}")
                    continue
                try:
                    status, text = self._exchange(connection, body, deadline, limits)
                except TimeoutError:
                    raise VerifierError(f"the sandbox at {self.url} gave no answer in time") from None
                except (OSError, http.client.HTTPException) as fault:
                    error = VerifierError(f"the connection to the sandbox at {self.url} broke off: {type(fault).__name__}")
                    continue
            finally:
                connection.close()
            if status in BUSY:
                error = VerifierError(f"the sandbox at {self.url} is busy: HTTP {status}")
                continue
            return self._read(status, text)
        raise error or VerifierError("no answer")

    def _connection(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        return kind(cast("str", self._parts.hostname), self._parts.port, timeout=CONNECT_S)

    def _exchange(
        self, connection: http.client.HTTPConnection, body: bytes, deadline: float, limits: Limits
    ) -> tuple[int, bytes]:
        """Send a request and read the answer, up to a size and a time."""
        connection.sock.settimeout(max(0.1, deadline - time.monotonic()))
        connection.request("POST", f"{self._parts.path}/run_code", body, {"Content-Type": "application/json"})
        chunks: list[bytes] = []
        left = ESCAPED * 2 * max(limits.output_bytes, CUT_BYTES)
        with connection.getresponse() as response:
            while chunk := response.read1(CHUNK):
                left -= len(chunk)
                if left < 0:
                    raise VerifierError(f"the answer of the sandbox at {self.url} is too long")
                if time.monotonic() > deadline:
                    raise TimeoutError
                chunks.append(chunk)
            return response.status, b"".join(chunks)

    def _read(self, status: int, text: bytes) -> object:
        if status in REFUSALS:
            raise SetupError(
                f"{self.url}/run_code answers HTTP {status}: there is no sandbox that speaks SandboxFusion, or not for us"
            )
        if status != http.client.OK:
            raise VerifierError(f"the sandbox at {self.url} answers HTTP {status}")
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise VerifierError(f"the sandbox at {self.url} answers no JSON") from None


class _Command(BaseModel):
    """How the compiler or the program ended."""

    status: Literal["Finished", "Error", "TimeLimitExceeded"]
    return_code: int | None = None
    stdout: str | None = None
    stderr: str | None = None


class _Answer(BaseModel):
    """What `/run_code` answers."""

    status: Literal["Success", "Failed", "SandboxError"]
    message: str = ""
    compile_result: _Command | None = None
    run_result: _Command | None = None


def _execution(answered: object, language: Language, limits: Limits) -> Execution:
    """Read an answer. What isn't exactly as the protocol says is no run, and decides nothing."""
    try:
        answer = _Answer.model_validate(answered, strict=True)
    except ValidationError as error:
        at = ".".join(map(str, error.errors()[0]["loc"])) or "all of it"
        raise VerifierError(f"the answer of the sandbox is malformed: {at}") from None
    commands = [command for command in (answer.compile_result, answer.run_result) if command is not None]
    if answer.status == "SandboxError" or any(command.status == "Error" for command in commands):
        message = " ".join(answer.message.split())[:200]
        raise VerifierError(f"the sandbox had an error of its own: {message or 'it does not say which'}")
    if answer.compile_result is not None:
        compiled = _ended(answer.compile_result, language, limits)
        if compiled.fault:
            return replace(compiled, fault=f"compiler: {compiled.fault}")
    if answer.run_result is None:
        raise VerifierError("the answer of the sandbox is malformed: it has no run_result")
    ran = _ended(answer.run_result, language, limits)
    if (answer.status == "Success") != (answer.run_result.return_code == 0):
        raise VerifierError(f"the answer of the sandbox contradicts itself: {answer.status}, and {ran.fault or 'exit code 0'}")
    return ran


def _ended(command: _Command, language: Language, limits: Limits) -> Execution:
    stdout, stderr, code = command.stdout or "", command.stderr or "", command.return_code
    if command.status == "TimeLimitExceeded":
        return Execution(stdout=stdout, stderr=stderr, fault=f"time limit of {limits.wall_s:g} s", timed_out=True)
    if code is None:
        raise VerifierError("the answer of the sandbox is malformed: it has no return code")
    size = len(stdout.encode(errors="replace"))
    fault = ""
    if size > limits.output_bytes:
        fault = f"output limit of {limits.output_bytes >> 10} kB"
    elif code != 0:
        line = language.line_of(stderr)
        fault = f"exit code {code}{': ' if line else ''}{line}"
    elif size >= CUT_BYTES:
        raise VerifierError("the sandbox may have cut off the output, which is a megabyte long")
    return Execution(stdout=stdout, stderr=stderr, fault=fault, exit_code=code)


@functools.cache
def at(server: Server) -> RemoteSandbox:
    """Return the sandbox at a server."""
    return RemoteSandbox(server)
