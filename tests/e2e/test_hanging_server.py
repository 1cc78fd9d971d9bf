"""The user's own Prefect server hangs or goes: whoever tells a build, a training or `serve` to end is heard all the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Workplace, _plain_environment
from tests.e2e.station import Station, eventually
from tests.e2e.teacher import LoopbackTeacher, counting
from tests.e2e.test_build import spec

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(400)]
BOUND_S = 120
"""A build may take so long to end once it is told, on a loaded machine; Prefect alone would try for 8 minutes, or for ever."""


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    """Give a server of the test's own."""
    with Station(tmp_path, _plain_environment()) as station:
        yield station


@pytest.fixture
def place(tmp_path: Path, station: Station) -> Workplace:
    """Give a folder whose commands use it."""
    place = Workplace(tmp_path)
    place.environment |= {"PREFECT_API_URL": station.url, "PREFECT_RUNNER_POLL_FREQUENCY": "1"}
    return place


def strike(station: Station, blow: signal.Signals) -> None:
    """Kill or stop a server, all its processes."""
    assert station.server is not None
    os.killpg(station.server.pid, blow)


def ended(running: subprocess.Popen[str]) -> tuple[str, str]:
    """Wait for a process's end and return what it printed."""
    try:
        return running.communicate(timeout=BOUND_S)
    except subprocess.TimeoutExpired:
        running.kill()
        running.communicate()
        raise


def left(running: subprocess.Popen[str]) -> dict[str, Any]:
    """See that a process, whose work is done, waits for the server, end that by Ctrl-C, and return the summary that it prints."""
    time.sleep(2)
    assert running.poll() is None, "the server was not waited for"
    running.send_signal(signal.SIGINT)
    stdout, stderr = ended(running)
    assert running.returncode == 0, stderr
    assert "Traceback" not in stderr
    summary: dict[str, Any] = json.loads(stdout)
    return summary


def building(place: Workplace) -> subprocess.Popen[str]:
    """Start a build."""
    return place.start("build", str(place.write()), "--lake", str(place.lake), "--json")


def test_a_build_is_interrupted(place: Workplace, station: Station) -> None:
    """Told to end in mid-draw, it lands what was paid for, says so, and its process ends with 130."""
    with LoopbackTeacher(delay_s=0.1) as teacher:
        spec(place, teacher.url, prompts=400, k=1, limits={"concurrency": 2})
        running = building(place)
        eventually(lambda: teacher.sold > 5)
        strike(station, signal.SIGSTOP)
        running.send_signal(signal.SIGTERM)
        _, stderr = ended(running)
        assert running.returncode == 130, stderr
        assert "Traceback" not in stderr
        assert stderr.splitlines()[-1].startswith("error: interrupted by SIGTERM")
        assert place.count("samples") == teacher.sold < 400


def test_a_build_has_landed(place: Workplace, station: Station) -> None:
    """Ctrl-C, once it has landed, ends the wait for the server: exit 0, and the summary is printed."""
    last = threading.Event()

    def holding(body: dict[str, Any], sold: int) -> tuple[int, dict[str, Any]]:
        if sold >= 30:
            last.wait(60)
        return counting(body, sold)

    with LoopbackTeacher(holding) as teacher:
        spec(place, teacher.url, prompts=40, k=1, limits={"concurrency": 2})
        running = building(place)
        eventually(lambda: teacher.sold >= 30)
        strike(station, signal.SIGSTOP)
        last.set()
        eventually(lambda: any((place.lake / "manifests" / "builds").glob("*.json")))
        assert left(running)["paid"] == teacher.sold == 40


def test_a_build_begins(place: Workplace, station: Station) -> None:
    """One SIGTERM ends a build that waits for a server to begin with: nothing was asked, exit 130."""
    with LoopbackTeacher() as teacher:
        spec(place, teacher.url, prompts=5)
        strike(station, signal.SIGSTOP)
        running = building(place)
        time.sleep(10)
        assert running.poll() is None
        running.send_signal(signal.SIGTERM)
        _, stderr = ended(running)
        assert running.returncode == 130, stderr
        assert "nothing was asked yet" in stderr.splitlines()[-1]
        assert teacher.sold == 0


@pytest.fixture
def training(place: Workplace) -> Iterator[subprocess.Popen[str]]:
    """Start a training, and wait until it takes steps."""
    (place.folder / "to").mkdir()
    command = [sys.executable, "-m", "tests.e2e.training", "distill", "shards", "--student", "student", "--to", "to", "--json"]
    running = subprocess.Popen(
        command,
        cwd=place.folder,
        env=place.environment | {"PYTHONPATH": str(Path(__file__).parents[2]), "TMPDIR": str(place.folder)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        eventually(lambda: (place.folder / "to" / "step").exists() or running.poll() is not None)
        yield running
    finally:
        running.kill()
        running.communicate()


def test_a_training_is_interrupted(place: Workplace, station: Station, training: subprocess.Popen[str]) -> None:
    """Told to end, it does so after its step, with a checkpoint, says so, and its process ends with 130."""
    strike(station, signal.SIGSTOP)
    training.send_signal(signal.SIGTERM)
    _, stderr = ended(training)
    assert training.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert stderr.splitlines()[-1].startswith("error: interrupted after step")
    assert (place.folder / "to" / "checkpoint").exists()
    assert not [*place.folder.glob("stillhouse-prefect-*")], "it left a folder behind"


def test_a_training_is_done(place: Workplace, station: Station, training: subprocess.Popen[str]) -> None:
    """Ctrl-C, once the student is saved, ends the wait for the server: exit 0, and what came of it is printed."""
    strike(station, signal.SIGSTOP)
    (place.folder / "enough").touch()
    eventually((place.folder / "to" / "distill.json").exists)
    assert left(training)["steps"] == int((place.folder / "to" / "step").read_text())


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP], ids=["gone", "hanging"])
def test_serving_is_stopped(place: Workplace, station: Station, blow: signal.Signals) -> None:
    """Told to stop, `serve` has its run stop buying and land, although nobody can be asked about the run, and ends well."""
    with LoopbackTeacher(delay_s=0.2) as teacher:
        spec(place, teacher.url, prompts=2000, k=1, limits={"concurrency": 2})
        serving = place.start("serve", str(place.write()), "--lake", str(place.lake))
        try:
            tagged = {"deployments": {"name": {"any_": ["sums"]}}}
            eventually(lambda: station.api("/deployments/filter", tagged))
            station.run("build/sums")
            eventually(lambda: teacher.sold > 5)
            strike(station, blow)
            serving.send_signal(signal.SIGTERM)
            time.sleep(20)  # five seconds of grace, and a loaded machine
            sold = teacher.sold
            _, stderr = ended(serving)
        finally:
            serving.kill()
        assert serving.returncode == 0, stderr
        assert "Traceback" not in stderr
        assert place.count("samples") == teacher.sold == sold < 300
