"""Whether tests leave no trace in the process that runs them, by their text: then it may run those of the next sample as well.

Most tests of single functions call the function and compare. Such tests can change nothing but their own names and values,
which go with the sample. Only what is known to be harmless is plain; any other tests have a process to themselves.
"""

from __future__ import annotations

import ast
import builtins
import collections
import itertools
import math
import random
import string
import typing

NODES = (
    ast.Module, ast.FunctionDef, ast.Lambda, ast.arguments, ast.arg, ast.Return, ast.Assign, ast.AugAssign, ast.AnnAssign,
    ast.NamedExpr, ast.Delete, ast.For, ast.While, ast.If, ast.IfExp, ast.Assert, ast.Raise, ast.Expr, ast.Pass, ast.Break,
    ast.Continue, ast.keyword, ast.Import, ast.ImportFrom, ast.alias, ast.Name, ast.Attribute, ast.Subscript, ast.Slice,
    ast.Starred, ast.Constant, ast.JoinedStr, ast.FormattedValue, ast.List, ast.Tuple, ast.Dict, ast.Set, ast.ListComp,
    ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.comprehension, ast.Call, ast.Compare, ast.BoolOp, ast.BinOp, ast.UnaryOp,
    ast.boolop, ast.operator, ast.unaryop, ast.cmpop, ast.expr_context,
)  # fmt: skip
# No `try` among them: nothing may go on after the test process has decided to end the sample.
BUILTINS = {
    "abs", "all", "any", "ascii", "bin", "bool", "bytearray", "bytes", "callable", "chr", "complex", "dict", "divmod",
    "enumerate", "filter", "float", "format", "frozenset", "hash", "hex", "int", "isinstance", "iter", "len", "list", "map",
    "max", "min", "next", "oct", "ord", "pow", "print", "range", "repr", "reversed", "round", "set", "slice", "sorted", "str",
    "sum", "tuple", "zip", "NotImplemented", "Ellipsis", "__name__",
    *(name for name, value in vars(builtins).items() if isinstance(value, type) and issubclass(value, BaseException)),
}  # fmt: skip


def _public(module: object) -> set[str]:
    return {name for name in dir(module) if name[0] != "_"}


# What may be used of a module: nothing that holds state, but for the one random generator, which each sample finds reseeded.
MODULES = {
    "math": _public(math),
    "itertools": _public(itertools),
    "random": set(random.__all__),
    "copy": {"copy", "deepcopy"},
    "string": {name for name in _public(string) if isinstance(getattr(string, name), str)},
    "collections": {"Counter", "OrderedDict", "defaultdict", "deque"},
    "typing": {name for name in typing.__all__ if not isinstance(getattr(typing, name), type(_public))},
}
DATA = (
    str, bytes, bytearray, list, tuple, dict, set, frozenset, int, float, complex, range,
    collections.Counter, collections.OrderedDict, collections.defaultdict, collections.deque,
)  # fmt: skip
# `str.format` reads attributes that no syntax tree shows.
ATTRIBUTES = {name for kind in DATA for name in _public(kind)}.union(*MODULES.values()) - {"format", "format_map"}


def is_plain(*trees: ast.Module) -> bool:
    """Whether all of these are plain."""
    return all(_is_plain(node) for tree in trees for node in ast.walk(tree))


def _is_plain(node: ast.AST) -> bool:
    match node:
        case ast.Name():
            plain = node.id in BUILTINS or (_is_own(node.id) and node.id not in vars(builtins))
        case ast.Attribute():
            plain = isinstance(node.ctx, ast.Load) and node.attr in ATTRIBUTES
        case ast.Import():
            plain = all(alias.name in MODULES and _is_own(alias.asname) for alias in node.names)
        case ast.ImportFrom():
            known = MODULES.get(node.module or "", set())
            plain = node.level == 0 and all(alias.name in known and _is_own(alias.asname) for alias in node.names)
        case ast.FunctionDef():
            plain = _is_own(node.name) and not node.decorator_list
        case ast.arg() | ast.keyword():
            plain = _is_own(node.arg)
        case _:
            plain = isinstance(node, NODES)
    return plain


def _is_own(name: str | None) -> bool:
    """Whether a name means nothing to Python itself."""
    return not (name or "").startswith("__")
