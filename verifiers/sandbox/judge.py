"""The sandbox over bubblewrap: one sample, from a job to a result."""

from __future__ import annotations

import functools
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import FileIO
from typing import Any

from storage.errors import SetupError, VerifierError
from verifiers.sandbox import bubblewrap
from verifiers.sandbox.compare import difference
from verifiers.sandbox.inside import uses
from verifiers.sandbox.inside.uses import Prepared
from verifiers.sandbox.jail import Damaged, Jail, Line
from verifiers.sandbox.pool import Pool
from verifiers.sandbox.protocol import Case, Limits, ProgramJob, PythonJob, Result
from verifiers.sandbox.watch import Feed, Source, Stop, Stream, end, throw_out, watch

KINDS: dict[str, bool | None] = {"passed": True, "failed": False, "undecided": None}
ATTEMPTS = 2


class BubblewrapSandbox:
    """`Sandbox` over a pool of jails. Safe to call from any number of threads."""

    def __init__(self, slots: int | None = None) -> None:
        self.pool = Pool(slots)

    def close(self) -> None:
        """Throw the jails out. They also go when Python ends, and when it is killed."""
        self.pool.close()

    def ready(self) -> None:
        """Start a jail where none is. Raise SetupError where this machine can't."""
        with self.pool.lend(1):
            pass

    def run_python(self, job: PythonJob, limits: Limits) -> Result:
        """Judge a module by tests, in two jails."""
        started = time.monotonic()
        try:
            tests = uses.prepare(job.tests, job.entry_point, job.prelude)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return _result(None, f"the tests are broken: {type(error).__name__}: {error}", started)
        if "\0" in job.source:
            return Result(passed=False, reason="SyntaxError: source code cannot contain null bytes", score=0.0, elapsed_s=0.0)
        return self._with_jails(2, functools.partial(_judge_module, job.source, tests, limits))

    def run_program(self, job: ProgramJob, limits: Limits) -> Result:
        """Judge a program by its output, in one jail. A case after one that met the time limit isn't run."""
        started = time.monotonic()
        right, reason = 0, ""
        for number, case in enumerate(job.cases, start=1):
            result = self._with_jails(1, functools.partial(_run_case, job.source, case, limits))
            right += bool(result.passed)
            if not result.passed:
                reason = reason or (f"test {number} of {len(job.cases)}: {result.reason}")
                if result.reason.startswith("time limit"):
                    break
        score = right / len(job.cases)
        return Result(passed=right == len(job.cases), reason=reason, score=score, elapsed_s=time.monotonic() - started)

    def _with_jails(self, count: int, judge: Any) -> Result:
        """Judge once more where a jail was damaged: somebody may have killed it."""
        for _ in range(ATTEMPTS):
            with self.pool.lend(count) as (jails, processor):
                try:
                    result: Result = judge(jails, processor)
                except Damaged:
                    for jail in list(jails):
                        throw_out(jails, jail)
                    continue
                except BaseException:
                    for jail in list(jails):
                        throw_out(jails, jail)
                    raise
                return result
        raise VerifierError("the sandbox was damaged twice while it ran this sample")


@contextmanager
def _pipes(count: int) -> Iterator[list[tuple[FileIO, FileIO]]]:
    """Return the reading and the writing ends of some pipes.

    They are files, which are closed once however often one asks: by then, the number may be another thread's.
    """
    with ExitStack() as stack:
        pairs = [os.pipe() for _ in range(count)]
        yield [(stack.enter_context(FileIO(reading)), stack.enter_context(FileIO(writing, "w"))) for reading, writing in pairs]


def _result(passed: bool | None, reason: str, started: float) -> Result:
    score = None if passed is None else float(passed)
    return Result(passed=passed, reason=reason, score=score, elapsed_s=time.monotonic() - started)


