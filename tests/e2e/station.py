"""A Prefect server and workers of a test's own, which it may kill."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Self

PREFECT = str(Path(sys.executable).with_name("prefect"))
FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
QUICK = {"PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_RUNNER_POLL_FREQUENCY": "1"}
"""So that a test needn't wait for what is due."""


def call(url: str, body: Any = None) -> Any:
    """Call Prefect's REST API; a body makes it a POST."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    until = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                raw = response.read()
                return json.loads(raw) if raw else None
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != 503 or time.monotonic() > until:  # its database is busy
                raise
            time.sleep(0.5)


def eventually(what: Callable[[], Any], *, within_s: float = 120) -> Any:
    """Return the first true value; Prefect records some things a little late."""
    until = time.monotonic() + within_s
    while not (found := what()):
        assert time.monotonic() < until, "it never came"
        time.sleep(0.2)
    return found


class Station:
    """A server on a free port with a home of its own, left with all that it started."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.folder = folder
        self.url = f"http://127.0.0.1:{self.port}/api"
        self.environment = dict(environment) | QUICK | {"PREFECT_API_URL": self.url, "PWD": str(folder)}
        self.server: subprocess.Popen[bytes] | None = None
        self._workers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        for worker in self._workers:
            self.kill(worker)
        self.stop()

    def start(self) -> None:
        """Start the server, on its database of before."""
        home = self.folder / "server"
        home.mkdir(exist_ok=True)
        own = {
            "PREFECT_HOME": str(home),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        }
        with (home / "server.log").open("ab") as log:
            self.server = subprocess.Popen(
                [PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(self.port)],
                env=self.environment | own,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=1):
                    return
            except OSError:
                going = self.server.poll() is None and time.monotonic() < until
                assert going, (home / "server.log").read_text()[-2000:]
                time.sleep(0.1)

    def stop(self) -> None:
        """Kill the server; its database stays."""
        if self.server is not None:
            _kill_group(self.server)
            self.server = None

    def command(self, *arguments: str) -> str:
        """Run a command of Prefect's, which must do it, in the folder."""
        done = subprocess.run(
            [PREFECT, *arguments],
            cwd=self.folder,
            env=self.environment,
            text=True,
            capture_output=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def work(self, pool: str = "stillhouse", *more: str) -> subprocess.Popen[bytes]:
        """Start a worker."""
        with (self.folder / "worker.log").open("ab") as log:
            worker = subprocess.Popen(
                [PREFECT, "worker", "start", "--pool", pool, "--type", "process", *more],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._workers.append(worker)
        return worker

    def kill(self, worker: subprocess.Popen[bytes]) -> None:
        """Kill a worker and all runs that it started, as a machine that loses its power does."""
        _kill([worker.pid, *_below(worker.pid)])  # each run has a process group of its own
        worker.wait(timeout=30)

    def kill_runs(self, worker: subprocess.Popen[bytes]) -> None:
        """Kill the runs of a worker that lives on."""
        runs = [each for each in _below(worker.pid) if b"prefect.engine" in Path(f"/proc/{each}/cmdline").read_bytes()]
        assert runs, "there is none"
        _kill(runs)

    def api(self, path: str, body: Any = None) -> Any:
        """Call the REST API; a body makes it a POST."""
        return call(f"{self.url}{path}", body)

    def run(self, deployment: str, **parameters: Any) -> str:
        """Start a run of a deployment and return its id."""
        found = self.api(f"/deployments/name/{deployment}")
        return self.api(f"/deployments/{found['id']}/create_flow_run", {"parameters": parameters})["id"]

    def state(self, run: str) -> dict[str, Any]:
        """Return a run's state."""
        return self.api(f"/flow_runs/{run}")["state"]

    def ended(self, run: str, *, within_s: float = 120) -> dict[str, Any]:
        """Wait for a run's end and return its state."""
        return eventually(lambda: (state := self.state(run))["type"] in FINAL and state, within_s=within_s)

    def logs(self, run: str) -> list[str]:
        """Return what a run logged."""
        asked = {"logs": {"flow_run_id": {"any_": [run]}}, "sort": "TIMESTAMP_ASC"}
        return [each["message"] for each in self.api("/logs/filter", asked)]


def _kill(processes: Iterable[int]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def _below(process: int) -> list[int]:
    """Return the processes that a process started, and those that these did."""
    children = []
    for thread in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # it has ended
            children += [int(child) for child in thread.read_text().split()]
    return [each for child in children for each in (child, *_below(child))]


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=30)
