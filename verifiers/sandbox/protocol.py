"""What a sandbox is: `Sandbox`, and the values that go in and come out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from verifiers.sandbox.compare import BY_DEFAULT, Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one run may use. Past a limit, the sample has failed."""

    wall_s: float = 10.0
    """Seconds by the clock, from the start of the run; enforced from outside the jail."""
    cpu_s: int = 11
    """Seconds of processor time of each process."""
    memory_bytes: int = 512 << 20
    """Address space of each process, and about what all of a sample's processes may hold together."""
    processes: int = 16
    """Processes and threads at a time."""
    file_bytes: int = 32 << 20
    """The largest file, and all files of a sample together."""
    output_bytes: int = 1 << 20
    """What may be printed, standard output and standard error each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonJob:
    """A module and the tests of what it defines."""

    source: str
    """The untrusted code."""
    tests: str
    """Python source that raises where something is wrong. It sees the module's names."""
    entry_point: str | None = None
    """What to hand to the tests' `check(candidate)`, where they define it."""
    prelude: str = ""
    """Trusted source that the tests may rely on, whatever the untrusted code defines: the prompt's imports and helpers."""
    score: bool = False
    """Whether all tests are run, for the part that passes; else the first that fails is the last."""
    seed: int = 0
    """Of what is random in the jail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One run of a whole program."""

    stdin: str
    """What the program reads."""
    stdout: str
    """What it should print."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A whole program."""

    source: str
    """The untrusted code."""
    language: str = "python"
    """A name in `languages.LANGUAGES`."""
    seed: int = 0
    """Of what is random in the jail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What one run of a program showed."""

    stdout: str
    """What it printed."""
    fault: str = ""
    """Why it counts as failed whatever it printed, in one line; empty where it ended well."""
    timed_out: bool = False
    """Whether it met the limit by the clock."""
    stderr: str = ""
    """Its standard error."""
    exit_code: int | None = None
    """None: it was ended by a signal or a limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramJob:
    """A whole program, judged by what it prints."""

    program: Program
    """What to run."""
    cases: tuple[Case, ...]
    """At least one. The limits hold for each."""
    comparison: Comparison = BY_DEFAULT
    """What counts as the same output."""
    score: bool = False
    """Whether all cases are run, for the part that passes; else the first that fails is the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a run showed."""

    passed: bool | None
    """None: undecided, because the tests themselves are at fault."""
    reason: str
    """Why, in one line for a person; empty where it passed."""
    score: float | None
    """0 … 1: the part of the tests that passed where the job asks for it, else 1 or 0; None where undecided."""
    elapsed_s: float
    """Seconds by the clock."""


@runtime_checkable
class Sandbox(Protocol):
    """Runs a job from any thread.

    Raises `storage.errors.SetupError` where it can't run anything at all, and VerifierError where it can't judge this one.
    """

    def ready(self, language: str) -> None:
        """Run a program of a language, or raise SetupError."""
        ...

    def execute(self, program: Program, stdin: str, limits: Limits) -> Execution:
        """Run a program once, and return what it printed."""
        ...

    def run_python(self, job: PythonJob, limits: Limits) -> Result:
        """Judge a module by tests."""
        ...

    def run_program(self, job: ProgramJob, limits: Limits) -> Result:
        """Judge a program by its output."""
        ...
