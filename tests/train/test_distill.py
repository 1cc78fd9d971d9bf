"""The command that trains a student, as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from flows.distill import table
from tests.e2e.station import Station, eventually
from tests.tasks.distillation.tokens import conversations, write
from tests.train.test_training import tiny

pytestmark = pytest.mark.train
# A step takes milliseconds: enough of them that a signal finds the run at work on any machine.
LONG = (
    "--lr",
    "1e-3",
    "--epochs",
    "40",
    "--tokens-per-batch",
    "100",
    "--accumulate",
    "1",
    "--evaluate-every",
    "50",
    "--patience",
    "0",
)
BIN = str(Path(sys.executable).with_name("stillhouse"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Have shards and a student."""
    write(tmp_path / "shards" / "train-00000-of-00001.parquet", conversations(100, top=3))
    write(tmp_path / "shards" / "validation-00000-of-00001.parquet", conversations(5, top=3, seed=5))
    tiny().save_pretrained(tmp_path / "student")
    return tmp_path


def command(folder: Path) -> list[str]:
    """Return the command."""
    return [BIN, "distill", "shards", "--student", "student", "--to", "to", *LONG, "--json"]


def test_the_command(folder: Path):
    """Interrupted, it leaves a checkpoint and exit 130; run again it goes on, and stdout is one JSON object of what came of it."""
    one = os.environ | {"OMP_NUM_THREADS": "1"}  # a tiny model gains nothing from more, and others want them
    process = subprocess.Popen(command(folder), cwd=folder, stderr=subprocess.PIPE, text=True, env=one)
    log = folder / "to" / "log.jsonl"
    until = time.monotonic() + 110
    while time.monotonic() < until and not (log.exists() and log.read_text().count("\n") > 1):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "a rerun goes on from there" in said
    done = subprocess.run(command(folder), cwd=folder, capture_output=True, text=True, check=False, env=one)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["steps"] == found["of"]
    assert 0 < found["resumed_at"] < found["of"]
    assert found["held_out"]["loss"] < found["held_out_before"]["loss"]
    AutoModelForCausalLM.from_pretrained(folder / "to")


def test_a_server_that_hangs(folder: Path):
    """Interrupted while the user's Prefect server hangs, it ends with a checkpoint and 130 all the same, and goes on without it."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")} | {"OMP_NUM_THREADS": "1"}
    with Station(folder, plain) as station:
        watched = plain | {"PREFECT_API_URL": station.url, "PREFECT_HOME": str(folder / "prefect")}
        process = subprocess.Popen(command(folder), cwd=folder, stderr=subprocess.PIPE, text=True, env=watched)
        log = folder / "to" / "log.jsonl"
        eventually(lambda: process.poll() is not None or (log.exists() and log.read_text().count("\n") > 1))
        assert station.server is not None
        os.killpg(station.server.pid, signal.SIGSTOP)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=100)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert "a rerun goes on from there" in said.splitlines()[-1]
    done = subprocess.run(command(folder), cwd=folder, capture_output=True, text=True, check=False, env=plain)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["resumed_at"] > 0


def test_the_table_of_losses():
    """Every look at the held-out loss is in it, and the last step, however many there were."""
    rows = [{"step": step, "of": 1000, "loss": 1.0, "hard": 1.0} for step in range(1, 1001)]
    shown = table([*rows, {"step": 1000, "held_out": {"loss": 2.0}}]).splitlines()
    assert len(shown) < 250
    assert shown[-2:] == ["| 1000 | 1.0000 | 1.0000 |  | |", "| 1000 | | | | 2.0000 |"]
