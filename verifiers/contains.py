"""Looks for texts in a response."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from storage.records import Prompt, Sample
from verifiers.protocol import Finding, verifier


@verifier(version="1", isolated=False, pure=True)
class Contains:
    """Passes a response that has texts in it: all of them, any, or none. They are compared as they are written."""

    texts: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
    """What to look for."""
    require: Literal["all", "any", "none"] = "all"
    """How many of them must be there."""
    ignore_case: bool = False
    """Whether "Paris" and "PARIS" are the same."""

    def check(self, prompt: Prompt, sample: Sample) -> Finding:  # noqa: ARG002
        """Look for each."""
        response = sample.response.casefold() if self.ignore_case else sample.response
        found = [text for text in self.texts if (text.casefold() if self.ignore_case else text) in response]
        lacking = [text for text in self.texts if text not in found]
        passed = {"all": not lacking, "any": bool(found), "none": not found}[self.require]
        decisive = lacking or found if self.require == "all" else found or lacking
        reason = f"{decisive[0]!r} is {'' if decisive is found else 'not '}in it"
        return Finding(passed=passed, reason=reason, answer=found[0] if found else None)
