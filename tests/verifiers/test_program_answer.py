"""ProgramAnswer: the answer of a response is what its program prints, in the real sandbox."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from tests.fakes import make_prompt, make_sample
from tests.verifiers.sandbox.fusion import run_code, serving
from verifiers.program_answer import ProgramAnswer
from verifiers.protocol import Finding
from verifiers.sandbox.judge import BubblewrapSandbox

SUM = make_prompt("What is the sum of the squares of 1 to 10?", reference="385")


def block(code: str, *, language: str = "python") -> str:
    """Return a response with a program."""
    return f"I add them up.\n\n```{language}\n{code}\n```"


def check(response: str, *, finish_reason: str = "stop", reference: str | None = "385", **options: Any) -> Finding:
    """Judge a response to the sum."""
    verifier = ProgramAnswer(**({"kind": "number"} | options))
    prompt = make_prompt(SUM.prompt, reference=reference)
    return verifier.check(prompt, make_sample(response=response, finish_reason=finish_reason))


@pytest.mark.parametrize(
    ("response", "passed", "reason"),
    [
        (block("print(sum(n * n for n in range(1, 11)))"), True, "the program's output: matches 385 ("),
        (block("print('The answer is', 5 * 77)"), True, "the program's output: matches 385"),
        (block("print(sum(range(1, 11)))"), False, "the program's output: 55 ≠ 385"),
        (block("x = 385"), False, "the program prints nothing"),
        (block("print(1 / 0)"), False, "ZeroDivisionError: division by zero"),
        (block("while True: pass"), False, "the program fails: "),
        (block("open('/etc/passwd', 'w')"), False, "the program fails: "),
        ("The answer is 385.", False, "the response has no block of Python code"),
        (block("385", language="text") + "\n" + block("echo 385", language="bash"), False, "no block of Python code"),
        (f"{block('print(1)')}\nBetter:\n{block('print(385)')}", True, "matches 385"),
        (f"<think>{block('print(1)')}</think>{block('print(385)')}", True, "matches 385"),
        (f"<think>{block('print(385)')}", False, "the chain of thought never ends"),
    ],
)
def test_what_it_prints(response: str, passed: bool, reason: str):
    """The last block's output decides, whatever else is said; what it may do is the sandbox's."""
    found = check(response, timeout_s=2)
    assert (found.passed, reason in found.reason) == (passed, True), found.reason


def test_what_was_cut_off():
    """Half a program isn't run, though what is there would print the right number."""
    found = check("```python\nprint(385)\nif so", finish_reason="length")
    assert (found.passed, found.reason) == (False, "the program is cut off: its block never ends")


@pytest.mark.parametrize(
    ("response", "passed"), [("The answer is 385.", True), ("It is 55.", False), (block("print(55)"), False)]
)
def test_reading_what_is_no_program(response: str, passed: bool):
    """Among programs and worked solutions, each is judged by what it is; a program never by its text."""
    assert check(response, without_code="read").passed is passed


def test_no_reference():
    """Nothing is run where nothing could be compared."""
    assert check(block("while True: pass"), reference=None) == Finding(passed=None, reason="the prompt has no reference")


@pytest.mark.parametrize(("language", "code"), [("bash", "echo $((5 * 77))"), ("javascript", "console.log(5 * 77)")])
def test_other_languages(language: str, code: str):
    """A program may be written in what the sandbox has."""
    assert check(block(code, language=language), language=language).passed is True


def test_a_server():
    """A sandbox of another machine runs it as well."""
    sandbox = BubblewrapSandbox(1)
    with serving(lambda asked: (200, json.dumps(run_code(sandbox, asked)).encode())) as (url, asked):
        verifier = TypeAdapter(ProgramAnswer).validate_python({"kind": "number", "sandbox": {"url": url}})
        assert verifier.check(SUM, make_sample(response=block("print(385)"))).passed is True
        assert verifier.check(SUM, make_sample(response=block("print(55)"))).passed is False
    assert len(asked) == 2
    assert verifier.identity() == {"sandbox": "remote"}


@pytest.mark.parametrize("language", ["python", "bash"])
def test_trials(language: str):
    """It is tried on programs that print what is right and what is near it."""
    verifier = ProgramAnswer(kind="number", language=language)
    trials = list(verifier.trials(SUM))
    assert {trial.kind for trial in trials} == {"right", "wrong"}
    for trial in trials:
        assert verifier.check(SUM, make_sample(response=trial.response)).passed is (trial.kind == "right"), trial


@pytest.mark.parametrize("options", [{"timeout_s": 0}, {"memory_mb": 63}, {"without_code": "pass"}, {"prefix": "prompt"}])
def test_options_that_make_no_sense(options: dict[str, Any]):
    """They are refused before anything is run."""
    with pytest.raises(ValidationError):
        TypeAdapter(ProgramAnswer).validate_python(options)
