"""A sandbox for all tests of this folder, and `judge`, which runs a module against tests in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from textwrap import dedent

import pytest

from verifiers.sandbox.judge import BubblewrapSandbox
from verifiers.sandbox.protocol import Case, Limits, Program, ProgramJob, PythonJob, Result

Judge = Callable[..., Result]


@pytest.fixture(scope="session")
def sandbox() -> Iterator[BubblewrapSandbox]:
    """Return a sandbox for all tests."""
    made = BubblewrapSandbox(2)
    yield made
    made.close()


@pytest.fixture
def judge(sandbox: BubblewrapSandbox) -> Judge:
    """Return what judges a module by tests."""

    def run(source: str, tests: str, *, entry_point: str | None = None, prelude: str = "", **limits: float) -> Result:
        job = PythonJob(source=dedent(source), tests=dedent(tests), entry_point=entry_point, prelude=dedent(prelude))
        return sandbox.run_python(job, Limits(**{"wall_s": 5, **limits}))

    return run


@pytest.fixture
def run(sandbox: BubblewrapSandbox) -> Judge:
    """Return what judges a program by pairs."""

    def run(source: str, *cases: tuple[str, str], language: str = "python", score: bool = False, **limits: float) -> Result:
        listed = tuple(Case(stdin=stdin, stdout=stdout) for stdin, stdout in cases)
        program = Program(source=dedent(source), language=language)
        job = ProgramJob(program=program, cases=listed, score=score)
        return sandbox.run_program(job, Limits(**{"wall_s": 5, **limits}))

    return run
