"""Passes what one of several verifiers passes."""

from __future__ import annotations

from collections.abc import Generator

from verifiers.parts import Combinator, Part, Parts, score_of
from verifiers.protocol import Brought, Finding, verifier, ways_of_prompt


@verifier(version="1", isolated=False, pure=True)
class Any(Combinator):
    """Passes a response that one part passes. The first that does decides, and the parts behind it aren't asked.

    A part that is undecided leaves the whole undecided, unless another part passes. The score is the highest of the parts', or
    that of the one that passes.
    """

    of: Parts
    """The parts, each as an entry of `verify`, in the order in which they are asked: cheap ones first."""

    @property
    def ways_of_prompt(self) -> frozenset[frozenset[Brought]]:
        """What any one of its parts needs."""
        return frozenset[frozenset[Brought]]().union(*(ways_of_prompt(part.verifier) for part in self.of))

    def decide(self) -> Generator[Part, Finding, Finding]:
        """Stop at the first that passes."""
        undecided: Finding | None = None
        failed: list[Finding] = []
        for part in self.of:
            finding = yield part
            if finding.passed:
                return self.told(part, finding)
            if finding.passed is None:
                undecided = undecided or self.told(part, finding)
            else:
                failed.append(self.told(part, finding))
        if undecided is not None:
            return undecided
        score = max(score_of(finding) or 0.0 for finding in failed)
        answer = next((finding.answer for finding in failed if finding.answer is not None), None)
        return Finding(passed=False, score=score, reason="; ".join(finding.reason for finding in failed), answer=answer)
