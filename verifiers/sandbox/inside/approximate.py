"""`pytest.approx`: what the tests take for close enough. It is theirs alone: no object of the code's equals it."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

NUMBERS = {bool, int, float, complex, Fraction, Decimal}
REL, ABS = 1e-6, 1e-12


class Approx:
    """Equal to numbers that are close, and to sequences and dicts of them. Equal to no proxy."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, expected: Any, rel: Any = None, abs: Any = None, nan_ok: bool = False) -> None:  # noqa: A002 - pytest's name
        self.expected = expected
        self.rel = rel
        self.abs = abs
        self.nan_ok = nan_ok

    def __eq__(self, actual: object) -> bool:
        return self.close(actual, self.expected)

    def close(self, actual: Any, expected: Any) -> bool:
        """Compare numbers, and what holds numbers, of exact built-in types."""
        if type(expected) in {list, tuple}:
            return type(actual) in {list, tuple} and len(actual) == len(expected) and all(map(self.close, actual, expected))
        if type(expected) is dict:
            return (
                type(actual) is dict
                and actual.keys() == expected.keys()
                and all(self.close(actual[k], expected[k]) for k in expected)
            )
        if type(expected) is bool and type(actual) is not bool:
            return False
        if actual == expected:
            return True
        return type(actual) in NUMBERS and type(expected) in NUMBERS and self._near(actual, expected)

    def _near(self, actual: Any, expected: Any) -> bool:
        if actual != actual or expected != expected:  # noqa: PLR0124 - a NaN of any class
            return self.nan_ok and bool(actual != actual and expected != expected)  # noqa: PLR0124
        size = abs(expected)
        if math.isinf(size):
            return False
        kind = Decimal if type(expected) is Decimal else type(size)
        bound = _as(kind, ABS if self.abs is None else self.abs)
        if self.rel is not None or self.abs is None:  # an absolute bound that is given stands alone
            bound = max(bound, _as(kind, REL if self.rel is None else self.rel) * size)
        return bool(abs(_as(Decimal, actual) - expected if kind is Decimal else expected - actual) <= bound)


def _as(kind: Any, value: Any) -> Any:
    """Return a bound, or a number, that a decimal number can be compared with."""
    return Decimal(str(value)) if kind is Decimal and type(value) is float else value
