"""Which of the tests' functions and classes their own text runs: these aren't run a second time, and all other tests are.

Worked out by the host, once for all samples of a prompt. A call counts where it is reached: in what runs as the tests are
loaded, in a test that is run, or in what these name. A function's call of itself, or of a name of its own, is no call of the
test of that name.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from verifiers.sandbox.inside.held import name_of

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = Function | ast.ClassDef
TESTS = ("test", "check")
"""How the names of what is run begin, where it is a function."""
AROUND = ("setup", "setUp", "teardown", "tearDown")
"""And of what is run around it."""
HIDDEN, EXPECTED, UNCLEAR = "hidden", "expected", "unclear"
"""Ends of a test that has failed: somebody may print that and go on, or the tests fail where it doesn't, or it may be either."""
_NAMESPACES = {"globals", "locals", "vars", "dir"}
"""Where tests find functions without naming them."""


class Started(NamedTuple):
    """What the text of the tests runs."""

    names: set[str]
    """What is called as the tests are loaded, or by a test."""
    watched: set[str]
    """Tests of which only their running shows whether they are run, and whether somebody hides that they fail."""


class _Code(NamedTuple):
    """What a piece of code does with names that aren't its own."""

    called: frozenset[str]
    named: frozenset[str]
    methods: frozenset[str]


def started(tree: ast.Module) -> Started:
    """Return what of the tests their text runs."""
    definitions = {node.name: node for node in _definitions(tree)}
    code: Mapping[str, _Code] = {name: _code([node]) for name, node in definitions.items()}
    tests = [name for name, node in definitions.items() if _is_test(node)]
    called: set[str] = set()
    reached: set[str] = set()

    def reach(names: Iterable[str]) -> None:
        left = [name for name in names if name in code]
        while left:
            name = left.pop()
            if name not in reached:
                reached.add(name)
                called.update(code[name].called - {name})
                left += code[name].named & code.keys()

    loaded = _code(tree.body, outside=True)
    called |= loaded.called
    reach(loaded.named)
    reach(name for name, node in definitions.items() if _is_run_by_others(node))
    run = {
        name for name in tests if name not in called and not any(name in code[other].called for other in code if other != name)
    }
    reach(run)
    for name in tests:  # that call each other, or that something calls which nobody calls
        if name not in called:
            run.add(name)
            reach([name])
    asked = loaded.methods.union(*(code[name].methods for name in reached))
    called -= {name for name, node in definitions.items() if isinstance(node, ast.ClassDef) and not test_methods(node) <= asked}
    named = loaded.named.union(*(code[name].named for name in reached))
    return Started(called - run, _watched(tree, definitions, called, named, looks=not loaded.named.isdisjoint(_NAMESPACES)))


def _watched(
    tree: ast.Module, definitions: Mapping[str, Definition], called: set[str], named: Collection[str], *, looks: bool
) -> set[str]:
    """Return the tests to watch: those that are `named` and not called, or may be found by one who `looks` around.

    Where something hides that one has failed, all of them, and the methods of classes of tests.
    """
    seen = {name for name in definitions if (name.startswith("test") or name == "check") and (looks or name in named)}
    if not any(isinstance(node, ast.Try) and _hides(node) for node in ast.walk(tree)):
        return set() if seen <= called else seen
    plain = [node for node in definitions.values() if isinstance(node, ast.ClassDef) and not node.bases]
    return seen | {f"{node.name}.{name}" for node in plain for name in test_methods(node)}


def test_methods(node: ast.ClassDef) -> set[str]:
    """Return the tests of a class of tests, each of which has to be called where one calls them; none of any other class."""
    names = {each.name for each in node.body if isinstance(each, Function) and each.name.startswith("test")}
    return names if _is_test(node) else set()


def is_case(node: ast.ClassDef) -> bool:
    """Whether a class is of unittest's cases."""
    return any("TestCase" in ast.unparse(base) for base in node.bases)


def _hides(node: ast.Try) -> bool:
    """Whether a failed assertion ends here without anything being raised."""
    return not {"AssertionError", "Exception", "BaseException"}.isdisjoint(_quiet(node))


class Catch(NamedTuple):
    """Where the tests catch an exception, from one line to another."""

    first: int
    last: int
    kinds: tuple[str, ...]
    """The names of the classes that are caught."""
    end: str
    """What becomes of a test that has failed there."""


