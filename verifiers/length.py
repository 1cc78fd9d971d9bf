"""Bounds how long a response is."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field

from storage.records import Prompt, Sample
from verifiers.protocol import Finding, verifier

Bound = Annotated[int, Field(ge=0)] | None
_WORD = re.compile(r"\S+")
_UNITS = ("chars", "words", "lines", "tokens")


@verifier(version="1", isolated=False, pure=True)
class Length:
    """Passes a response that is neither too short nor too long, by as many of the bounds as are given."""

    part: Literal["response", "reasoning"] = "response"
    """What is measured. A sample that shows no reasoning is left undecided where its reasoning is wanted."""
    min_chars: Bound = None
    """Characters, blank space around the text left out."""
    max_chars: Bound = None
    """Likewise."""
    min_words: Bound = None
    """Words: what stands between blank space."""
    max_words: Bound = None
    """Likewise."""
    min_lines: Bound = None
    """Lines that aren't blank."""
    max_lines: Bound = None
    """Likewise."""
    min_tokens: Bound = None
    """Tokens as billed: all that the sample took, its reasoning included, or with `part: reasoning` the reasoning's alone."""
    max_tokens: Bound = None
    """Likewise."""

    def __post_init__(self) -> None:
        """Refuse bounds that nothing, or everything, is within."""
        bounds = {unit: (getattr(self, f"min_{unit}"), getattr(self, f"max_{unit}")) for unit in _UNITS}
        if all(each == (None, None) for each in bounds.values()):
            raise ValueError("needs a bound: min_ or max_ of chars, words, lines or tokens")
        for unit, (least, most) in bounds.items():
            if least is not None and most is not None and least > most:
                raise ValueError(f"min_{unit}: {least} is above max_{unit}, which is {most}")

    def check(self, prompt: Prompt, sample: Sample) -> Finding:  # noqa: ARG002
        """Measure what is bounded, and fail at the first bound that is broken."""
        text = sample.response if self.part == "response" else sample.reasoning
        if text is None:
            return Finding(passed=None, reason="the sample shows no reasoning")
        measured: list[str] = []
        for unit in _UNITS:
            least, most = getattr(self, f"min_{unit}"), getattr(self, f"max_{unit}")
            if least is None and most is None:
                continue
            number = self._tokens(sample) if unit == "tokens" else _measure(text.strip(), unit)
            if number is None:
                return Finding(passed=None, reason="the teacher didn't say how many tokens its reasoning took")
            if least is not None and number < least:
                return Finding(passed=False, reason=f"{number:,} {unit}, fewer than {least:,}")
            if most is not None and number > most:
                return Finding(passed=False, reason=f"{number:,} {unit}, more than {most:,}")
            measured.append(f"{number:,} {unit}")
        return Finding(passed=True, reason=", ".join(measured))

    def _tokens(self, sample: Sample) -> int | None:
        if self.part == "response":
            return sample.tokens_out
        return sample.tokens_reasoning or (None if (sample.reasoning or "").strip() else 0)


def _measure(text: str, unit: str) -> int:
    if unit == "chars":
        return len(text)
    if unit == "words":
        return sum(1 for _ in _WORD.finditer(text))
    return sum(1 for line in text.splitlines() if line.strip())
