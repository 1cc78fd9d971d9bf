r"""A scalar expression: how it is read, and its exact value where that is a fraction.

The grammar is strict. Where two people could read an expression differently ("1/2x", "\sin(x)^2"), it is refused.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from verifiers.mathematics.mathtext import Token, Unreadable

MAX_DEPTH = 40
"""Of brackets within brackets."""
MAX_BITS = 20_000
"""Of a number that is worked out: 2^1000 is, 9^(9^9) isn't."""
MAX_DEGREE = 100
"""Of a root that is worked out."""
MAX_FACTORIAL = 1000
"""Of what a factorial is worked out."""

Op = Literal[
    "number", "symbol", "constant", "sum", "product", "power", "root", "call", "factorial", "abs", "binom", "pm", "opaque"
]


@dataclass(frozen=True, slots=True)
class Node:
    """An operation and what it is done to."""

    op: Op
    """What is done. "opaque": something that is only equal to itself."""
    args: tuple[Node, ...] = ()
    """To what: of a power the base and the exponent, of a root what is under it and its degree."""
    name: str = ""
    """Of a symbol, a constant or a function."""
    value: Fraction = Fraction(0)
    """Of a number."""


class TooLarge(Unreadable):
    """A number that nobody could write down."""


ONE, MINUS_ONE = Node("number", value=Fraction(1)), Node("number", value=Fraction(-1))
_INVERSES = {"sin": "arcsin", "cos": "arccos", "tan": "arctan"}


def number(value: Fraction | int) -> Node:
    """Return a number's node."""
    return Node("number", value=Fraction(value))


def parse(tokens: Sequence[Token]) -> Node:
    """Read tokens as one expression. Raise Unreadable."""
    parser = _Parser(tokens)
    node = parser.sum()
    if (left := parser.peek()) is not None:
        raise Unreadable(f"“{left.text}” has no place there")
    return node


