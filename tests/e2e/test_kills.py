"""Builds that are killed at random moments, and two at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import Workplace
from tests.e2e.teacher import LoopbackTeacher
from tests.e2e.test_build import spec

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "kill.py"


@pytest.mark.slow
def test_killed_at_random(workplace: Workplace) -> None:
    """Killed five times anywhere in its life, a build loses nothing, buys again what was in flight alone, and ends the same."""
    command = [sys.executable, str(BENCHMARK), "5", "--seed", str(os.getpid())]
    done = subprocess.run(command, env=workplace.environment, text=True, capture_output=True, timeout=280, check=False)
    assert done.returncode == 0, f"--seed {os.getpid()}: {done.stdout}{done.stderr}"
    assert "lost              0" in done.stdout
    assert "equals an undisturbed build's" in done.stdout


def test_two_specs_that_share_prompts(workplace: Workplace) -> None:
    """Two builds at once of two specs that share prompts buy each sample once; both end well, and the lake is whole."""
    with LoopbackTeacher(delay_s=0.05) as teacher:
        running = []
        for name, prompts in (("one", 30), ("two", 40)):
            spec(workplace, teacher.url, prompts=prompts, limits={"concurrency": 4})
            workplace.spec["dataset"] = name
            source = workplace.folder / "prompts.jsonl"
            workplace.spec["prompts"][0]["source"] = str(source.rename(source.with_name(f"{name}.jsonl")))
            path = workplace.write().rename(workplace.folder / f"{name}.yaml")
            running.append(workplace.start("build", str(path), "--lake", str(workplace.lake), "--json"))
        done = [process.communicate(timeout=120) for process in running]
        assert [process.returncode for process in running] == [0, 0], done
        assert teacher.sold == 120
        asked = [(body["messages"][-1]["content"], body["seed"]) for body in teacher.bodies]
        assert len(set(asked)) == 120
    one, two = (json.loads(stdout) for stdout, _ in done)
    assert (one["requested"], two["requested"]) == (90, 120)
    assert one["paid"] + two["paid"] == 120
    assert workplace.query("SELECT count(*), count(DISTINCT sample_id) FROM samples") == [(120, 120)]
    assert sorted(workplace.query("SELECT dataset, kept FROM builds")) == [("one", 30), ("two", 40)]
    said = workplace.run("doctor", "--lake", str(workplace.lake), "--json")
    assert json.loads(said.stdout)["lake"]["state"] == "ok"
