"""What verifiers are tried on before anything is spent: responses that are right by a prompt, and some that aren't."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fractions import Fraction

from verifiers.protocol import Trial
from verifiers.reading.answers import Answer

_LAST_DIGIT = re.compile(r"[0-9](?=[^0-9]*$)")
_DRESSES: dict[str, Callable[[str], str]] = {
    "boxed": lambda text: f"\\boxed{{{text}}}",
    "tag": lambda text: f"<answer>{text}</answer>",
    "hashes": lambda text: f"#### {text}",
    "code": lambda text: f"```\n{text}\n```",
}


def answers(reference: str, expected: Answer, *, kind: str, extract: str, choices: str, margin: Fraction) -> Iterator[Trial]:
    """Yield a reference and its answer as a response would give it, and answers that are no more than near it."""
    dress = _DRESSES.get(extract, str)
    if extract == "auto":
        yield Trial(response=reference, kind="right")
    yield Trial(response=dress(expected.text), kind="right")
    for wrong in _near(expected, kind=kind, choices=choices, margin=margin):
        yield Trial(response=dress(wrong), kind="wrong")
    yield Trial(response="", kind="wrong")


def _near(expected: Answer, *, kind: str, choices: str, margin: Fraction) -> Iterator[str]:
    if kind == "choice":
        yield from (letter for letter in choices if letter != expected.text)
    elif kind == "number" and expected.value is not None:
        step = 1 + 2 * margin
        yield from (str(value) for value in (expected.value + step, expected.value - step))
    elif kind == "text":
        yield f"{expected.text} x"
    elif kind == "math" and not margin:
        yield f"{expected.text} + 1"
    elif kind == "json":
        yield f"[{expected.text}]"
    elif not margin and _LAST_DIGIT.search(expected.text):
        yield _LAST_DIGIT.sub(lambda digit: str((int(digit[0]) + 1) % 10), expected.text)
