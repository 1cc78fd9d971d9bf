"""Computes again what a response says that it has computed."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from storage.records import Prompt, Sample
from verifiers.calculations.claims import claims
from verifiers.judging.fences import line
from verifiers.protocol import Finding, verifier

MAX_CHARS = 200_000
"""Of a response or a chain of thought. Linear as it is, to read a million takes half a minute where somebody means harm."""


@verifier(version="12", pure=True)
class CalculationCheck:
    """Fails a response, or a chain of thought, that states a false equation; passes one whose equations are true.

    Computed exactly, as fractions: `16 - 3 = 13`, `$2.50 * 4 is $10`, `20% of 50 = 10`, `10 / 3 ≈ 3.33`. What can't be read for
    certain is left alone (`verifiers/calculations/`). A right answer from a wrong calculation is what this is for. Where too few
    equations can be read nothing is decided, so that it stands beside other verifiers and fails nothing that has no numbers.
    """

    require: Annotated[int, Field(ge=1)] = 1
    """From how many true equations on a sample passes. With fewer, and none that is false, it is undecided."""
    reasoning: bool = True
    """Whether the chain of thought is read as well."""
    strict: bool = False
    """Whether an equals sign is taken at its word: running totals (2 + 3 = 5 * 2 = 10) and 10 / 3 = 3 are then false."""

    def check(self, prompt: Prompt, sample: Sample) -> Finding:
        """Compute every equation again."""
        parts = {"response": sample.response}
        if self.reasoning and sample.reasoning:
            parts = {"chain of thought": sample.reasoning} | parts
        if any(len(text) > MAX_CHARS for text in parts.values()):
            return Finding(passed=None, reason=f"longer than {MAX_CHARS:,} characters")
        false: list[str] = []
        true = 0
        for part, text in parts.items():
            for claim in claims(text, strict=self.strict, prompt=prompt.prompt):
                true += claim.true is True
                if claim.true is False:
                    false.append(f"{line(claim.text, 100)}, but it is {claim.truth} ({part})")
        read = true + len(false)
        if false:
            return Finding(passed=False, score=true / read, reason=f"{false[0]}; {len(false)} of {read} equations are false")
        if true < self.require:
            return Finding(
                passed=None, reason=f"{true or 'no'} equation{'s' * (true > 1)} to compute, of {self.require} required"
            )
        return Finding(passed=True, reason=f"{true} equation{'s' * (true > 1)} are true" if true > 1 else "1 equation is true")