def _judge_module(source: str, tests: Prepared, limits: Limits, jails: list[Jail], processor: int) -> Result:
    with ExitStack() as stack:
        ((output_in, output_out),) = stack.enter_context(_pipes(1))
        ours, theirs = socket.socketpair()
        stack.callback(ours.close)
        stack.callback(theirs.close)
        started = time.monotonic()
        solution, tester = jails
        stood = tester.standing
        line = tester.test(tests, limits, processor, ours.fileno())
        solution.run("solution", source, limits, processor, [output_out.fileno(), theirs.fileno()])
        for inner in (output_out, ours, theirs):
            inner.close()
        output = Stream(output_in, limits.output_bytes, keep=False)

        def done(source: Source, _message: dict[str, Any] | None) -> bool:
            if source is tester:  # its end and its verdict may come together
                line.move()
            return source in {line, tester}

        try:
            watch([solution, tester], [line, output], limits, started, done=done)
        except Stop as stop:
            for jail in list(jails):
                throw_out(jails, jail)
            return _result(False, str(stop), started)
        if line.verdict is None and stood is not None and tester.standing is stood:
            raise Damaged("the test process, which had judged other samples before, is gone")
        kind, reason = _read(line)
        statuses = end(jails, [solution] if line.again else [solution, tester])
        if reason.startswith("the code ended its process") and (how := _how(statuses[0], limits)):
            reason = f"{reason}: {how}"
        return _result(kind, reason or ("" if kind else "failed"), started)


def _read(line: Line) -> tuple[bool | None, str]:
    """Read what the test process wrote. Anything but its exact form is a failure."""
    if line.verdict is not None and line.verdict[0] in KINDS:
        return KINDS[line.verdict[0]], line.verdict[1]
    return False, "the tests ended their process before their end"


def _how(status: int | None, limits: Limits) -> str:
    """Say how a process ended."""
    if status is None:
        return ""
    if not os.WIFSIGNALED(status):
        return f"exit code {os.waitstatus_to_exitcode(status)}"
    number = os.WTERMSIG(status)
    if number == signal.SIGXCPU:
        return f"processor time limit of {limits.cpu_s} s"
    return f"killed by {signal.Signals(number).name}" if number in set(signal.Signals) else f"killed by signal {number}"


def _run_case(source: str, case: Case, limits: Limits, jails: list[Jail], processor: int) -> Result:
    with _pipes(3) as ((input_in, input_out), (output_in, output_out), (error_in, error_out)):
        started = time.monotonic()
        [jail] = jails
        jail.run("program", source, limits, processor, [input_in.fileno(), output_out.fileno(), error_out.fileno()])
        for inner in (input_in, output_out, error_out):
            inner.close()
        output = Stream(output_in, limits.output_bytes, keep=True)
        errors = Stream(error_in, limits.output_bytes, keep=True)
        waiting: set[int] = {id(output), id(errors), id(jail)}
        status: list[int] = []

        def done(source: Source, message: dict[str, Any] | None) -> bool:
            if message is not None:
                status.append(message.get("exit", 1))
                jail.ask_end()  # whatever it left running holds the pipes open
            waiting.discard(id(source))
            return not waiting

        try:
            watch(jails, [output, errors], limits, started, done=done, feed=Feed(input_out, case.stdin))
            jail.wait_end()
        except Stop as stop:
            throw_out(jails, jail)
            return _result(False, str(stop), started)
    if status[0] != 0:
        last = (errors.text().strip().splitlines() or [""])[-1][:200]
        return _result(False, f"{_how(status[0], limits)}{': ' if last else ''}{last}", started)
    wrong = difference(case.stdout, output.text())
    return _result(not wrong, wrong, started)


def examine() -> str:
    """Return one line on the sandbox of this machine, which has run a sample. Raise SetupError where it can't."""
    version = subprocess.run([bubblewrap.find(), "--version"], env={}, capture_output=True, text=True, check=False).stdout.strip()
    sandbox = BubblewrapSandbox(1)
    try:
        started = time.monotonic()
        right = sandbox.run_python(PythonJob(source="def add(a, b): return a + b", tests="assert add(2, 3) == 5"), Limits())
    finally:
        sandbox.close()
    if not right.passed:
        raise SetupError(f"{version} is there, but a sample that is right fails in it: {right.reason}")
    return f"{version}, a sample in a new jail took {time.monotonic() - started:.2f} s"


@functools.cache
def default() -> BubblewrapSandbox:
    """Return the sandbox that all verifiers of this process share."""
    return BubblewrapSandbox()
