"""Looks for texts in a response."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Literal

import regex  # type: ignore[import-untyped]
from pydantic import Field

from storage.records import Prompt, Sample
from verifiers.protocol import Finding, verifier

_PILED = regex.compile(r"\p{M}{31}")
"""More accents than a letter of any language has: Unicode's normal form takes the square of their number."""


@verifier(version="2", isolated=False, pure=True)
class Contains:
    """Passes a response that has texts in it: all of them, any, or none.

    They are compared as they are written, but that é is one letter, whether as one sign or as e and an accent.
    """

    texts: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
    """What to look for."""
    require: Literal["all", "any", "none"] = "all"
    """How many of them must be there."""
    ignore_case: bool = False
    """Whether "Paris" and "PARIS" are the same."""

    def check(self, prompt: Prompt, sample: Sample) -> Finding:  # noqa: ARG002
        """Look for each."""
        written = sample.response.casefold() if self.ignore_case else sample.response
        composed = _composed(written)
        texts = {text: text.casefold() if self.ignore_case else text for text in self.texts}
        found = [text for text, sought in texts.items() if sought in written or _composed(sought) in composed]
        lacking = [text for text in self.texts if text not in found]
        passed = {"all": not lacking, "any": bool(found), "none": not found}[self.require]
        decisive = lacking or found if self.require == "all" else found or lacking
        reason = f"{decisive[0]!r} is {'' if decisive is found else 'not '}in it"
        return Finding(passed=passed, reason=reason, answer=found[0] if found else None)


def _composed(text: str) -> str:
    """Return a text in which a letter and its accent are one sign, wherever there is one."""
    return text if text.isascii() or _PILED.search(text) else unicodedata.normalize("NFC", text)
