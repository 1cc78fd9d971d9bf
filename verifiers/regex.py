"""Looks for a pattern in a response."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Literal

import regex  # type: ignore[import-untyped]
from pydantic import Field

from storage.records import Prompt, Sample
from verifiers.protocol import Finding, verifier

MAX_SHOWN = 200
"""Characters of a match that a verdict keeps."""
Flag = Literal["ascii", "dot_all", "ignore_case", "multiline", "verbose"]
_FLAGS = {
    "ascii": regex.ASCII,
    "dot_all": regex.DOTALL,
    "ignore_case": regex.IGNORECASE,
    "multiline": regex.MULTILINE,
    "verbose": regex.VERBOSE,
}


# A search lets other threads run, and ends at its time limit.
@verifier(version="1", isolated=False, pure=True)
class Regex:
    r"""Passes a response that a pattern matches, or one that it doesn't match.

    The pattern is in the syntax of the package `regex`, which is Python's with more in it. What a group named `answer` matched
    is the verdict's answer, or else all of the match. A search that takes too long is undecided.
    """

    pattern: Annotated[str, Field(min_length=1)]
    r"""What to look for, such as `^#### -?\d+$`."""
    match: Literal["search", "fullmatch"] = "search"
    """search: anywhere in the response; fullmatch: all of it, blank space around it apart."""
    flags: tuple[Flag, ...] = ()
    """ignore_case; multiline: `^` and `$` at each line; dot_all: `.` is a line break too; verbose; ascii."""
    forbid: bool = False
    """Whether a match fails the response, rather than pass it."""
    timeout_s: Annotated[float, Field(gt=0, le=30)] = 1
    """Seconds for a search."""

    def __post_init__(self) -> None:
        """Refuse a pattern that is none."""
        try:
            _compiled(self.pattern, self.flags)
        except (regex.error, ValueError, KeyError, OverflowError, RecursionError) as error:
            raise ValueError(f"pattern: {self.pattern!r} is no pattern: {error}") from None

    def check(self, prompt: Prompt, sample: Sample) -> Finding:  # noqa: ARG002
        """Search."""
        pattern = _compiled(self.pattern, self.flags)
        try:
            if self.match == "search":
                found = pattern.search(sample.response, timeout=self.timeout_s)
            else:
                found = pattern.fullmatch(sample.response.strip(), timeout=self.timeout_s)
        except TimeoutError:
            return Finding(passed=None, reason=f"the search took more than {self.timeout_s:g} s")
        except MemoryError:
            return Finding(passed=None, reason="the search needs more memory than there is")
        looked_for = _short(" ".join(self.pattern.split()))
        if found is None:
            return Finding(passed=self.forbid, reason=f"no match of {looked_for}")
        answer = found.groupdict().get("answer")
        shown = _short(found[0] if answer is None else answer)
        return Finding(passed=not self.forbid, reason=f"{shown!r} matches {looked_for}", answer=shown)


@lru_cache(maxsize=256)
def _compiled(pattern: str, flags: tuple[Flag, ...]) -> regex.Pattern[str]:
    number = 0
    for flag in flags:
        number |= _FLAGS[flag]
    return regex.compile(pattern, number)


def _short(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
