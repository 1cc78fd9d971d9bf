r"""Algebra, in a worker process: whether two expressions are equal for certain.

An expression is built of sympy's parts from our own reading of it, never from a text, which sympy would have Python evaluate.
Two values are unequal where they differ at some point, by 45 digits; they are equal where their difference is proven to be
zero, by our own reading and by math-verify's of the same signs. Two readers that misread alike are rarer than one.
math-verify's own comparison isn't asked: it rounds, so that \sqrt{2}\cdot 10^{-20} is \sqrt{3}\cdot 10^{-20} to it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, cast

import math_verify  # type: ignore[import-untyped]
import sympy as untyped  # type: ignore[import-untyped]
from latex2sympy2_extended import NormalizationConfig  # type: ignore[import-untyped]

from verifiers.mathematics.expressions import Node, rational
from verifiers.mathematics.mathtext import Unreadable
from verifiers.mathematics.statements import Statement
from verifiers.mathematics.structure import compare

sympy = cast("Any", untyped)
"""Its own types are half done."""
DIGITS = 60
"""To which values are worked out."""
APART = 45
"""To how many of these digits two equal values agree."""
ZERO = 200
"""Decimals behind which a value is none: what cancels out leaves a rest there."""
_POINTS = (("7/5", "17/11", "23/19", "29/31"), ("37/13", "5/7", "43/17", "11/23"))
"""Where variables are tried out, in turn: none of them is special to any function."""


_READER = math_verify.LatexExtractionConfig(
    # Its notion of units would take the m off 3m; ours are off already.
    normalization_config=NormalizationConfig(
        basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none", equations=False
    )
)


def decide(expected: Statement, found: Statement, tolerance: Fraction) -> bool | None:
    """Compare two answers; None: it can't be shown."""
    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns of having no time limit, which is ours

    def leaf(one: Statement, other: Statement) -> bool | None:
        if one.node is None or other.node is None:
            return None
        if one.node == other.node:
            return True
        values = rational(one.node), rational(other.node)
        if values[0] is not None and values[1] is not None:
            return abs(values[0] - values[1]) <= tolerance
        return _equal(one, other, tolerance)

    return compare(expected, found, leaf)


def _equal(one: Statement, other: Statement, tolerance: Fraction) -> bool | None:
    assert one.node is not None  # noqa: S101 - for the type checker
    assert other.node is not None  # noqa: S101
    a, b = _built(one.node), _built(other.node)
    if sympy.oo in (a, -a, b, -b):
        return bool(a == b)
    opaque = any(map(_is_opaque, (one.node, other.node)))
    if tolerance and not a.free_symbols | b.free_symbols:
        return _within(a - b, tolerance)
    refuted = _differ(a, b)
    if refuted is not False:
        return None if opaque or refuted is None else False
    if not _proven(a, b):
        return None
    theirs = _their_reading(one.latex), _their_reading(other.latex)
    if theirs[0] is None or theirs[1] is None:
        return None
    return True if _proven(*theirs) else None


def _is_opaque(node: Node) -> bool:
    unbased = node.op == "call" and node.name == "log" and len(node.args) == 1
    return unbased or node.op == "opaque" or any(map(_is_opaque, node.args))


def _within(difference: Any, tolerance: Fraction) -> bool | None:
    bound = sympy.Rational(tolerance.numerator, tolerance.denominator)
    value = sympy.Abs(difference).evalf(DIGITS)
    if not value.is_Float or abs(value - bound) < sympy.Float(10, DIGITS) ** -APART:
        return None
    return bool(value < bound)


