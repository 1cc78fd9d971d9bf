"""A server that speaks SandboxFusion's `POST /run_code`, and runs each program in a jail of ours."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tests.loopback import Handler, Server
from verifiers.sandbox.judge import BubblewrapSandbox
from verifiers.sandbox.languages import LANGUAGES
from verifiers.sandbox.protocol import Limits, Program

Answer = tuple[int, bytes]
NAMES = {row.remote: row.name for row in LANGUAGES.values()}


def run_code(sandbox: BubblewrapSandbox, asked: dict[str, Any]) -> dict[str, Any]:
    """Run a program, and answer as SandboxFusion does."""
    if asked["language"] not in NAMES:
        return {"status": "SandboxError", "message": f"no {asked['language']} here", "run_result": None}
    started = time.monotonic()
    program = Program(source=asked["code"], language=NAMES[asked["language"]])
    ran = sandbox.execute(program, asked["stdin"] or "", Limits(wall_s=asked["run_timeout"]))
    result = {
        "status": "TimeLimitExceeded" if ran.timed_out else "Finished",
        "execution_time": time.monotonic() - started,
        "return_code": None if ran.timed_out else -9 if ran.exit_code is None else ran.exit_code,
        "stdout": ran.stdout,
        "stderr": ran.stderr,
    }
    status = "Success" if result["return_code"] == 0 else "Failed"
    return {"status": status, "message": "", "compile_result": None, "run_result": result, "executor_pod_name": None, "files": {}}


@contextmanager
def serving(answer: Callable[[dict[str, Any]], Answer]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Give a server's address, and the list of what it is asked. The status 0 hangs up."""
    asked: list[dict[str, Any]] = []

    class Answering(Handler):
        def do_POST(self) -> None:
            body = json.loads(self.body())
            asked.append(body)
            status, text = answer(body) if self.path.endswith("/run_code") else (404, b"")
            if status == 0:
                self.close_connection = True
                return
            with suppress(ConnectionError):  # of a client that has read enough
                self.answer(status, text)

    with Server(Answering) as server:
        yield server.url, asked
