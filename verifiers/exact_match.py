"""Compares a response's final answer with the prompt's reference."""

from __future__ import annotations

import unicodedata
from fractions import Fraction
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import Field

from storage.records import CUT_OFF, Prompt, Sample
from verifiers.answers import Answer, Found, NoAnswer, find_choice, find_number, find_texts, whole_choice, whole_number
from verifiers.markup import fold, plain
from verifiers.protocol import Finding, verifier

MAX_SHOWN = 200
"""Characters of an answer that a verdict keeps."""
_QUOTES = ('"', "'", "“", "”", "\u2018", "\u2019", "«", "»", "`", "**", "__", "*", "_", "$")
_WRAPPERS = (*((q, q) for q in _QUOTES[:2]), ("“", "”"), ("\u2018", "\u2019"), ("«", "»"), *((q, q) for q in _QUOTES[8:]))


@verifier(version="1", isolated=False)
class ExactMatch:
    """Passes a response whose final answer is the reference: a number, a choice or a text.

    The reference is read like a response, so it may be "72", "1,234", "#### 72" or a worked solution. A number is compared
    exactly, as a fraction: 0.5 is 1/2 and 72.0 is 72. Its unit is not compared: "50%" answers the reference "50" and "50" the
    reference "50%", but neither answers "0.5". A prompt without a reference, or with one that can't be read, is left undecided;
    a response without an answer fails.
    """

    kind: Literal["text", "number", "choice"] = "text"
    """What the answer is: a text, a number or the letter of a choice."""
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0
    """For a number: by how much it may differ, in the reference's own unit. 0: not at all."""
    case_sensitive: bool = False
    """For a text: whether "paris" differs from "Paris"."""
    choices: Annotated[str, Field(pattern=r"^[A-Z]{2,26}$")] = "ABCDE"
    """For a choice: the letters that there are, in capitals."""
    extract: Literal["auto", "whole"] = "auto"
    """auto: the answer is where the response says (`verifiers/answers.py`), or else at its end; whole: it is all of it."""

    def check(self, prompt: Prompt, sample: Sample) -> Finding:
        """Compare the final answer of a response with the reference."""
        if prompt.reference is None or not prompt.reference.strip():
            return Finding(passed=None, reason="the prompt has no reference")
        cut_off = sample.finish_reason in CUT_OFF  # its last number may be half a number
        if self.kind == "text":
            return self._check_text(prompt.reference, sample.response, cut_off=cut_off)
        if self.kind == "choice":
            expected, found = _reference_choice(prompt.reference, self.choices), self._choice(sample.response)
        else:
            expected, found = _reference_number(prompt.reference), self._number(sample.response)
        if isinstance(expected, NoAnswer):
            return Finding(passed=None, reason=f"the reference can't be read: {expected.why}")
        if isinstance(found, NoAnswer):
            return Finding(passed=False, reason=found.why)
        if cut_off and found.at_end:
            return Finding(passed=False, reason=f"cut off at {_short(found.text)}", answer=_short(found.text))
        return _finding(found, expected.text, equal=self._equal(found, expected))

    def _number(self, response: str) -> Found:
        return whole_number(response) if self.extract == "whole" else find_number(response)

    def _choice(self, response: str) -> Found:
        return whole_choice(response, self.choices) if self.extract == "whole" else find_choice(response, self.choices)

    def _equal(self, found: Answer, expected: Answer) -> bool:
        if found.value is None or expected.value is None:
            return found.text == expected.text
        return abs(found.value - expected.value) <= (Fraction(str(self.tolerance)) if self.tolerance else 0)

    def _check_text(self, reference: str, response: str, *, cut_off: bool) -> Finding:
        expected = _reference_text(reference)
        wanted = self._normal(expected)
        candidates = [Answer(text=response, how="the whole response")] if self.extract == "whole" else find_texts(response)
        if isinstance(candidates, NoAnswer):
            return Finding(passed=False, reason=candidates.why)
        if not candidates[0].text.strip():
            return Finding(passed=False, reason="no answer found")
        # Markup makes a text longer, never four times as long: no megabyte needs to be normalised to see that it differs.
        limit = 4 * len(expected) + 200
        for found in candidates:
            if len(found.text) <= limit and self._normal(found.text) == wanted:
                if cut_off and found.at_end:
                    return Finding(passed=False, reason=f"cut off at {_short(found.text)}", answer=_short(found.text))
                return _finding(found, expected, equal=True)
        return _finding(candidates[0], expected, equal=False)

    def _normal(self, text: str) -> str:
        if "\\" in text:
            text = plain(text)
        text = " ".join(fold(text).split())
        shown = _bare(text) or text
        return shown if self.case_sensitive else unicodedata.normalize("NFKC", shown.casefold())


def _bare(text: str) -> str:
    """Return a text without the quotes, markdown and punctuation around it."""
    before = None
    while text != before:
        before = text
        text = text.strip().rstrip(".,;:!?")
        for left, right in _WRAPPERS:
            if len(text) > len(left) + len(right) and text.startswith(left) and text.endswith(right):
                text = text[len(left) : -len(right)]
    return text


@lru_cache(maxsize=4096)
def _reference_number(reference: str) -> Found:
    return find_number(reference)


@lru_cache(maxsize=4096)
def _reference_choice(reference: str, choices: str) -> Found:
    return find_choice(reference, choices)


def _reference_text(reference: str) -> str:
    found = find_texts(reference)
    return reference.strip() if isinstance(found, NoAnswer) else found[-1].text


def _finding(found: Answer, expected: str, *, equal: bool) -> Finding:
    answer = _short(found.text)
    reason = f"matches {_short(expected)}" if equal else f"{answer} ≠ {_short(expected)}"
    return Finding(passed=equal, reason=f"{reason} ({found.how})", answer=answer)


def _short(text: str) -> str:
    text = " ".join(text.encode("utf-8", "replace").decode().split())
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
