"""Tests that compare with what stands in their own text, and with nothing else.

Code may change a list of theirs that it has kept, as it may in one process (`inside/shared.py`). Where it doesn't know what
that list is compared with, nothing is gained by it but what is right: `log == ["start", "end"]`. Not so in
`decode(encode(x)) == x`, where emptying `x` would do, nor where a constant may be what a comparison comes to: `len(a ^ b) == 0`.
"""

from __future__ import annotations

import ast
from itertools import pairwise

from verifiers.sandbox.inside.held import ENDS, name_of

_WHAT = "Equal Equals ListEqual DictEqual SetEqual TupleEqual SequenceEqual CountEqual In Greater GreaterEqual Less LessEqual"
_TWO = frozenset(f"assert{what}" for what in (*_WHAT.split(), "MultiLineEqual", "AlmostEqual"))
"""Methods of a test case, by whose first two arguments something is compared."""
_TYPES = frozenset(["assertIsInstance", "assertRaises", "assertRaisesRegex"])
"""Those that compare with what nobody changes."""
_COMPARED = frozenset([0, 1, -1, 100])
"""What a comparison may come to, as False and True are."""


def compares_with_constants(tests: str) -> bool:
    """Whether each comparison of the tests does. False where they fail in other ways too, or aren't Python."""
    try:
        tree = ast.parse(tests)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(map(_holds, ast.walk(tree)))


def _holds(node: ast.AST) -> bool:
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        return all(_is_telling(one) or _is_telling(other) for one, other in pairwise(sides))
    if isinstance(node, ast.Assert):
        return _is_settled(node.test)
    if isinstance(node, ast.Call) and (name := name_of(node.func)).startswith(("assert", "fail", *ENDS)):
        return name in _TYPES or (name in _TWO and any(map(_is_telling, node.args[:2])))
    return not isinstance(node, ast.Raise)


def _is_settled(test: ast.expr) -> bool:
    """Whether a condition consists of comparisons, which are looked at by themselves, and of classes that are asked for."""
    if isinstance(test, ast.BoolOp):
        return all(map(_is_settled, test.values))
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return _is_settled(test.operand)
    return isinstance(test, ast.Compare) or (isinstance(test, ast.Call) and name_of(test.func) == "isinstance")


def _is_telling(node: ast.expr) -> bool:
    """Whether something is a constant that no comparison comes to."""
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    leaves = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
    return any(leaf not in _COMPARED if isinstance(leaf, int | float | complex) else bool(leaf) for leaf in leaves)
