"""Functions that `use: python` calls in tests."""

from __future__ import annotations

from storage.errors import VerifierError
from storage.records import Prompt, Sample
from verifiers.protocol import Finding


class Unknown(Exception):
    """Can't be imported where this module can't."""


def is_paris(prompt: Prompt, sample: Sample) -> Finding:
    """Look for Paris."""
    found = "Paris" in sample.response
    return Finding(passed=found, reason=f"Paris is {'' if found else 'not '}in it")


def say(prompt: Prompt, sample: Sample, *, what: object = None) -> object:
    """Return what the spec says."""
    return what


def find(prompt: Prompt, sample: Sample, *, score: float) -> Finding:
    """Return a finding with this score."""
    return Finding(passed=True, reason="as asked", score=score, answer=sample.response)


def trouble(prompt: Prompt, sample: Sample) -> bool:
    """Do what the response says."""
    match sample.response:
        case "raise":
            raise Unknown("why\nnot")
        case "can't tell":
            raise VerifierError("no idea")
        case "exit":
            raise SystemExit(3)
        case "hang":
            while True:
                pass
    return True


async def later(prompt: Prompt, sample: Sample) -> bool:
    """Would have to be awaited."""
    return True


def lonely(sample: Sample) -> bool:
    """Take too few arguments."""
    return True


NUMBER = 4