def caught(tree: ast.Module) -> list[Catch]:
    """Return where the failure of a test may end without the tests' end, the innermost place first."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Try) and (kinds := _quiet(node)):
            found.append(Catch(node.lineno, node.body[-1].end_lineno or 0, kinds, _end_of(node)))
        elif (
            isinstance(node, ast.With) and (kinds := tuple(name for item in node.items for name in _raised(item.context_expr)))
        ) or (isinstance(node, ast.Call) and (kinds := _raised(node))):
            found.append(Catch(node.lineno, node.end_lineno or 0, kinds, EXPECTED))
    return sorted(found, key=lambda each: each.last - each.first)


def _quiet(node: ast.Try) -> tuple[str, ...]:
    """Return the names of what a `try` catches and raises nothing for."""
    quiet = [
        each for each in node.handlers if not any(isinstance(part, ast.Raise) for line in each.body for part in ast.walk(line))
    ]
    return tuple(name for each in quiet for name in (_identifiers(each.type) if each.type else ("BaseException",)))


def _raised(node: ast.AST) -> tuple[str, ...]:
    """Return the names of the classes that a call of `raises` or `assertRaises` expects."""
    if not isinstance(node, ast.Call) or not name_of(node.func).startswith(("raises", "assertRaises")):
        return ()
    return tuple(name for argument in node.args[:1] for name in _identifiers(argument))


def _identifiers(node: ast.AST) -> list[str]:
    return [name for part in ast.walk(node) if (name := name_of(part))]


def _end_of(node: ast.Try) -> str:
    """Return what becomes of a test that fails in the body of a `try` which hides it."""
    if any(isinstance(part, ast.Raise) or _always_fails(part) for each in node.orelse for part in ast.walk(each)):
        return EXPECTED
    handlers = [each for handler in node.handlers for each in handler.body]
    if all(map(_says_well, [*node.body[1:], *node.orelse])) and not any(_says(each, well=True) for each in handlers):
        return HIDDEN
    return UNCLEAR


def _always_fails(node: ast.AST) -> bool:
    constant = isinstance(node, ast.Assert) and isinstance(node.test, ast.Constant) and not node.test.value
    return constant or (isinstance(node, ast.Call) and name_of(node.func).startswith("fail"))


def _says_well(node: ast.stmt) -> bool:
    """Whether a statement may follow a test that has passed: it counts or prints that, or goes on."""
    calls = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and not _always_fails(node.value)
    return calls or isinstance(node, ast.AugAssign | ast.Pass | ast.Break | ast.Continue) or _says(node, well=True)


def _says(node: ast.stmt, *, well: bool) -> bool:
    """Whether a statement sets or returns True, or else False."""
    value = node.value if isinstance(node, ast.Assign | ast.AnnAssign | ast.Return) else None
    return isinstance(value, ast.Constant) and value.value is well


def _definitions(tree: ast.AST) -> Iterator[Definition]:
    """Yield the functions and classes that are there once the tests are loaded."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Definition):
            yield node
        elif isinstance(node, ast.stmt | ast.excepthandler):
            yield from _definitions(node)


def _is_test(node: Definition) -> bool:
    if isinstance(node, Function):
        return node.name.startswith(TESTS)
    return node.name.startswith("Test") or is_case(node)


def _is_run_by_others(node: Definition) -> bool:
    """Whether something is run that nobody names: a fixture, what is done around tests, a class of cases."""
    if isinstance(node, ast.ClassDef):
        return _is_test(node) or bool(node.bases)
    return bool(node.decorator_list) or node.name.startswith(AROUND)


def _code(nodes: Iterable[ast.AST], *, outside: bool = False) -> _Code:
    """Return what is called and named; `outside` of functions and classes, but for what runs as these are defined."""
    called: set[str] = set()
    named: set[str] = set()
    methods: set[str] = set()
    left: list[tuple[ast.AST, frozenset[str]]] = [(node, frozenset()) for node in nodes]
    while left:
        node, own = left.pop()
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id not in own:
            called.add(node.func.id)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            methods.add(node.func.attr)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in own:
            named.add(node.id)
        children = list(ast.iter_child_nodes(node))
        if outside and isinstance(node, Definition):
            children = [child for child in children if child not in node.body]
        if isinstance(node, Function):
            own |= _own(node)
        left += [(child, own) for child in children]
    return _Code(frozenset(called), frozenset(named), frozenset(methods))


def _own(function: Function) -> frozenset[str]:
    """Return the names that a function binds for itself, or a function in it."""
    found: set[str] = set()
    shared: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.add(node.id)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, Definition) and node is not function:
            found.add(node.name)
        elif isinstance(node, ast.alias):
            found.add(node.asname or node.name.partition(".")[0])
        elif isinstance(node, ast.Global):
            shared.update(node.names)
    return frozenset(found - shared)
