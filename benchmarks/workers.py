"""What a check in a worker process costs, and a worker that has to be replaced, against one plain process in the same run.

    .venv/bin/python benchmarks/workers.py [--calls 5000] [--kills 20]

A call sends a function and its arguments to a worker that is there and returns what it returns. A replacement is the first call
after a check that hung was killed. The plain process is `python -I -c pass`.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

from storage.errors import VerifierError
from verifiers.workers import Workers


def timed(call: Callable[[], object]) -> float:
    """Return the milliseconds that a call takes."""
    began = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - began)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=5_000)
    parser.add_argument("--kills", type=int, default=20)
    given = parser.parse_args()
    pool = Workers(1)

    def call() -> float:
        return pool.call(math.sqrt, 4, timeout_s=10)

    call()  # starts the server of forks
    calls = [timed(call) for _ in range(given.calls)]
    replaced = []
    for _ in range(given.kills):
        with contextlib.suppress(VerifierError):
            pool.call(time.sleep, 60, timeout_s=0.05)
        replaced.append(timed(call))
    pool.close()
    plain = median(timed(lambda: subprocess.run([sys.executable, "-I", "-c", "pass"], check=True)) for _ in range(given.kills))
    for name, took in (
        ("a call", median(calls)),
        ("the first call of a new worker", median(replaced)),
        ("a plain process", plain),
    ):
        print(f"{name:32} {took:8.3f} ms  {took / plain:6.3f} of a plain process")


if __name__ == "__main__":
    main()
