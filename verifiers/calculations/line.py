"""A line in which somebody computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from verifiers.calculations.arithmetic import brackets
from verifiers.calculations.lexer import Token
from verifiers.calculations.systems import Systems


@dataclass(slots=True)
class Line:
    """A line, and what is known when it is read."""

    text: str
    tokens: Sequence[Token]
    behind: str
    """What follows it in the text."""
    dash: bool
    """It began with a dash, which may be a bullet or a minus."""
    systems: Systems
    """Of which its text speaks."""
    rounded: dict[Fraction, Fraction]
    """Exact values of what was rounded so far, by what is shown."""
    pairs: Mapping[int, int] = field(init=False)

    def __post_init__(self) -> None:
        self.pairs = brackets(self.tokens)


def article(line: Sequence[Token], i: int) -> bool:
    """Whether a token is the "a" of "$5 a day"."""
    return i + 1 < len(line) and line[i].text == "a" and line[i + 1].kind == "word"
