"""Runs the program in a response, in the sandbox, and compares what it prints with the prompt's reference."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field

from storage.records import Prompt, Sample
from verifiers.exact_match import ExactMatch
from verifiers.protocol import Finding, Trial, verifier
from verifiers.reading.code import code_of
from verifiers.reading.pieces import pieces
from verifiers.sandbox.languages import LANGUAGES
from verifiers.sandbox.protocol import Limits, Program
from verifiers.sandbox.remote import Server
from verifiers.unit_tests import MEGABYTE, Where, runner_of


@verifier(version="16", isolated=False)
class ProgramAnswer(ExactMatch):
    """Passes a response whose program prints the reference.

    The answer is what a program works out (program of thoughts: Chen et al. 2022, arXiv:2211.12588). It is the last fenced block
    of the language; its output is read and compared as `exact_match` does with a response, with its options. A program that
    fails, takes too long or prints nothing fails the response; so does one that was cut off.
    """

    without_code: Literal["fail", "read"] = "fail"
    """What becomes of a response that has no fenced block of the language: it fails, or is itself read as `exact_match` reads it,
    for prompts of which only some responses are to be programs."""
    language: Literal["python", "javascript", "bash"] = "python"
    """What the program is written in."""
    timeout_s: Annotated[float, Field(gt=0)] = 10
    """Seconds that it may take."""
    memory_mb: Annotated[int, Field(ge=64)] = 512
    """Address space of each of its processes, the interpreter's 60 MB included; with JavaScript, its heap."""
    sandbox: Where = "bubblewrap"
    """Where it runs: in jails of this machine, or at `{url: …}`, a server that speaks SandboxFusion's `/run_code`."""

    def identity(self) -> Mapping[str, Any]:
        """Return that another sandbox than ours judges; which server it is doesn't matter."""
        return {"sandbox": "remote"} if isinstance(self.sandbox, Server) else {}

    def ready(self) -> None:
        """Run a program of the language, or raise SetupError."""
        runner_of(self.sandbox).ready(self.language)

    def check(self, prompt: Prompt, sample: Sample) -> Finding:
        """Run the program, and compare what it prints with the reference."""
        if prompt.reference is None or not prompt.reference.strip():
            return Finding(passed=None, reason="the prompt has no reference")
        body = sample.response.rpartition("</think>")[2]
        language = LANGUAGES[self.language]
        blocks = [piece for piece in pieces(body) if piece.info is not None]
        code = code_of(body, language.fences) if blocks else None
        if code is None and self.without_code == "read":
            return super().check(prompt, sample)
        if "<think>" in body:
            return Finding(passed=False, reason="the chain of thought never ends")
        if code is None:
            return Finding(passed=False, reason=f"the response has no block of {language.title} code")
        if not blocks[-1].closed:
            return Finding(passed=False, reason="the program is cut off: its block never ends")
        return self._run(code, prompt, sample)

    def _run(self, code: str, prompt: Prompt, sample: Sample) -> Finding:
        limits = Limits(wall_s=self.timeout_s, cpu_s=int(self.timeout_s) + 2, memory_bytes=self.memory_mb * MEGABYTE)
        ran = runner_of(self.sandbox).execute(Program(source=code, language=self.language), "", limits)
        if ran.fault:
            return Finding(passed=False, reason=f"the program fails: {ran.fault}")
        if not ran.stdout.strip():
            return Finding(passed=False, reason="the program prints nothing")
        found = super().check(prompt, replace(sample, response=ran.stdout, finish_reason="stop"))
        return replace(found, reason=f"the program's output: {found.reason}")

    def trials(self, prompt: Prompt) -> Iterator[Trial]:
        """Yield programs that print what `exact_match` is tried on."""
        for trial in super().trials(prompt):
            yield Trial(response=f"```{self.language}\n{_printing(trial.response, self.language)}\n```", kind=trial.kind)


def _printing(text: str, language: str) -> str:
    """Return a program that prints a text."""
    return {
        "python": f"print({text!r})",
        "javascript": f"console.log({json.dumps(text)})",
        "bash": f"printf '%s\\n' {shlex.quote(text)}",
    }[language]