def _differ(a: Any, b: Any) -> bool | None:
    """Whether two expressions differ at a point. None: only where a variable is negative, so perhaps nowhere that is meant."""
    symbols = sorted(a.free_symbols | b.free_symbols, key=str)
    tried = 0
    for i, sign in enumerate((1, 1, -1)):
        points = _POINTS[i % len(_POINTS)]
        values = {symbol: sign * (sympy.Rational(points[j % len(points)]) + j // len(points)) for j, symbol in enumerate(symbols)}
        x, y = (each.subs(values).evalf(DIGITS, maxn=400) for each in (a, b))
        if not (_finite(x) and _finite(y)):
            continue
        tried += 1
        ten = sympy.Float(10, DIGITS)
        if abs(x - y) > ten**-ZERO + (abs(x) + abs(y)) * ten**-APART:
            return True if sign > 0 else None
        if not symbols:
            break
    return False if tried else None


def _finite(value: Any) -> bool:
    return bool(value.is_number and value.is_finite and all(part.is_Float or part.is_Rational for part in value.as_real_imag()))


def _proven(a: Any, b: Any) -> bool:
    """Whether the difference of two expressions is zero for certain."""
    difference = a - b
    if difference == 0:
        return True
    ways = (
        sympy.expand,
        lambda each: sympy.expand(sympy.fraction(sympy.together(each))[0]),
        lambda each: sympy.simplify(sympy.expand(each, trig=True)),
        lambda each: sympy.radsimp(sympy.sqrtdenest(each)),
        lambda each: sympy.simplify(sympy.expand_log(each)),
        sympy.simplify,
    )
    for way in ways:
        try:
            if way(difference) == 0:
                return True
        except (ValueError, TypeError, NotImplementedError, AttributeError):
            continue  # sympy can't go this way here: another may prove it, and what nothing proves is no pass
    if not difference.free_symbols and difference.is_algebraic:
        variable = sympy.Symbol("x")
        return bool(sympy.minimal_polynomial(difference, variable) == variable)
    return False


def _their_reading(latex: str) -> Any:
    """Return what math-verify reads, or None where it reads nothing or several things."""
    read: Any = math_verify.parse(f"${latex}$", extraction_config=[_READER], parsing_timeout=0)
    if not read or not isinstance(read[0], sympy.Expr):
        return None
    names = {"e": sympy.E, "i": sympy.I, "pi": sympy.pi}
    return read[0].subs({each: names.get(each.name) or _symbol(each.name) for each in read[0].free_symbols}).doit()


def _symbol(name: str) -> Any:
    # So the root of x^2 is |x|, as in school. By custom, z and w may be complex.
    return sympy.Symbol(name) if name[0] in "zw" else sympy.Symbol(name, real=True)


_CALLS = {"arcsin": "asin", "arccos": "acos", "arctan": "atan", "ln": "log"}


def _built(node: Node) -> Any:
    """Build an expression of sympy's from ours."""
    value = rational(node)
    if value is not None:
        return sympy.Rational(value.numerator, value.denominator)
    if node.op == "symbol":
        return _symbol(node.name)
    if node.op == "constant":
        return {"pi": sympy.pi, "e": sympy.E, "i": sympy.I, "oo": sympy.oo}[node.name]
    if node.op == "opaque":
        return sympy.Symbol(repr(node))
    return _applied(node, [_built(each) for each in node.args])


def _applied(node: Node, args: Sequence[Any]) -> Any:
    if node.op == "call":
        if node.name == "log":
            base = args[1] if len(args) > 1 else sympy.Symbol("the base of log", positive=True)
            return sympy.log(args[0]) / sympy.log(base)
        return getattr(sympy, _CALLS.get(node.name, node.name))(args[0])
    operation = {
        "sum": sympy.Add,
        "product": sympy.Mul,
        "power": _power,
        "root": _root,
        "factorial": sympy.factorial,
        "abs": sympy.Abs,
        "binom": sympy.binomial,
    }[node.op]
    return operation(*args)


def _power(base: Any, exponent: Any) -> Any:
    if exponent.is_Rational and not exponent.is_Integer and _negative(base):
        raise Unreadable("a broken power of a negative number means different things")
    return sympy.Pow(base, exponent)


def _root(under: Any, degree: Any) -> Any:
    if not (degree.is_Integer and degree > 1):
        raise Unreadable("a root's degree is no whole number")
    if degree % 2 and _negative(under):  # the real root, as in school
        return -sympy.Pow(-under, 1 / degree)
    return sympy.Pow(under, 1 / degree)


def _negative(value: Any) -> bool:
    return bool(value.is_number and value.is_extended_negative)
