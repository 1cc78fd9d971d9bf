"""What a cluster brings: the rate of three workers against one, and how well together they use one limit.

    .venv/bin/python benchmarks/cluster.py [rate] [limit] [--runner dask] [--workers 3]

Each part runs whole builds on a cluster of this machine, with a temporary Prefect server, against a strict teacher on loopback in
a process of its own. `rate`: an answer takes 8 to 24 s and the teacher serves all that comes, so that a worker, which has two
shards of 512 requests at a time, is bound by waiting and not by this machine's cores: the ratio says how orders, outboxes and
shared limits scale, not how fast a core is. Each worker has eight shards to draw; the rate is that of the middle half of the
samples, when all are at work. `limit`: 3,000 requests a minute, refused beyond that and a second's burst.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from teacher import running

LATENCY_S, SPREAD = 16.0, 0.5
SHARD = 512
SHARDS_EACH = 8
PER_MINUTE = 3_000


def build(url: str, *, prompts: int, workers: int, shards: int = 1, runner: str, limits: dict[str, Any]) -> dict[str, Any]:
    """Build on a cluster, and return the summary."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [json.dumps({"prompt": f"What is {number} plus 1?", "reference": str(number + 1)}) for number in range(prompts)]
        (folder / "prompts.jsonl").write_text("\n".join(rows))
        teacher = {"name": "t", "provider": "openai", "model": "m", "base_url": url, "license": "MIT", "limits": limits}
        spec = {
            "dataset": "cluster",
            "prompts": [{"source": str(folder / "prompts.jsonl"), "license": "CC0-1.0"}],
            "teachers": [teacher],
            "sampling": {"k": 1, "max_tokens": 64},
            "runner": {"use": runner, "workers": workers, "shards": shards},
        }
        (folder / "spec.yaml").write_text(json.dumps(spec))
        command = [str(Path(sys.executable).with_name("stillhouse")), "build", "spec.yaml", "--lake", "lake", "--json"]
        environment = os.environ | {"XDG_STATE_HOME": str(folder / "state")}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stderr)
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def middle(per_second: list[int]) -> float:
    """Return the samples a second of the middle half of all samples."""
    whole, passed, found = sum(per_second), 0, []
    for samples in per_second:
        if whole / 4 <= passed <= whole * 3 / 4:
            found.append(samples)
        passed += samples
    return sum(found) / len(found)


def rate(runner: str, workers: int) -> None:
    """Draw by one worker and by several."""
    per_second = {}
    for number in (1, workers):
        with running(latency=LATENCY_S, spread=SPREAD) as teacher:
            limits = {"concurrency": 4 * workers * SHARD}
            build(teacher.url, prompts=number * SHARDS_EACH * SHARD, workers=number, shards=2, runner=runner, limits=limits)
            stats = teacher.stats()
            per_second[number] = middle(stats["per_second"])
            print(
                f"{runner}, {number} workers: {stats['sold']:,} samples in {stats['seconds']:.1f} s, {per_second[number]:.1f}/s, "
                f"{stats['most_in_flight']:,} in flight at most, {stats['sold'] - stats['distinct']} bought twice",
                flush=True,
            )
    print(f"{runner}: {workers} workers draw at {per_second[workers] / per_second[1]:.2f} times one worker's rate")


def limit(runner: str, workers: int) -> None:
    """Keep to one limit together."""
    with running(latency=0.5, requests_per_minute=PER_MINUTE, burst=1.0) as teacher:
        limits = {"requests_per_minute": PER_MINUTE, "concurrency": 256}
        build(teacher.url, prompts=(workers + 2) * SHARD, workers=workers, runner=runner, limits=limits)
        stats = teacher.stats()
        steady = stats["per_second"][5:35]
        whole = stats["sold"] / (PER_MINUTE / 60 * (stats["seconds"] - 0.5))
        used = sum(steady) / len(steady) / (PER_MINUTE / 60)
        print(
            f"{runner}, {workers} workers, {PER_MINUTE:,} requests a minute: {used:.1%} of the limit from the "
            f"5th to the 35th second, {whole:.1%} over the {stats['seconds']:.0f} s of the draw, "
            f"{stats['refused'] / stats['asked']:.2%} refused; by second {stats['per_second']}"
        )


PARTS = {"rate": rate, "limit": limit}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []])
    parser.add_argument("--runner", default="dask", choices=["dask", "ray"])
    parser.add_argument("--workers", type=int, default=3)
    given = parser.parse_args()
    for part in given.parts or PARTS:
        PARTS[part](given.runner, given.workers)
