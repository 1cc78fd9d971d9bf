"""Prefect's server is killed and started anew in the middle of a build: the build goes on, and Prefect catches up."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import Workplace, _plain_environment, _wait_until_healthy
from tests.e2e.teacher import LoopbackTeacher
from tests.e2e.test_build import spec
from tests.e2e.test_prefect import eventually, named, runs
from tests.e2e.test_watching import artifacts, events

pytestmark = [pytest.mark.server, pytest.mark.slow]


def started(home: Path, port: int) -> subprocess.Popen[bytes]:
    """Start a server on a database that stays, and wait until it answers."""
    environment = _plain_environment() | {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    command = [str(Path(sys.executable).with_name("prefect")), "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (home / "server.log").open("ab") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    _wait_until_healthy(server, f"http://127.0.0.1:{port}/api/health")
    return server


@pytest.mark.parametrize("back", ["in mid-draw", "after the draw"])
def test_the_server_restarts(tmp_path: Path, back: str) -> None:
    """Killed in mid-draw and back after ten seconds or only once all is drawn, it has the artifacts, and the run Completed."""
    home = tmp_path / "server"
    home.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    workplace = Workplace(tmp_path)
    workplace.environment["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
    server = started(home, port)
    running = None
    try:
        with LoopbackTeacher(delay_s=0.1) as teacher:
            spec(workplace, teacher.url, prompts=600, k=1, limits={"concurrency": 4})
            named(workplace, "restarted")
            running = workplace.start("build", str(workplace.write()), "--lake", str(workplace.lake), "--json")
            eventually(lambda: teacher.sold > 50)
            server.kill()
            server.wait()
            if back == "in mid-draw":
                time.sleep(10)
            else:
                eventually(lambda: teacher.sold >= 600)
                time.sleep(3)
            server = started(home, port)
            stdout, stderr = running.communicate(timeout=120)
        assert running.returncode == 0, stderr
        assert "Traceback" not in stderr
        assert json.loads(stdout)["kept"] == 200
        run = eventually(lambda: next((run for run in runs(workplace, "restarted") if run["state_type"] == "COMPLETED"), None))
        shown = artifacts(workplace, run)
        for name in ("progress", "reading-prompts", "drawing-and-verifying", "curating", "landing"):
            assert shown[f"restarted-{name}"]["data"] == 100, shown
        assert "200 kept" in shown["restarted-summary"]["data"]
        assert eventually(lambda: events(workplace, "stillhouse.build.landed", "restarted"))
    finally:
        if running is not None and running.poll() is None:
            running.kill()
            running.communicate()
        server.kill()
        server.wait()
