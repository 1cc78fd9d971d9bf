"""Passes what every one of several verifiers passes."""

from __future__ import annotations

from collections.abc import Generator

from verifiers.parts import Combinator, Part, Parts, score_of
from verifiers.protocol import Finding, verifier


@verifier(version="1", isolated=False, pure=True)
class All(Combinator):
    """Passes a response that all parts pass. One that fails decides, and the parts behind it aren't asked.

    A part that is undecided leaves the whole undecided, unless another part fails. The score is the lowest of the parts', or that
    of the one that fails.
    """

    of: Parts
    """The parts, each as an entry of `verify`, in the order in which they are asked: cheap ones first."""

    def decide(self) -> Generator[Part, Finding, Finding]:
        """Stop at the first that fails."""
        undecided: Finding | None = None
        scores: list[float] = []
        answers: list[str] = []
        for part in self.of:
            finding = yield part
            if finding.passed is False:
                return self.told(part, finding)
            if finding.passed is None:
                undecided = undecided or self.told(part, finding)
            scores += [score] if (score := score_of(finding)) is not None else []
            answers += [finding.answer] if finding.answer is not None else []
        if undecided is not None:
            return undecided
        answer = answers[0] if answers else None
        return Finding(passed=True, score=min(scores), reason=f"all {len(self.of)} passed", answer=answer)