class _Parser:
    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self._bars = 0

    def peek(self, ahead: int = 0) -> Token | None:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else None

    def _sees(self, *signs: str) -> bool:
        token = self.peek()
        return token is not None and token.kind == "sign" and token.text in signs

    def _takes(self, *signs: str) -> str | None:
        if self._sees(*signs):
            self._at += 1
            return self._tokens[self._at - 1].text
        return None

    def _expect(self, sign: str) -> None:
        if not self._takes(sign):
            raise Unreadable(f"“{sign}” is missing")

    def sum(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Unreadable("it is nested too deeply")
        terms: list[Node] = []
        sign = self._takes("+", "-", "±")
        while True:
            term = self._product()
            terms.append({"-": _negative(term), "±": Node("pm", (term,))}.get(sign or "", term))
            sign = self._takes("+", "-", "±")
            if sign is None:
                break
        self._depth -= 1
        return terms[0] if len(terms) == 1 else Node("sum", tuple(terms))

    def _product(self) -> Node:
        factors = [self._signed()]
        divided = False
        while True:
            sign = self._takes("*", "/")
            if sign == "/":
                factors.append(Node("power", (self._signed(), MINUS_ONE)))
                divided = True
            elif sign == "*":
                factors.append(self._signed())
                divided = False
            elif self._begins_factor():
                if divided:
                    raise Unreadable("what stands behind a slash and a factor may be above or below it")
                self._beside(factors)
            else:
                return factors[0] if len(factors) == 1 else Node("product", tuple(factors))

    def _beside(self, factors: list[Node]) -> None:
        """Read a factor that follows another without a sign: a product, or the fraction of a mixed number."""
        before = self._tokens[self._at - 1]
        alone = before.kind == "number" and len(factors) == 1 and factors[0].op == "number"
        if alone and (fraction := self._plain_fraction()) is not None:
            if "." in before.text or not 0 < fraction < 1:
                raise Unreadable("it may be a mixed number or a product")
            factors[0] = number(_mixed(factors[0].value, fraction))
            if self._begins_factor() or self._sees("^", "!"):
                raise Unreadable("what stands behind a mixed number has no place there")
            return
        token = self.peek()
        if token is not None and token.kind == "number":
            raise Unreadable(f"“{before.text} {token.text}” may be one number or several")
        factors.append(self._power())

    def _plain_fraction(self) -> Fraction | None:
        r"""Return a fraction of two whole numbers, \\frac{1}{2} or 1/2, and step over it."""
        ahead = [self.peek(i) for i in range(7)]
        texts = [token.text if token else "" for token in ahead]
        if texts[0] == "frac" and [texts[i] for i in (1, 3, 4, 6)] == ["{", "}", "{", "}"]:
            above, below, length = texts[2], texts[5], 7
        elif ahead[0] is not None and ahead[0].kind == "number" and texts[1] == "/":
            above, below, length = texts[0], texts[2], 3
        else:
            return None
        if not (above.isdecimal() and below.isdecimal() and int(below)):
            return None
        self._at += length
        return Fraction(int(above), int(below))

    def _signed(self) -> Node:
        negative = False
        while sign := self._takes("-", "+"):
            negative ^= sign == "-"
        factor = self._power()
        return _negative(factor) if negative else factor

    def _begins_factor(self) -> bool:
        token = self.peek()
        if token is None or token.kind in {"word", "unit"}:
            return False
        return token.kind != "sign" or token.text in {"(", "{", "["} or (token.text == "|" and not self._bars)

    def _power(self) -> Node:
        base = self._postfix(self._atom())
        if not self._takes("^"):
            return base
        exponent = self._exponent()
        if self._sees("^"):
            raise Unreadable("a power of a power needs brackets")
        return self._postfix(Node("power", (base, exponent)))

    def _postfix(self, node: Node) -> Node:
        while self._takes("!"):
            if self._sees("!"):
                raise Unreadable("“!!” may be a double factorial")
            node = Node("factorial", (node,))
        return node

    def _exponent(self) -> Node:
        if self._sees("{", "("):
            return self._group()
        if self._takes("-"):
            return _negative(self._atom())
        return self._atom()

    def _group(self) -> Node:
        closing = {"{": "}", "(": ")", "[": "]"}.get(self._takes("{", "(", "[") or "")
        if closing is None:
            raise Unreadable("a bracket is missing")
        bars, self._bars = self._bars, 0
        node = self.sum()
        self._bars = bars
        self._expect(closing)
        return node

    def _atom(self) -> Node:  # noqa: PLR0911 - one for each kind of token
        token = self.peek()
        if token is None:
            raise Unreadable("something is missing at its end")
        if self._sees("{", "(", "["):
            return self._group()
        self._at += 1
        if token.kind == "number":
            return self._based(number(Fraction(token.text)), token)
        if token.kind == "symbol":
            return Node("symbol", name=token.text)
        if token.kind == "constant" and token.text in {"pi", "e", "i", "oo"}:
            return Node("constant", name=token.text)
        if token.kind == "function":
            return self._function(token.text)
        if token.text == "|" and token.kind == "sign":
            self._bars += 1
            inside = self.sum()
            self._bars -= 1
            self._expect("|")
            return Node("abs", (inside,))
        if token.kind == "command" and token.text in {"frac", "sqrt", "binom"}:
            return self._command(token.text)
        raise Unreadable(f"“{token.text}” has no place there")

    def _based(self, node: Node, token: Token) -> Node:
        """Read "101_2": the same digits in another base are another number, so it is only equal to itself."""
        if not self._takes("_"):
            return node
        base = self._group() if self._sees("{") else self._atom()
        return Node("opaque", (node, base), name=f"{token.text}_base")

    def _command(self, name: str) -> Node:
        if name == "frac":
            above, below = self._argument(), self._argument()
            return Node("product", (above, Node("power", (below, MINUS_ONE))))
        if name == "binom":
            return Node("binom", (self._argument(), self._argument()))
        degree = self._group() if self._sees("[") else number(2)
        token = self.peek()
        if token is not None and token.kind == "number" and len(token.text) > 1:
            raise Unreadable(f"the root may be of {token.text} or of its first digit")
        return Node("root", (self._group() if self._sees("(", "{") else self._argument(), degree))

    def _argument(self) -> Node:
        """Read what a fraction's or a root's half is: a group in braces, or one sign."""
        if self._sees("{"):
            return self._group()
        token = self.peek()
        if token is not None and (token.kind in {"symbol", "constant"} or (token.kind == "number" and len(token.text) == 1)):
            return self._atom()
        raise Unreadable("a pair of braces is missing")

    def _function(self, name: str) -> Node:
        base: Node | None = None
        power: Node | None = None
        if name == "log" and self._takes("_"):
            base = self._group() if self._sees("{") else self._argument()
        if self._takes("^"):
            power = self._exponent()
            if power == MINUS_ONE or power == _negative(ONE):
                if name not in _INVERSES:
                    raise Unreadable(f"“{name}^-1” may be an inverse or a reciprocal")
                name, power = _INVERSES[name], None
        if self._sees("(", "{", "["):
            argument = self._group()
            if self._sees("^", "!"):
                raise Unreadable(f"a power behind {name}(…) may be of the value or of what is inside")
        else:
            argument = self._loose_argument(name)
        if name == "log" and base is None:
            node = Node("call", (argument,), "log")  # to base ten here, to base e there
        elif name == "log" and base is not None:
            node = Node("call", (argument, base), "log")
        else:
            node = Node("call", (argument,), name)
        return Node("power", (node, power)) if power is not None else node

    def _loose_argument(self, name: str) -> Node:
        """Read what a function without brackets is of: sin 2x, but not sin x y."""
        factors: list[Node] = []
        negative = self._takes("-") is not None
        while (token := self.peek()) is not None and (
            token.kind in {"number", "symbol", "constant", "command"} or self._sees("|")
        ):
            if factors and (token.kind == "number" or any(each.op not in {"number", "constant"} for each in factors)):
                raise Unreadable(f"how far {name} reaches isn't clear")
            if self._sees("|") and (self._bars or factors):
                break
            factors.append(self._power())
        if not factors or self._sees("(", "{", "[", "/", "!"):
            raise Unreadable(f"how far {name} reaches isn't clear")
        node = factors[0] if len(factors) == 1 else Node("product", tuple(factors))
        return _negative(node) if negative else node


def _negative(node: Node) -> Node:
    return number(-node.value) if node.op == "number" else Node("product", (MINUS_ONE, node))


def _mixed(whole: Fraction, part: Fraction) -> Fraction:
    return whole - part if whole < 0 else whole + part


def rational(node: Node) -> Fraction | None:  # noqa: PLR0911 - one for each operation
    """Return the exact value of an expression that consists of numbers, or None. Raise TooLarge or Unreadable (1/0)."""
    if node.op == "number":
        return node.value
    values = [rational(each) for each in node.args]
    if not values or None in values or node.op in {"opaque", "pm", "call", "symbol", "constant"}:
        return None
    known = [value for value in values if value is not None]
    if node.op == "sum":
        total = Fraction(0)
        for value in known:
            total = _bounded(total + value)
        return total
    if node.op == "product":
        total = Fraction(1)
        for value in known:
            total = _bounded(total * value)
        return total
    if node.op == "power":
        return _power(known[0], known[1])
    if node.op == "abs":
        return abs(known[0])
    return _counted(node, known)


def _counted(node: Node, values: list[Fraction]) -> Fraction | None:
    """Work out a factorial, a binomial or a root that comes out even."""
    if node.op == "root":
        return _root(values[0], values[1])
    if any(value.denominator != 1 or value < 0 for value in values):
        raise Unreadable("a factorial of what is no whole number")
    whole = [int(value) for value in values]
    if max(whole) > MAX_FACTORIAL:
        raise TooLarge("it has too large a number")
    return Fraction(math.factorial(whole[0]) if node.op == "factorial" else math.comb(whole[0], whole[1]))


def _power(base: Fraction, exponent: Fraction) -> Fraction | None:
    if base == 0 and exponent <= 0:
        raise Unreadable("it divides by zero" if exponent < 0 else "0^0 means different things")
    if exponent.denominator != 1:
        return None
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if base not in {0, 1, -1} and (abs(exponent) > MAX_BITS or bits * abs(exponent) > 2 * MAX_BITS):
        raise TooLarge("it has too large a number")
    if base in {1, -1}:
        return base if exponent % 2 else Fraction(1)
    return base ** int(exponent)


def _root(value: Fraction, degree: Fraction) -> Fraction | None:
    if degree.denominator != 1 or not 1 < degree <= MAX_DEGREE or (value < 0 and degree % 2 == 0):
        return None
    above, below = (_whole_root(abs(each), int(degree)) for each in (value.numerator, value.denominator))
    if above is None or below is None:
        return None
    return Fraction(above if value > 0 else -above, below)


def _whole_root(value: int, degree: int) -> int | None:
    """Return the whole number whose power this is, found by halving."""
    low, high = 0, 1 << (value.bit_length() // degree + 1)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**degree <= value else (low, middle - 1)
    return low if low**degree == value else None


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > 4 * MAX_BITS:
        raise TooLarge("it has too large a number")
    return value
