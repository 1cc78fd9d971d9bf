"""Which blocks of the tests test something: there, no context manager of the code's may hide that a test has failed.

`with open_account() as account: assert account.balance == 5` is true of anything whose `__exit__` returns True.
"""

from __future__ import annotations

import ast
import sys
import types

FILE = "<tests>"
"""What the tests' code calls its file."""


def lines(tree: ast.Module) -> list[int]:
    """Return the lines of each head of a `with` whose block has an assertion in it, or calls a function of the tests' own."""
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
            functions.update(target.id for target in node.targets if isinstance(target, ast.Name))
    found: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.With | ast.AsyncWith) and any(_tests(part, functions) for part in node.body):
            found.update(range(node.lineno, max(node.lineno + 1, node.body[0].lineno)))
    return sorted(found)


def _tests(block: ast.AST, functions: set[str]) -> bool:
    return any(_is_test(node, functions) for node in ast.walk(block))


def _is_test(node: ast.AST, functions: set[str]) -> bool:
    if isinstance(node, ast.Name):
        return node.id == "AssertionError"
    return isinstance(node, ast.Assert) or (isinstance(node, ast.Call) and _judges(node.func, functions))


def _judges(function: ast.expr, functions: set[str]) -> bool:
    """Whether what is called is a function of the tests, or asserts by its name."""
    if isinstance(function, ast.Name):
        return function.id in functions or function.id.startswith("assert")
    return isinstance(function, ast.Attribute) and function.attr.startswith(("assert", "fail"))


def line() -> int:
    """Return on which line the tests are."""
    frame: types.FrameType | None = sys._getframe()  # noqa: SLF001 - there is no other way to ask
    while frame is not None and frame.f_code.co_filename != FILE:
        frame = frame.f_back
    return frame.f_lineno if frame else 0
