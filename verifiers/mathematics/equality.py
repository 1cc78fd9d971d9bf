r"""Whether two mathematical answers are equal.

Equal forms and fractions are compared here, exactly. What is left, such as (x+1)^2 and x^2+2x+1, goes to a worker process
(`verifiers/mathematics/algebra.py`) with a limit by the clock. Only what is proven is equal; what is neither proven nor
refuted is undecided.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

from storage.errors import VerifierError
from verifiers import workers
from verifiers.mathematics.expressions import rational
from verifiers.mathematics.mathtext import WRAPPED, Unreadable, bare
from verifiers.mathematics.statements import Statement, read
from verifiers.mathematics.structure import compare

LIMIT_S = 5.0
"""Seconds by the clock that algebra may take for one pair of answers."""

_PROSE = re.compile(r"[A-Za-z]{2,}(?:[ '-]+[A-Za-z]+)+|[A-Za-z](?:[ '-]+[A-Za-z]{2,})+")

_ABOUT = re.compile(r"\\(?:approx|simeq)(?![a-zA-Z])|\b(?:approximately|approx\.|roughly)\s(?=[-\d.$\\])")
_ONLY_NAME = re.compile(r"[$\\(\[*\s]*(?:[A-Za-z](?:_\{?\w+\}?)?)?\s*=?\s*")
"""Before ≈, where it is nothing that could be an answer."""
_DECIMALS = re.compile(r"-?\d+\.?(\d*)\D*")
_DEGREES = re.compile(r"[$\s]*(?P<number>\d+(?:\.\d+)?)\s?(?:\^\{?\s?\\circ\s?\}?|\u00b0|\s?degrees)[$\s.]*")
_DATE = re.compile(r"[$\s]*\d{4}-\d\d-\d\d[$\s.]*")
_BESIDE_SIGNS = re.compile(r"\s*([^\w\s\\])\s*")
"""Spaces that nobody means: 3 : 4 and 3:4."""


class _Algebra:
    """`verifiers.mathematics.algebra.decide` as a worker is sent it: only there is sympy loaded, before the limit begins."""

    def __call__(self, expected: Statement, found: Statement, tolerance: Fraction) -> bool | None:
        return _decide()(expected, found, tolerance)

    def __reduce__(self) -> tuple[Callable[[], object], tuple[()]]:
        return _decide, ()


def _decide() -> Callable[[Statement, Statement, Fraction], bool | None]:
    from verifiers.mathematics import algebra

    return algebra.decide


class _NeedsAlgebra(Exception):
    """Two values that are no fractions."""


def equal(expected: Statement, found: Statement, tolerance: Fraction = Fraction(0)) -> bool | None:
    """Say whether two answers are equal; None: it can't be shown. Raise VerifierError where that takes too long."""
    if expected == found:
        return True

    def plain(one: Statement, other: Statement) -> bool | None:
        return _plain(one, other, tolerance)

    try:
        return compare(expected, found, plain)
    except _NeedsAlgebra:
        try:
            return workers.default().call(_Algebra(), expected, found, tolerance, timeout_s=LIMIT_S)
        except (MemoryError, RecursionError, ArithmeticError, Unreadable) as error:
            raise VerifierError(f"the algebra was too much: {str(error) or type(error).__name__}") from None
    except Unreadable as error:
        raise VerifierError(f"it can't be worked out: {error}") from None


def result(found: Statement, expected: Statement) -> Statement:
    """Return 16 of "4² = 16", what is worked out and right: for who expects a value, 2√2 of "√8 = 2√2" as well.

    Raise VerifierError where that takes too long.
    """
    if found.kind != "relation" or found.name != "=":
        return found
    left, right = found.items
    value = plain_value(left)
    if value is not None:
        return right if value == plain_value(right) else found
    values = {expected.kind, left.kind, right.kind} == {"value"} and not (left.name or right.name)
    return right if values and equal(left, right) else found


def plain_value(item: Statement) -> Fraction | None:
    """Return the value of an expression that consists of numbers, or None."""
    try:
        return rational(item.node) if item.kind == "value" and item.node else None
    except Unreadable:
        return None


def about(text: str) -> tuple[str, str]:
    r"""Return an answer without what it is about, and that; of "x \approx 3.14", which gives nothing else, "x = 3.14"."""
    exact, sign, rounded = text.partition("≈") if "≈" in text else _ABOUT.sub("≈", text).partition("≈")
    if not sign or "≈" in rounded:
        return text, ""
    if _ONLY_NAME.fullmatch(exact):
        name = exact.strip("$ \t\n*").removesuffix("=").strip()
        return (f"{name} = {rounded}" if name.strip("\\([ ") else f"{exact}{rounded}"), ""
    return exact, rounded


def rounds(exact: Statement, rounded: str, *, units: Fraction = Fraction(1)) -> Statement | None:
    """Return a decimal number that a value is about, if it is, by this many units of its last place: 2.33 beside 7/3.

    Raise VerifierError where that takes too long.
    """
    read_as = statement(rounded)
    decimals = _DECIMALS.fullmatch(bare(rounded)) if not isinstance(read_as, Unreadable) else None
    if isinstance(read_as, Unreadable) or decimals is None:
        return None
    step = Fraction(1, 10 ** len(decimals[1])) if decimals[1] else Fraction(1, 2)
    return read_as if equal(exact, read_as, step * units) else None


def says(exact: str, again: str) -> bool:
    r"""Whether what is said behind an answer says it again: 3.14 behind \pi, \frac{\pi}{3} behind 60^\circ.

    Raise VerifierError where that takes too long.
    """
    about_it, rounded = about(again)
    again = rounded or about_it
    for degrees, radians in ((exact, again), (again, exact)):
        if (angle := _DEGREES.fullmatch(degrees)) and not isinstance(other := statement(radians), Unreadable):
            one = statement(rf"\frac{{{angle['number']}\pi}}{{180}}")
            return not isinstance(one, Unreadable) and equal(one, other) is True
    value = statement(about(exact)[0])
    return (
        not isinstance(value, Unreadable) and "." in again.strip(" $.") and rounds(value, again, units=Fraction(1, 2)) is not None
    )


def same_signs(expected: str, found: str) -> bool:
    """Compare two answers that can't be read: whether they consist of the same signs but for fences, sizes and spaces."""
    try:
        one, other = (WRAPPED.sub(r" \1 ", bare(text)).strip() for text in (expected, found))
    except Unreadable:
        return False
    one, other = (_BESIDE_SIGNS.sub(r"\1", text) for text in (one, other))
    if _PROSE.fullmatch(one) and _PROSE.fullmatch(other):
        one, other = one.casefold(), other.casefold()
    return one.split() == other.split() != []


def statement(text: str) -> Statement | Unreadable:
    """Read an answer, or say why it can't be read."""
    if _DATE.fullmatch(text):
        return Unreadable("a date, and no subtraction")
    try:
        return read(text)
    except Unreadable as error:
        return error


def _plain(expected: Statement, found: Statement, tolerance: Fraction) -> bool | None:
    if expected.node is None or found.node is None:
        return None
    if expected.node == found.node:
        return True
    one, other = rational(expected.node), rational(found.node)
    if one is None or other is None:
        raise _NeedsAlgebra
    return abs(one - other) <= tolerance
