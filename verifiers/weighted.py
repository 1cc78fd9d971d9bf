"""Weighs the scores of several verifiers."""

from __future__ import annotations

from collections.abc import Generator
from fractions import Fraction
from typing import Annotated

from pydantic import Field

from verifiers.parts import Combinator, Part, Parts, score_of
from verifiers.protocol import Finding, verifier


@verifier(version="1", isolated=False, pure=True)
class Weighted(Combinator):
    """Passes a response whose weighted mean of the parts' scores is high enough. A part without a score counts 1 or 0.

    A part that is undecided leaves the whole undecided, and the parts behind it aren't asked.
    """

    of: Parts
    """The parts, each as an entry of `verify`, in the order in which they are asked: cheap ones first."""
    weights: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...] = ()
    """What each part counts, in their order. Left out: all the same."""
    pass_at: Annotated[float, Field(gt=0, le=1)]
    """The mean, from 0 to 1, from which a response passes."""

    def __post_init__(self) -> None:
        """Refuse weights that belong to no part."""
        if self.weights and len(self.weights) != len(self.of):
            raise ValueError(f"weights: {len(self.weights)} for {len(self.of)} parts; give each part one, or leave them out")

    def decide(self) -> Generator[Part, Finding, Finding]:
        """Hear all, up to the first that is undecided."""
        # As fractions of what was written: 0.7 reaches 0.7, whatever binary sums make of it.
        weights = [Fraction(str(weight)) for weight in self.weights or (1,) * len(self.of)]
        total = Fraction(0)
        told: list[str] = []
        answers: list[str] = []
        for part, weight in zip(self.of, weights, strict=True):
            finding = yield part
            if finding.passed is None:
                return self.told(part, finding)
            score = score_of(finding) or 0.0
            total += weight * Fraction(str(score))
            told.append(f"{self.label(part)} {score:.3g}")
            answers += [finding.answer] if finding.answer is not None else []
        mean = total / sum(weights)
        passed = mean >= Fraction(str(self.pass_at))
        reason = f"{float(mean):.3g} {'reaches' if passed else 'is below'} {self.pass_at:g} ({', '.join(told)})"
        return Finding(passed=passed, score=float(mean), reason=reason, answer=answers[0] if answers else None)
