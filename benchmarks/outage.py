"""What an outage costs: a build whose teacher fails for everybody in mid-run, until the build gives up, and its rerun.

    .venv/bin/python benchmarks/outage.py [--seconds 3600] [--samples 2000]

The teacher answers half of the samples and then nothing but 503, for as long as the build waits (`retry.patience_s`). Printed are
the requests that the build sent meanwhile and the processor time that it took, what it had bought at its end, and what the rerun
bought once the teacher answered again: in sum each sample once.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from teacher import Running, running

TICK = os.sysconf("SC_CLK_TCK")


def cpu_s(process: subprocess.Popen[bytes]) -> float:
    """Return the seconds of processor time that a process has taken."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def start(folder: Path) -> subprocess.Popen[bytes]:
    """Start the build."""
    command = [Path(sys.executable).with_name("stillhouse"), "build", folder / "spec.json", "--json", "--lake", folder / "lake"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "STILLHOUSE_"))}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)


def summary(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Wait for a build's end and return what it says."""
    assert process.stdout is not None
    found: dict[str, Any] = json.loads(process.stdout.read())
    process.wait()
    return found


def outage(teacher: Running, folder: Path, samples: int) -> None:
    """Break the teacher half-way, and print what becomes of the build and of its rerun."""
    with start(folder) as build:
        while teacher.stats()["sold"] < samples // 2:
            time.sleep(0.02)
        teacher.set(faults=1.0, kinds="503")
        time.sleep(1.0)  # what was in flight
        asked, used, began = teacher.stats()["asked"], cpu_s(build), time.monotonic()
        while build.poll() is None and time.monotonic() - began < 100_000:
            last, took = cpu_s(build) if build.poll() is None else used, time.monotonic() - began
            time.sleep(0.2)
        ended = summary(build)
    sent, sold = teacher.stats()["asked"] - asked, teacher.stats()["sold"]
    print(
        f"outage: {took:,.0f} s until the build gave up, {sent:,} requests sent meanwhile, {last - used:.1f} s of processor time"
    )
    print(f"exit {build.returncode}: {ended['paid']:,} bought and landed of {sold:,} sold, ${ended['cost_usd']:.6f}")
    teacher.set(faults=0.0)
    with start(folder) as build:
        again = summary(build)
    print(f"rerun: exit {build.returncode}, {again['reused']:,} reused, {again['paid']:,} bought, {again['failed']:,} failed")
    print(f"sold in all {teacher.stats()['sold']:,} for {samples:,} samples")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3_600, help="how long the build waits for its teacher")
    parser.add_argument("--samples", type=int, default=2_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, running(latency=0.05) as teacher:
        folder = Path(name)
        rows = ({"prompt": f"How many in case {number}?", "reference": "7"} for number in range(given.samples))
        (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        asked = {"name": "t", "provider": "openai", "model": "m", "base_url": teacher.url, "license": "MIT"}
        asked |= {"limits": {"concurrency": 32}, "retry": {"patience_s": given.seconds}, "price": {"input": 1, "output": 1}}
        spec = {
            "dataset": "outage",
            "prompts": [{"source": str(folder / "prompts.jsonl"), "license": "CC0-1.0"}],
            "teachers": [asked],
            "verify": [{"use": "exact_match", "kind": "number"}],
        }
        (folder / "spec.json").write_text(json.dumps(spec))
        outage(teacher, folder, given.samples)


if __name__ == "__main__":
    main()
