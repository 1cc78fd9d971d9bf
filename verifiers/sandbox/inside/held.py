"""Which blocks of the tests test something: there, no context manager of the code's may hide that a test has failed.

`with open_account() as account: assert account.balance == 5` is true of anything whose `__exit__` returns True.
"""

from __future__ import annotations

import ast
import itertools
import opcode
import sys
import types
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from typing import Any

FILE = "<tests>"
"""What the tests' code calls its file."""
Place = tuple[int, int]
"""A line, and a column of it in bytes."""
JUDGES = ("assert", "AssertionError", "raises")
"""How the names of what tests something begin, whoever defines it."""
ENDS = ("exit", "_exit", "quit", "abort", "kill")
"""How the names of what ends a process begin."""
_POP, _CACHE = opcode.opmap["POP_TOP"], opcode.opmap.get("CACHE", 0)
NO_PART = {"IndexError", "LookupError"}
Function = ast.FunctionDef | ast.AsyncFunctionDef
With = ast.With | ast.AsyncWith


def blocks(tree: ast.Module) -> dict[int, Place]:
    """Return the lines of each head of a `with` whose block tests something, and where the last test in it ends."""
    counters = _counters(tree)
    testing = _testing(tree, counters)

    def tests(node: ast.AST) -> bool:
        return _tests(_names(node, counters), testing)

    def end(body: list[ast.stmt]) -> Place | None:
        last = next(filter(tests, reversed(body)), None)
        if isinstance(last, With) and not any(map(tests, last.items)):
            return end(last.body)
        return (last.end_lineno or 0, last.end_col_offset or 0) if last else None

    found = {}
    for node in ast.walk(tree):
        if isinstance(node, With) and (place := end(node.body)):
            found.update(dict.fromkeys(range(node.lineno, max(node.lineno + 1, node.body[0].lineno)), place))
    return found


def may_fail(*trees: ast.Module) -> bool:
    """Whether anything in the text of the tests tests something, or ends them."""
    ends = (*JUDGES, *ENDS, "doctest", "fail")
    return any(
        isinstance(node, ast.Assert | ast.Raise)
        or (isinstance(node, ast.Name | ast.Attribute) and name_of(node).startswith(ends))
        or (isinstance(node, ast.alias) and node.name.startswith(ends))
        for tree in trees
        for node in ast.walk(tree)
    )


def _tests(names: Iterable[str], testing: set[str]) -> bool:
    return any(name.startswith(JUDGES) or name in testing for name in names)


def _testing(tree: ast.Module, counters: set[str]) -> set[str]:
    """Return the tests' own names of what tests something: their functions that do, and what else these are called."""
    given = [(name, set(_names(part, counters, results=False))) for name, part in _bindings(tree)]
    testing: set[str] = set()
    while new := {name for name, names in given if _tests(names, testing)} - testing:
        testing |= new
    return testing


