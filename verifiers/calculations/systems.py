"""Arithmetic other than the common one, where a text speaks of it: modulo 7, in base 8, by an operation that it defines."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction

from verifiers.calculations.arithmetic import Expression, Unreadable

_MODULUS = re.compile(
    r"(?:\b(?:mod(?:ulo|ulus)?|[pb]mod)\b|\b(?:Z|F|GF)(?=[_(/])|\u2124|\\mathbb\s?\{?[ZF]\}?)[\s_/({=]{0,3}(?:Z/)?(\d{1,6})(?!\.?\d)"
)
_CLOCK = re.compile(r"\bclock\b", re.IGNORECASE)
_HOURS = 12
_BASE = re.compile(r"\b(?:base[ -_]\{?(\d{1,2})|binary|ternary|octal|hexadecimal|duodecimal)\b", re.IGNORECASE)
_BASES: Mapping[str, int] = {"binary": 2, "ternary": 3, "octal": 8, "duodecimal": 12, "hexadecimal": 16}
_MOST = 36
"""The greatest base of which digits can be read."""
_MANY = 8
"""Moduli, or bases, beyond which a text's others are passed over, so that each equation takes bounded time."""
_DEFINED = re.compile(
    r"\b(?:defin\w+|operations?|operator)\b[^\n]{0,80}?(?<![\w*])[a-z] ?[*\u00d7\u2217\u22c6] ?[a-z](?![\w*])", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Systems:
    """What a text speaks of."""

    moduli: Collection[int]
    bases: Collection[int]
    operation: bool
    """It says what a * b is."""

    @classmethod
    def of(cls, text: str) -> Systems:
        """Return those of a text."""
        moduli = {int(match[1]) for match in _MODULUS.finditer(text)} | ({_HOURS} if _CLOCK.search(text) else set())
        bases = {int(match[1] or _BASES[match[0].lower()]) for match in _BASE.finditer(text)}
        return cls(
            sorted(number for number in moduli if number > 1)[:_MANY],
            sorted(number for number in bases if 1 < number <= _MOST)[:_MANY],
            _DEFINED.search(text) is not None,
        )

    def explain(self, left: Expression, right: Expression, value: Fraction, other: Fraction) -> bool:
        """Whether an equation that is false in common arithmetic may be true in one of them."""
        if self.operation and any(token.kind == "*" for token in left.tokens):
            return True
        if any((value - other) % modulus == 0 and (right.operators or abs(other) < modulus) for modulus in self.moduli):
            return True
        with contextlib.suppress(Unreadable):
            return any(_same_in_base(base, left, right) for base in self.bases)
        return False


def _same_in_base(base: int, left: Expression, right: Expression) -> bool:
    digits: dict[Fraction, Fraction] = {}
    for token in (*left.tokens, *right.tokens):
        if token.kind == "number":
            try:
                digits[token.value] = Fraction(int(token.text, base))
            except ValueError:  # 9 in base 8
                return False
    return left.value(swapped=digits) == right.value(swapped=digits)
