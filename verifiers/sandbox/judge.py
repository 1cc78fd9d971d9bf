"""The sandbox over bubblewrap: one sample, from a job to a result."""

from __future__ import annotations

import functools
import json
import socket
import subprocess
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from storage.errors import SetupError, VerifierError
from verifiers.sandbox import bubblewrap, programs
from verifiers.sandbox.bubblewrap import Kind
from verifiers.sandbox.execute import how, pipes, run_once
from verifiers.sandbox.inside import uses
from verifiers.sandbox.jail import Damaged, Jail
from verifiers.sandbox.languages import LANGUAGES
from verifiers.sandbox.pool import Pool
from verifiers.sandbox.protocol import Execution, Limits, Program, ProgramJob, PythonJob, Result
from verifiers.sandbox.watch import Stop, Stream, end, throw_out, watch

VERDICT_BYTES = 1 << 14
PROBE = Limits(wall_s=30)
KINDS: dict[object, bool | None] = {"passed": True, "failed": False, "undecided": None}
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
        judge = functools.partial(_judge_module, job.source, json.dumps(tests), limits)
        result: Result = self._with_jails(2, judge, self._pool_of(job))
        return result

    def run_program(self, job: ProgramJob, limits: Limits) -> Result:
        """Judge a program by its output, in one jail."""
        return programs.judge(job, lambda stdin: self.execute(job.program, stdin, limits))

    def execute(self, program: Program, stdin: str, limits: Limits) -> Execution:
        """Run a program once."""
        found: Execution = self._with_jails(1, functools.partial(run_once, program, stdin, limits), self._pool_of(program))
        return found

    def _pool_of(self, job: Program | PythonJob) -> Pool:
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


def _judge_module(source: str, tests: str, limits: Limits, jails: list[Jail], processor: int) -> Result:
    with ExitStack() as stack:
        (verdict_in, verdict_out), (output_in, output_out) = stack.enter_context(pipes(2))
        ours, theirs = socket.socketpair()
        stack.callback(ours.close)
        stack.callback(theirs.close)
        started = time.monotonic()
        solution, tester = jails
        tester.run("tests", tests, limits, processor, [verdict_out.fileno(), ours.fileno()])
        solution.run("solution", source, limits, processor, [output_out.fileno(), theirs.fileno()])
        for inner in (verdict_out, output_out, ours, theirs):
            inner.close()
        verdict = Stream(verdict_in, VERDICT_BYTES, keep=True)
        output = Stream(output_in, limits.output_bytes, keep=False)
        exits: dict[int, int] = {}

        def done(source: Jail | Stream, message: dict[str, Any] | None) -> bool:
            if isinstance(source, Jail):
                exits[id(source)] = (message or {}).get("exit", 0)
            if source is tester:  # a child of the tests may hold the pipe open
                verdict.rest()
            return source in {verdict, tester}

        try:
            watch([solution, tester], [verdict, output], limits, started, done=done)
        except Stop as stop:
            for jail in list(jails):
                throw_out(jails, jail)
            return _result(False, str(stop), started)
        kind, reason, score = _parse(verdict.text())
        statuses = end(jails)
        if reason.startswith("the code ended its process") and (ended := how(exits.get(id(solution), statuses[0]), limits)):
            reason = f"{reason}: {ended}"
        result = _result(kind, reason or ("" if kind else "failed"), started)
        return result if kind is not False or score is None else replace(result, score=score)


def _parse(text: str) -> tuple[bool | None, str, float | None]:
    """Read what the test process wrote. Anything but its exact form is a failure."""
    try:
        kind, reason, score = json.loads(text)
        if type(reason) is str and (score is None or (type(score) is float and 0 <= score <= 1)):
            return KINDS[kind], reason, score
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    return False, "the tests ended their process before their end", None


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
