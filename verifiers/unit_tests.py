"""Runs the code in a response against the prompt's tests, in the sandbox."""

from __future__ import annotations

import ast
import json
import re
import textwrap
from dataclasses import dataclass
from typing import Literal

from storage.records import Prompt, Sample
from verifiers.protocol import Finding, verifier
from verifiers.sandbox import judge
from verifiers.sandbox.protocol import Case, Limits, ProgramJob, PythonJob, Result

PYTHON = {"py", "python", "python3"}
FENCE = re.compile(r"^(?P<indent>[ \t]*)(?P<mark>`{3,}|~{3,})[ \t]*(?P<info>[^\n]*)$")
MEGABYTE = 1 << 20
INDENT = "    "


@verifier(version="1", isolated=False)
class UnitTests:
    """Passes a response whose code passes the prompt's tests: Python source, or pairs of standard input and output."""

    timeout_s: float = 10
    """Seconds that all tests of a sample may take together; with pairs, each of them."""
    memory_mb: int = 512
    """Address space of each process of the sample, the interpreter's 60 MB included."""
    entry_point: str | None = None
    """What to hand to the tests' `check(candidate)`. Left out: the prompt's tag `entry_point`."""
    prefix: Literal["", "prompt"] = ""
    """`prompt`: the response continues the code in the prompt (HumanEval)."""
    processes: int = 16
    """Processes and threads of a sample at a time."""
    output_kb: int = 1024
    """What a sample may print."""

    def __post_init__(self) -> None:
        for name in ("timeout_s", "memory_mb", "processes", "output_kb"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be greater than 0, not {getattr(self, name)}")
        if self.memory_mb < 64:  # noqa: PLR2004 - see the message
            raise ValueError(f"memory_mb must be at least 64, which the interpreter itself needs, not {self.memory_mb}")

    def check(self, prompt: Prompt, sample: Sample) -> Finding:
        """Run the last Python block of the response, or all of it where it has no block."""
        if not prompt.tests or not prompt.tests.strip():
            return Finding(passed=None, reason="the prompt has no tests")
        found = code_of(sample.response)
        if found is None:
            return Finding(passed=False, reason="the response has no Python code", score=0.0)
        entry_point = self.entry_point or prompt.tags.get("entry_point") or None
        source, prelude = found, ""
        if self.prefix == "prompt":
            source, prelude = continued(prompt.prompt, found, entry_point)
        cases = cases_of(prompt.tests)
        if isinstance(cases, str):
            return Finding(passed=None, reason=cases, answer=found)
        if cases is None:
            job = PythonJob(source=source, tests=prompt.tests, entry_point=entry_point, prelude=prelude)
            result = judge.default().run_python(job, self.limits())
        else:
            result = judge.default().run_program(ProgramJob(source=source, cases=cases), self.limits())
        return _finding(result, source)

    def ready(self) -> None:
        """Start a jail, or raise SetupError."""
        judge.default().ready()

    def limits(self) -> Limits:
        """Return the sandbox's limits."""
        return Limits(
            wall_s=self.timeout_s,
            cpu_s=int(self.timeout_s) + 2,
            memory_bytes=self.memory_mb * MEGABYTE,
            processes=self.processes,
            output_bytes=self.output_kb << 10,
        )


def _finding(result: Result, source: str) -> Finding:
    return Finding(passed=result.passed, reason=result.reason, score=result.score, answer=source)


def cases_of(tests: str) -> tuple[Case, ...] | str | None:
    """Return the pairs of standard input and output; None where the tests are Python source; a text says what is wrong."""
    if not tests.lstrip().startswith("["):
        return None
    try:
        rows = json.loads(tests)
    except ValueError:
        return None
    if not isinstance(rows, list) or not rows:
        return "the tests are an empty list"
    if not all(
        isinstance(row, dict) and isinstance(row.get("stdin"), str) and isinstance(row.get("stdout"), str) for row in rows
    ):
        return 'the tests are broken: not a list of {"stdin": text, "stdout": text}'
    return tuple(Case(stdin=row["stdin"], stdout=row["stdout"]) for row in rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block of a response."""

    language: str
    """The first word of its info string, in lower case."""
    code: str
    """Its text, without the indentation of the fence."""


def blocks_of(text: str) -> list[Block]:
    """Return the fenced blocks. One that is never closed, because the response was cut off, ends with the text."""
    blocks: list[Block] = []
    lines: list[str] = []
    opened: re.Match[str] | None = None
    for line in text.replace("\r\n", "\n").split("\n"):
        fence = FENCE.match(line)
        if opened is None:
            if fence and not (fence["mark"][0] == "`" and "`" in fence["info"]):
                opened, lines = fence, []
        elif fence and fence["mark"].startswith(opened["mark"]) and not fence["info"].strip():
            blocks.append(_block(opened, lines))
            opened = None
        else:
            lines.append(line)
    if opened is not None:
        blocks.append(_block(opened, lines))
    return blocks


def _block(opened: re.Match[str], lines: list[str]) -> Block:
    indent = opened["indent"]
    if all(line.startswith(indent) or not line.strip() for line in lines):
        lines = [line.removeprefix(indent) for line in lines]
    language = re.split(r"[\s{,:]", opened["info"].strip().lstrip("{."), maxsplit=1)[0].lower()
    return Block(language=language, code="".join(f"{line}\n" for line in lines))


def code_of(response: str) -> str | None:
    """Return the code that a response means: its last Python block, else its last block of no language, else all of it."""
    blocks = blocks_of(response)
    if not blocks:
        return response.replace("\r\n", "\n")
    for languages in (PYTHON, {""}):
        fitting = [block.code for block in blocks if block.language in languages]
        if fitting:
            return fitting[-1]
    return None


def continued(prompt: str, code: str, entry_point: str | None) -> tuple[str, str]:
    """Return the source of a response that continues the prompt's code, and the prompt's part that its tests may rely on.

    A response may give the function's body, or the whole function once more; the prompt's imports and helpers go before either.
    """
    prompt = prompt.replace("\r\n", "\n")
    head = trusted_part(prompt, entry_point)
    if entry_point and re.search(
        rf"^(?:(?:async[ \t]+)?def|class)[ \t]+{re.escape(entry_point)}\b|^{re.escape(entry_point)}[ \t]*=", code, re.MULTILINE
    ):
        return f"{head}\n\n{code}", head
    return f"{prompt.rstrip()}\n{_as_body(code)}", head


def _as_body(code: str) -> str:
    """Indent a function's body that came without its indentation, or without that of its first line.

    By its text alone: Python's parser can be made to use all memory, or to crash, and this is untrusted code outside of the jail.
    """
    lines = [line for line in code.split("\n") if line.strip()]
    if not lines or lines[0][0] in " \t":
        return code
    indents = [len(line) - len(line.lstrip()) for line in lines[1:]]
    opens_block = lines[0].rstrip().endswith(":") and bool(indents) and indents[0] <= len(INDENT)
    if indents and min(indents) >= len(INDENT) and not opens_block:
        return INDENT + code.lstrip()
    return textwrap.indent(code, INDENT)


def trusted_part(prompt: str, entry_point: str | None) -> str:
    """Return the prompt's code without the function that is asked for; empty where the prompt isn't code."""
    try:
        body = ast.parse(prompt).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    kept = [
        node
        for node in body
        if getattr(node, "name", None) != entry_point or not isinstance(node, ast.FunctionDef | ast.ClassDef)
    ]
    return "\n\n".join(ast.unparse(node) for node in kept)
