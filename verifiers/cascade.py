"""Asks verifiers from cheap to dear, each only about what those before it passed."""

from __future__ import annotations

from collections.abc import Generator

from verifiers.parts import Combinator, Part, Parts
from verifiers.protocol import Finding, verifier


@verifier(version="1", isolated=False, pure=True)
class Cascade(Combinator):
    """Passes a response that all parts pass. The first that fails or is undecided decides, and those behind it aren't asked.

    So a judge at its end is paid only for what all cheap parts passed. The score is that of the part that decided; of a response
    that passes, the last one's.
    """

    of: Parts
    """The parts, each as an entry of `verify`, from cheap to dear."""

    def decide(self) -> Generator[Part, Finding, Finding]:
        """Stop at the first that doesn't pass."""
        decided = Finding(passed=None)
        for part in self.of:
            finding = yield part
            decided = self.told(part, finding)
            if not finding.passed:
                break
        return decided
