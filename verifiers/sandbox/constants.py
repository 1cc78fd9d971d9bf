"""Tests that compare with what stands in their own text, and with nothing else.

Code may change a list of theirs that it has kept, as it may in one process (`inside/shared.py`). Where it doesn't know what
that list is compared with, nothing is gained by it but what is right: `log == ["start", "end"]`. Not so in
`decode(encode(x)) == x`, where emptying `x` would do.
"""

from __future__ import annotations

import ast
from itertools import pairwise

_TWO = frozenset(
    f"assert{what}"
    for what in (
        "Equal",
        "Equals",
        "ListEqual",
        "DictEqual",
        "SetEqual",
        "TupleEqual",
        "SequenceEqual",
        "CountEqual",
        "Is",
        "In",
        "NotIn",
        "NotEqual",
        "IsNot",
        "Greater",
        "GreaterEqual",
        "Less",
        "LessEqual",
        "MultiLineEqual",
        "AlmostEqual",
    )
)
"""Methods of a test case, by whose first two arguments something is compared."""
_ONE = frozenset(["assertTrue", "assertFalse"])
_TYPES = frozenset(["assertIsNone", "assertIsNotNone", "assertIsInstance", "assertRaises", "assertRaisesRegex"])
"""Those that compare with what nobody changes."""
_ENDS = ("fail", "exit", "_exit", "quit", "abort", "kill")
"""How calls begin that end tests for a reason of their own."""


def compares_with_constants(tests: str) -> bool:
    """Whether each assertion of the tests does. False where they fail in other ways too, or aren't Python."""
    try:
        tree = ast.parse(tests)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(map(_holds, ast.walk(tree)))


def _holds(node: ast.AST) -> bool:
    if isinstance(node, ast.Assert):
        return _is_settled(node.test)
    if isinstance(node, ast.Call) and (name := _name(node.func)).startswith(("assert", *_ENDS)):
        if name in _TWO:
            return any(map(_is_constant, node.args[:2]))
        return name in _TYPES or (name in _ONE and bool(node.args) and _is_settled(node.args[0]))
    return not isinstance(node, ast.Raise)


def _is_settled(test: ast.expr) -> bool:
    """Whether a condition holds or not by what stands in the text beside what is asked."""
    if isinstance(test, ast.BoolOp):
        return all(map(_is_settled, test.values))
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return _is_settled(test.operand)
    if isinstance(test, ast.Compare):
        sides = [test.left, *test.comparators]
        return all(_is_constant(one) or _is_constant(other) for one, other in pairwise(sides))
    return isinstance(test, ast.Call) and _name(test.func) == "isinstance"


def _is_constant(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
