"""From the runs of a program to a result, whichever sandbox runs it."""

from __future__ import annotations

import time
from collections.abc import Callable

from verifiers.sandbox.protocol import Execution, ProgramJob, Result

LISTED = 20


def judge(job: ProgramJob, execute: Callable[[str], Execution]) -> Result:
    """Judge a program by what it prints for each case.

    No case is run after one that met the time limit, lest the program use it up once more for each; nor, unless the job asks
    for a score, after one that failed.
    """
    started = time.monotonic()
    total, right, run = len(job.cases), 0, 0
    wrong: list[int] = []
    first = ""
    for run, case in enumerate(job.cases, start=1):
        ran = execute(case.stdin)
        fault = ran.fault or job.comparison.difference(case.stdout, ran.stdout)
        if not fault:
            right += 1
            continue
        wrong.append(run)
        first = first or fault
        if ran.timed_out or not job.score:
            break
    passed = right == total
    return Result(
        passed=passed,
        reason="" if passed else _reason(job, right, run, wrong, first),
        score=right / total if job.score else float(passed),
        elapsed_s=time.monotonic() - started,
    )


def _reason(job: ProgramJob, right: int, run: int, wrong: list[int], first: str) -> str:
    total = len(job.cases)
    if not job.score:
        return f"test {wrong[0]} of {total}: {first}"
    parts = [f"{right} of {total} passed", f"test {wrong[0]}: {first}"]
    if others := wrong[1:]:
        listed = ", ".join(map(str, others[:LISTED])) + (", …" if len(others) > LISTED else "")
        parts.append(f"failed as well: {listed}")
    if run < total:
        parts.append(f"not run: {run + 1} to {total}")
    return "; ".join(parts)
