"""Runs the code in a response against the prompt's tests, in the sandbox."""

from __future__ import annotations

import ast
import dataclasses
import functools
import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from storage.records import Prompt, Sample
from verifiers.protocol import LATER, Brought, Finding, Trial, verifier
from verifiers.reading.code import code_of, continued
from verifiers.reading.thinking import spoken
from verifiers.sandbox import judge, remote
from verifiers.sandbox.compare import Comparison
from verifiers.sandbox.inside.uses import uses_of
from verifiers.sandbox.languages import LANGUAGES
from verifiers.sandbox.protocol import Case, Limits, Program, ProgramJob, PythonJob, Result, Sandbox
from verifiers.sandbox.remote import Server

MEGABYTE = 1 << 20
# A union without a discriminator would blame the wrong half of a mistake. A tag that is no word is left out of an error's place.
Where = Annotated[
    Annotated[Literal["bubblewrap"], Tag("<name>")] | Annotated[Server, Tag("<server>")],
    Discriminator(lambda given: "<server>" if isinstance(given, dict | Server) else "<name>"),
]


@verifier(version="10", isolated=False)
class UnitTests:
    """Passes a response whose code passes the prompt's tests: Python source, or pairs of standard input and output."""

    timeout_s: float = 10
    """Seconds that all tests of a sample may take together; with pairs, each of them."""
    memory_mb: int = 512
    """Address space of each process of the sample, the interpreter's 60 MB included; with JavaScript, its heap."""
    entry_point: str | None = None
    """What to hand to the tests' `check(candidate)`. Left out: the prompt's tag `entry_point`."""
    prefix: Literal["", "prompt"] = ""
    """`prompt`: the response continues the code in the prompt (HumanEval)."""
    processes: int = 16
    """Processes and threads of a sample at a time."""
    output_kb: int = 1024
    """What a sample may print."""
    language: Literal["python", "javascript", "bash"] = dataclasses.field(default="python", metadata=LATER)
    """What the code is written in. All but Python is judged by pairs alone."""
    tolerance: Annotated[float, Field(ge=0, lt=1)] | None = dataclasses.field(default=None, metadata=LATER)
    """With pairs, how far numbers may be off, absolutely or as a part of the expected one. Left out: see `Comparison`."""
    order: Literal["same", "any"] = dataclasses.field(default="same", metadata=LATER)
    """`any`: with pairs, the lines of the output may come in any order."""
    ignore_case: bool = dataclasses.field(default=False, metadata=LATER)
    """Whether YES and yes are the same output."""
    score: bool = dataclasses.field(default=False, metadata=LATER)
    """Whether all tests are run, and the score is the part that passes. Otherwise the first that fails is the last."""
    runs: Annotated[int, Field(ge=1, le=10)] = dataclasses.field(default=1, metadata=LATER)
    """How often each sample is run, with other random seeds each time. Results that differ leave it undecided. Python's runs have
    jails of their own."""
    sandbox: Where = dataclasses.field(default="bubblewrap", metadata=LATER)
    """Where the code runs: in jails of this machine, or at `{url: …}`, a server that speaks SandboxFusion's `/run_code`."""

    needs_of_prompt: ClassVar[frozenset[Brought]] = frozenset({"tests"})

    def __post_init__(self) -> None:
        for name in ("timeout_s", "memory_mb", "processes", "output_kb"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be greater than 0, not {getattr(self, name)}")
        if self.memory_mb < 64:  # noqa: PLR2004 - see the message
            raise ValueError(f"memory_mb must be at least 64, which the interpreter itself needs, not {self.memory_mb}")
        if self.language != "python" and (self.prefix or self.entry_point):
            raise ValueError(f"prefix and entry_point are for Python, and language is {self.language}")

    def identity(self) -> Mapping[str, Any]:
        """Return that another sandbox than ours judges; which server it is doesn't matter."""
        return {"sandbox": "remote"} if isinstance(self.sandbox, Server) else {}

    def trials(self, prompt: Prompt) -> Iterator[Trial]:
        """Yield the prompt's reference, and a program that does nothing."""
        if not prompt.tests or not prompt.tests.strip():
            return
        if prompt.reference:
            yield Trial(kind="right", response=prompt.reference)
        yield Trial(kind="empty", response=f"```{self.language}\n{self._empty(prompt)}\n```")

    def _empty(self, prompt: Prompt) -> str:
        """Return the least code that the tests may be handed."""
        if self.language != "python":
            return ""
        name = self._entry_point(prompt)
        defines = name and name.isidentifier() and not self.prefix and cases_of(prompt.tests or "") is None
        return f"def {name}(*_, **__):\n    pass" if defines else "pass"

    def check(self, prompt: Prompt, sample: Sample) -> Finding:
        """Run the last block of the language that defines what the tests ask for, or else the last; all where there is none."""
        if not prompt.tests or not prompt.tests.strip():
            return Finding(passed=None, reason="the prompt has no tests")
        language = LANGUAGES[self.language]
        entry_point = self._entry_point(prompt)
        wanted = wanted_of(prompt.tests, entry_point) if self.language == "python" else frozenset[str]()
        response = spoken(sample.response)
        if response is None:
            return Finding(passed=False, reason="the chain of thought never ends", score=0.0)
        found = code_of(response, language.fences, wanted)
        if found is None:
            return Finding(passed=False, reason=f"the response has no {language.title} code", score=0.0)
        source, prelude = found, ""
        if self.prefix == "prompt":
            source, prelude = continued(prompt.prompt, found, entry_point)
        cases = cases_of(prompt.tests)
        if cases is None and self.language != "python":
            cases = f'the tests of {language.title} code must be a list of {{"stdin": text, "stdout": text}}'
        if isinstance(cases, str):
            return Finding(passed=None, reason=cases, answer=found)
        runner, limits = self._runner(), self.limits()
        results: list[Result] = []
        for seed in range(self.runs):
            if cases is None:
                module = PythonJob(
                    source=source, tests=prompt.tests, entry_point=entry_point, prelude=prelude, score=self.score, seed=seed
                )
                results.append(runner.run_python(module, limits))
            else:
                program = Program(source=source, language=self.language, seed=seed)
                comparison = Comparison(tolerance=self.tolerance, order=self.order, ignore_case=self.ignore_case)
                job = ProgramJob(program=program, cases=cases, comparison=comparison, score=self.score)
                results.append(runner.run_program(job, limits))
            if results[-1].passed is None:
                break
        return _finding(results, source)

    def ready(self) -> None:
        """Run a program of the language, or raise SetupError."""
        self._runner().ready(self.language)

    def limits(self) -> Limits:
        """Return the sandbox's limits."""
        return Limits(
            wall_s=self.timeout_s,
            cpu_s=int(self.timeout_s) + 2,
            memory_bytes=self.memory_mb * MEGABYTE,
            processes=self.processes,
            output_bytes=self.output_kb << 10,
        )

    def _entry_point(self, prompt: Prompt) -> str | None:
        return self.entry_point or prompt.tags.get("entry_point") or None

    def _runner(self) -> Sandbox:
        return runner_of(self.sandbox)


def runner_of(where: Where) -> Sandbox:
    """Return the sandbox that a spec names."""
    return remote.at(where) if isinstance(where, Server) else judge.default()


def _finding(results: list[Result], source: str) -> Finding:
    """Return what the runs of one sample show together: the worst of them, or nothing where they disagree."""
    undecided = [result for result in results if result.passed is None]
    failed = [result for result in results if result.passed is False]
    passed = len(results) - len(failed)
    if not undecided and failed and passed:
        reason = f"flaky: passed {passed} of {len(results)} runs; {failed[0].reason}"
        return Finding(passed=None, reason=reason, answer=source)
    worst = min(undecided or failed or results, key=lambda result: result.score or 0.0)
    return Finding(passed=worst.passed, reason=worst.reason, score=worst.score, answer=source)


@functools.lru_cache(maxsize=256)
def wanted_of(tests: str, entry_point: str | None) -> frozenset[str]:
    """Return the names that a module needs to define, or some of them: the entry point, or else what the tests don't define."""
    if entry_point:
        return frozenset({entry_point.partition(".")[0].partition("(")[0].strip()})
    try:
        tree = ast.parse(tests)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "solution")
    return frozenset(uses_of(tree).free | {alias.name for node in imports for alias in node.names})


def cases_of(tests: str) -> tuple[Case, ...] | str | None:
    """Return the pairs of standard input and output; None where the tests are Python source; a text says what is wrong."""
    if not tests.lstrip().startswith(("[", "{")):
        return None
    try:
        rows = json.loads(tests)
    except ValueError:
        return None
    if not rows:
        return "the tests are an empty list"
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and isinstance(row.get("stdin"), str) and isinstance(row.get("stdout"), str) for row in rows
    ):
        return 'the tests are broken: not a list of {"stdin": text, "stdout": text}'
    return tuple(Case(stdin=row["stdin"], stdout=row["stdout"]) for row in rows)
