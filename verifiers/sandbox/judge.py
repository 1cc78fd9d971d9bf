"""The sandbox over bubblewrap: one sample, from a job to a result."""

from __future__ import annotations

import functools
import os
import socket
import subprocess
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from storage.errors import SetupError, VerifierError
from verifiers.sandbox import bubblewrap, programs
from verifiers.sandbox.bubblewrap import Kind
from verifiers.sandbox.constants import compares_with_constants
from verifiers.sandbox.execute import how, pipes, run_once
from verifiers.sandbox.inside import uses
from verifiers.sandbox.inside.orders import APART
from verifiers.sandbox.inside.uses import Prepared
from verifiers.sandbox.jail import Damaged, Jail, Line
from verifiers.sandbox.languages import LANGUAGES
from verifiers.sandbox.pool import Pool
from verifiers.sandbox.protocol import Execution, Limits, Program, ProgramJob, PythonJob, Result
from verifiers.sandbox.watch import Source, Stop, Stream, end, throw_out, watch

PROBE = Limits(wall_s=30)
KINDS: dict[str, bool | None] = {"passed": True, "failed": False, "undecided": None}
Read = tuple[bool | None, str, float | None, bool]
ATTEMPTS = 2


class BubblewrapSandbox:
    """`Sandbox` over a pool of jails. Safe to call from any number of threads."""

    def __init__(self, slots: int | None = None) -> None:
        self.pool = Pool(slots)
        self._pools = {Kind(): self.pool}

    def close(self) -> None:
        """Throw the jails out. They also go when Python ends, and when it is killed."""
        for pool in list(self._pools.values()):
            pool.close()

    def ready(self, language: str = "python") -> None:
        """Start a jail where none is, and a program in it. Raise SetupError where this machine can't."""
        ran = self.execute(Program(source=LANGUAGES[language].probe, language=language), "", PROBE)
        if (ran.fault, ran.stdout) != ("", "42\n"):
            found = ran.fault or repr(ran.stdout[:80])
            raise SetupError(f"{LANGUAGES[language].title} doesn't run in the sandbox of this machine: {found}")

    def run_python(self, job: PythonJob, limits: Limits) -> Result:
        """Judge a module by tests, in two jails."""
        started = time.monotonic()
        try:
            tests = uses.prepare(job.tests, job.entry_point, job.prelude, score=job.score)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return _result(None, f"the tests are broken: {type(error).__name__}: {error}", started)
        if "\0" in job.source:
            return Result(passed=False, reason="SyntaxError: source code cannot contain null bytes", score=0.0, elapsed_s=0.0)
        first, apart = self._judge(job, tests, limits, whole=False)
        if not apart:
            return first
        return _of_both(first, self._judge(job, tests, limits, whole=True)[0], safe=compares_with_constants(job.tests))

    def _judge(self, job: PythonJob, tests: Prepared, limits: Limits, *, whole: bool) -> tuple[Result, bool]:
        judge = functools.partial(_judge_module, job.source, tests, limits, whole)
        found: tuple[Result, bool] = self._with_jails(2, judge, self.pool_of(job))
        return found

    def run_program(self, job: ProgramJob, limits: Limits) -> Result:
        """Judge a program by its output, in one jail."""
        return programs.judge(job, lambda stdin: self.execute(job.program, stdin, limits))

    def execute(self, program: Program, stdin: str, limits: Limits) -> Execution:
        """Run a program once."""
        found: Execution = self._with_jails(1, functools.partial(run_once, program, stdin, limits), self.pool_of(program))
        return found

    def pool_of(self, job: Program | PythonJob) -> Pool:
        """Return the jails for a job: a language's own interpreter is seeded when a jail starts, any other for each run."""
        language = job.language if isinstance(job, Program) else "python"
        kind = Kind(language=language, seed=0 if LANGUAGES[language].command else job.seed)
        pool = self._pools.get(kind)
        return pool or self._pools.setdefault(kind, Pool(self.pool.slots, kind))

    def _with_jails(self, count: int, judge: Any, pool: Pool) -> Any:
        """Judge once more where a jail was damaged: somebody may have killed it."""
        for _ in range(ATTEMPTS):
            with pool.lend(count) as (jails, processor):
                try:
                    result = judge(jails, processor)
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


def _result(passed: bool | None, reason: str, started: float) -> Result:
    score = None if passed is None else float(passed)
    return Result(passed=passed, reason=reason, score=score, elapsed_s=time.monotonic() - started)


def _of_both(result: Result, whole: Result, *, safe: bool) -> Result:
    """Return what is true whether or not the code changes what the tests have made and it has kept.

    If only the tests that it may change pass, it may have changed what is right, unless that is safe from it. That they fail
    says that it is wrong.
    """
    elapsed = result.elapsed_s + whole.elapsed_s
    if whole.passed and not result.passed and not safe:
        reason = "the tests hold what the code has kept, and has changed in a later call"
        return Result(passed=None, reason=reason, score=None, elapsed_s=elapsed)
    score = whole.score if safe or whole.score is None or result.score is None else min(whole.score, result.score)
    return replace(whole, score=score, elapsed_s=elapsed)


def _judge_module(
    source: str, tests: Prepared, limits: Limits, whole: bool, jails: list[Jail], processor: int
) -> tuple[Result, bool]:
    """Return a verdict, and whether it may be another where the code changes what the tests have made (`inside/shared.py`)."""
    with ExitStack() as stack:
        ((output_in, output_out),) = stack.enter_context(pipes(1))
        ours, theirs = socket.socketpair()
        stack.callback(ours.close)
        stack.callback(theirs.close)
        started = time.monotonic()
        solution, tester = jails
        stood = tester.standing
        line = tester.test(tests, limits, processor, ours.fileno(), whole=whole)
        # Each sample's own: otherwise they would share its locks and flags.
        with open(os.devnull, "rb", buffering=0) as null:  # noqa: PTH123 - pathlib takes longer
            numbers = [null.fileno(), output_out.fileno(), output_out.fileno(), theirs.fileno()]
            solution.run("solution", source, limits, processor, numbers)
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
                jail.must_have_taken()
            for jail in list(jails):
                throw_out(jails, jail)
            return _result(False, str(stop), started), False
        if line.verdict is None:
            tester.must_have_taken()
        if line.verdict is None and stood is not None and tester.standing is stood:
            raise Damaged("the test process, which had judged other samples before, is gone")
        kind, reason, score, apart = _read(line)
        statuses = end(jails, [solution] if line.again else [solution, tester])
        if reason.startswith("the code ended its process") and (ended := how(statuses[0], limits)):
            reason = f"{reason}: {ended}"
        result = _result(kind, reason or ("" if kind else "failed"), started)
        return (result if kind is not False or score is None else replace(result, score=score)), apart


def _read(line: Line) -> Read:
    """Read what the test process wrote. Anything but its exact form is a failure."""
    kind, reason, score = line.verdict or ("", "", None)
    apart = kind.endswith(APART)
    if (kind := kind.removesuffix(APART)) in KINDS:
        return KINDS[kind], reason, score, apart
    return False, "the tests ended their process before their end", None, False


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
    walls = "namespaces and seccomp hold; memory is watched from outside, without cgroups"  # no jail starts without either
    return f"{version}: {walls}; a sample in a new jail took {time.monotonic() - started:.2f} s"


@functools.cache
def default() -> BubblewrapSandbox:
    """Return the sandbox that all verifiers of this process share."""
    return BubblewrapSandbox()