def _bindings(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Yield each name that the tests define, with what they define it by."""
    parameters: dict[str, list[str]] = {}
    calls: list[ast.Call] = []
    for node in ast.walk(tree):
        if isinstance(node, Function):
            own = parameters[node.name] = [part.arg for part in ast.walk(node.args) if isinstance(part, ast.arg)]
            given = [*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)]
            yield node.name, node
            yield from itertools.product(own, given)  # a decorator's: pytest.mark.parametrize
        elif isinstance(node, ast.Assign):
            yield from itertools.product(_stored(*node.targets), [node.value])
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value:
            yield from itertools.product(_stored(node.target), [node.value])
        elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            yield from itertools.product(_stored(node.target), [node.iter])
        elif isinstance(node, ast.Call):
            calls.append(node)
    for call in calls:
        own = parameters.get(name_of(call.func), [])
        yield from zip(own[own[:1] == ["self"] :], call.args, strict=False)
        yield from ((keyword.arg, keyword.value) for keyword in call.keywords if keyword.arg in own)


def _stored(*targets: ast.AST) -> list[str]:
    """Return the names and attributes that are assigned to."""
    parts = [part for target in targets for part in ast.walk(target)]
    return [name_of(part) for part in parts if isinstance(part, ast.Name | ast.Attribute) and isinstance(part.ctx, ast.Store)]


def name_of(node: ast.AST) -> str:
    """Return what a name or an attribute is called; empty for anything else."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _names(node: ast.AST, counters: set[str], *, results: bool = True) -> Iterator[str]:
    """Yield the names of what a part of the tests calls or passes on; "assert" where it tests something by itself.

    Methods go by their names alone, whatever the object. Without `results`, what is called only to get its result isn't named.
    """
    left = [(node, results)]
    while left:
        part, results = left.pop()
        chooses = isinstance(part, ast.If | ast.Match) and _decides(part, counters)
        fails = isinstance(part, ast.Call) and name_of(part.func).startswith("fail")
        if isinstance(part, ast.Assert) or chooses or fails:
            yield "assert"
        elif isinstance(part, ast.Name | ast.Attribute):
            yield name_of(part)
        children = list(ast.iter_child_nodes(part))
        if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
            children.remove(part.value)
        elif isinstance(part, ast.Call) and not results:
            children.remove(part.func)
        results |= isinstance(part, Function | ast.Lambda)
        left += [(child, results) for child in children]


def _decides(node: ast.If | ast.Match, counters: set[str]) -> bool:
    """Whether something is raised or not according to what a value is, other than that of a counter."""
    condition = node.test if isinstance(node, ast.If) else node.subject
    names = {part.id for part in ast.walk(condition) if isinstance(part, ast.Name)}
    return not names <= counters and any(isinstance(part, ast.Raise) and part.exc for part in ast.walk(node))


def _counters(tree: ast.Module) -> set[str]:
    """Return the variables of loops over what the text of the tests shows: `for n in range(3)`."""
    loops = [node for node in ast.walk(tree) if isinstance(node, ast.For)]
    shown = [loop for loop in loops if {part.id for part in ast.walk(loop.iter) if isinstance(part, ast.Name)} <= {"range"}]
    return {name for loop in shown for name in _stored(loop.target)}


def expecting(tree: ast.Module) -> list[int]:
    """Return the lines on which the tests expect an IndexError."""
    found: set[int] = set()
    heads: list[ast.expr]
    body: Sequence[ast.stmt | ast.expr]
    for node in ast.walk(tree):
        if isinstance(node, With):
            heads, body = [item.context_expr for item in node.items], [node]
        elif isinstance(node, ast.Try):
            heads, body = [handler.type for handler in node.handlers if handler.type], node.body
        elif isinstance(node, ast.Call) and name_of(node.func).startswith(JUDGES):
            heads, body = node.args[:1], [node]
        else:
            continue
        if any(name_of(part) in NO_PART for head in heads for part in ast.walk(head)):
            found.update(line for part in body for line in range(part.lineno, (part.end_lineno or part.lineno) + 1))
    return sorted(found)


# In the test process.


def lines() -> Iterator[int]:
    """Yield the lines on which the tests are, the innermost call of theirs first."""
    frame: types.FrameType | None = sys._getframe()  # noqa: SLF001 - there is no other way to ask
    while frame is not None:
        if frame.f_code.co_filename == FILE:
            yield frame.f_lineno
        frame = frame.f_back


def raised_at(error: BaseException) -> Place:
    """Return where in the outermost function of the tests that it has passed an exception was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != FILE:
        trace = trace.tb_next
    if trace is None:
        return (0, 0)
    line, _, column, _ = next(itertools.islice(trace.tb_frame.f_code.co_positions(), trace.tb_lasti // 2, None))
    return (line or 0, column or 0)


def raised_by(error: BaseException) -> types.CodeType | None:
    """Return the innermost code that an exception comes from: what has raised it here."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_code if trace is not None else None


async def only_awaited(answer: Awaitable[Any]) -> bool:
    """Wait for an answer, and hide nothing."""
    await answer
    return False


def drops() -> bool:
    """Whether the tests do nothing with what comes of their present call: it is a statement of its own."""
    frame: types.FrameType | None = sys._getframe()  # noqa: SLF001 - there is no other way to ask
    while frame is not None and frame.f_code.co_filename != FILE:
        frame = frame.f_back
    if frame is None:
        return False
    code, at = frame.f_code.co_code, frame.f_lasti + 2
    while at < len(code) and code[at] == _CACHE:
        at += 2
    return at < len(code) and code[at] == _POP
