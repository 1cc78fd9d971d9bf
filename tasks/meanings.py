"""What each field of a class means: the docstring that stands below it.

Pydantic's `use_attribute_docstrings` reads them too, for every model at its import, which takes a third of a command's start.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise

from pydantic import BaseModel


def meanings(kind: type) -> Mapping[str, str]:
    """Return the docstring under each field of a class, its bases' included; nothing of a class without source."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if base is not BaseModel:
            found |= _by_class(base.__module__).get(base.__qualname__, {})
    return found


@cache
def _by_class(module: str) -> Mapping[str, Mapping[str, str]]:
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (KeyError, OSError, TypeError):  # made at run time, or compiled
        return {}
    return {name: dict(_documented(made.body)) for name, made in _classes(tree.body, "")}


def _classes(body: Sequence[ast.stmt], within: str) -> Iterator[tuple[str, ast.ClassDef]]:
    """Yield each class by its qualified name."""
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            yield f"{within}{statement.name}", statement
            yield from _classes(statement.body, f"{within}{statement.name}.")
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _classes(statement.body, f"{within}{statement.name}.<locals>.")


def _documented(body: Sequence[ast.stmt]) -> Iterator[tuple[str, str]]:
    for statement, following in pairwise(body):
        match statement, following:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, inspect.cleandoc(text)
