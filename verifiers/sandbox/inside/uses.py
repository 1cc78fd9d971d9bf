"""What the text of the tests does with names, and its byte code: worked out by the host, once for all samples of a prompt."""

from __future__ import annotations
import __future__

import ast
import builtins
import functools
import marshal
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from verifiers.sandbox.inside import held
from verifiers.sandbox.inside.held import FILE
from verifiers.sandbox.inside.plain import is_plain
from verifiers.sandbox.inside.started import Started, caught, is_case, started, test_methods

AROUND = {
    "open", "os", "pathlib", "Path", "tempfile", "shutil", "glob", "fileinput", "sqlite3", "zipfile", "tarfile", "gzip", "bz2",
    "lzma", "tmp_path", "tmp_path_factory", "environ", "getenv", "setenv", "delenv", "chdir", "seed", "setstate",
}  # fmt: skip
"""Names without which tests have nothing to do with files, the environment or the seed of random numbers."""
RUNNERS = {"unittest", "pytest"}
"""Whose attributes are the tests' own affair: `unittest.TestCase.maxDiff = None`."""
REPLACEABLE = {"sys.stdin", "sys.stdout", "builtins.input"}
"""What the code finds replaced as well."""
RUNNING = {"exec", "eval", "compile", "__import__"}
"""Built-in functions that make a program of a text."""
RUNNING_OF_BUILTINS = {f"builtins.{name}" for name in RUNNING}
LOADING = {
    "pickle", "shelve", "marshal", "importlib", "runpy", "ctypes", "code", "imp", "zipimport", "pkgutil", "doctest", "subprocess",
    "multiprocessing",
}  # fmt: skip
"""Modules that do so with what is in a file."""
REACHING = {
    "system", "popen", "fileConfig", "dictConfig", "enable_load_extension", "discover", "addsitedir", "execv", "execve",
    "posix_spawn",
}  # fmt: skip
"""Functions of other modules that do."""
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class Uses:
    """The names in the tests."""

    def __init__(
        self,
        attributes: dict[str, list[str]],
        free: set[str],
        functions: set[str],
        bound: set[str],
        run: Started,
        replaced: str = "",
    ) -> None:
        self.attributes = attributes
        """Of each name which is only read for its attributes, as modules are: these."""
        self.free = free
        self.bound = bound
        """What they give a meaning of their own, wherever that is."""
        self.started, self.watched = run
        self.functions = functions
        """What a `def` or a `class` of the tests defines, with its methods: `TestA.test_it`."""
        self.replaced = replaced
        """What of a module they assign to in vain; empty where there is nothing of the kind."""


def uses_of(tree: ast.Module) -> Uses:
    """Return what the tests do with names: those that they read, define, or only read for their attributes."""
    functions: set[str] = set()
    loaded: list[str] = []
    bound: set[str] = set()
    read: list[tuple[str, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            read.append((node.value.id, node.attr))
        if isinstance(node, ast.Name):
            loaded.append(node.id) if isinstance(node.ctx, ast.Load) else bound.add(node.id)
        elif isinstance(node, DEFINITIONS):
            functions.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.alias):
            bound.add(node.asname or node.name.partition(".")[0])
    bound |= functions
    attributes: dict[str, list[str]] = {}
    for name, attribute in read:
        attributes.setdefault(name, []).append(attribute)
    otherwise = Counter(loaded) - Counter(name for name, _ in read)
    attributes = {name: found for name, found in attributes.items() if name not in otherwise}
    return Uses(attributes, {*loaded} - bound - set(vars(builtins)), _defined(tree), bound, started(tree), _replaced(tree))


def _defined(tree: ast.AST, within: str = "") -> set[str]:
    """Return the names of functions and classes that are there once the tests are loaded, and of the methods."""
    found = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, DEFINITIONS):
            found.add(within + node.name)
            found |= _defined(node, f"{node.name}.") if isinstance(node, ast.ClassDef) and not within else set()
        elif isinstance(node, ast.stmt | ast.excepthandler):
            found |= _defined(node, within)
    return found


def _replaced(tree: ast.Module) -> str:
    """Return the first part of a module that the tests assign to, unless the code finds it replaced."""
    imports = [alias for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    modules = {alias.asname or alias.name.partition(".")[0] for alias in imports}
    for node in ast.walk(tree):
        target: ast.AST = node
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "setattr" and node.args:
            target = ast.Attribute(node.args[0], "an attribute", ast.Store())
        if isinstance(target, ast.Attribute) and isinstance(target.ctx, ast.Store | ast.Del):
            name = ast.unparse(target)
            if name.partition(".")[0] in modules - RUNNERS and name not in REPLACEABLE:
                return name
    return ""


def _parts(tree: ast.Module, flags: int, run: Collection[str]) -> dict[str, Any]:
    """Return the statements of the tests one by one, whether each is a test, and how many there are beside what they `run`.

    A test is what asserts, or calls a function of the tests; and a function called test…, or check, which is run later.
    """
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    known = len({name for name in functions if (name.startswith("test") or name == "check") and name not in run})
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name not in run]
    known += sum(1 if is_case(node) else len(test_methods(node)) for node in classes)
    parts: list[tuple[bytes, bool]] = []
    for node in tree.body:
        is_test = _asserts(node) or (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Call)
            and isinstance(node.value.func, ast.Name)
            and node.value.func.id in functions
        )
        known += is_test
        code = compile(ast.Module([node], []), FILE, "exec", flags=flags, dont_inherit=True)
        parts.append((marshal.dumps(code), is_test))
    return {"parts": parts, "known": known}


def _asserts(node: ast.AST) -> bool:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
        return False
    return isinstance(node, ast.Assert) or any(map(_asserts, ast.iter_child_nodes(node)))


def is_shared(*trees: ast.Module) -> bool:
    """Return whether tests use files, folders, the environment or a seed."""
    return any(not AROUND.isdisjoint(_names(node)) for tree in trees for node in ast.walk(tree))


def risk_of(*trees: ast.Module) -> str:
    """Return what of tests might run what is in a file; empty where nothing would."""
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Name) and node.id in RUNNING | REACHING:
            return node.id
        if isinstance(node, ast.Attribute) and (node.attr in REACHING or ast.unparse(node) in RUNNING_OF_BUILTINS):
            return node.attr
        if isinstance(node, ast.Import | ast.ImportFrom) and (found := LOADING.intersection(_imported(node))):
            return min(found)
    return ""


def _names(node: ast.AST) -> list[str]:
    match node:
        case ast.Name():
            return [node.id]
        case ast.Attribute():
            return [node.attr]
        case ast.arg():
            return [node.arg]
        case ast.ImportFrom():
            return _imported(node)
        case ast.Import():  # a name by which nobody knows it
            return [alias.name.partition(".")[0] for alias in node.names if alias.asname]
    return []


def _imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [(node.module or "").partition(".")[0]]
    return [alias.name.partition(".")[0] for alias in node.names]


@dataclass(frozen=True, slots=True)
class Prepared:
    """The tests of a prompt, ready to run."""

    payload: bytes
    """What the test process needs, marshalled."""
    plain: bool
    """Whether they leave no trace in the test process."""


@functools.lru_cache(maxsize=256)
def prepare(tests: str, entry_point: str | None, prelude: str, *, score: bool = False) -> Prepared:
    """Return what the test process needs. Raise SyntaxError, ValueError, … where the tests are broken.

    Byte code may cross here, and nowhere else: it goes from the host to a process that runs the host's own interpreter.
    """
    tree = ast.parse(tests, FILE)
    uses = uses_of(tree)
    code = compile(tree, FILE, "exec", dont_inherit=True)
    head = ast.parse(prelude, "<prelude>")
    shares = is_shared(tree, head)
    plain = not score and not shares and is_plain(tree, head)
    job = {
        **(_parts(tree, code.co_flags & __future__.annotations.compiler_flag, uses.started) if score else {}),
        "tests": tests,
        "code": marshal.dumps(code),
        "prelude": marshal.dumps(compile(head, "<prelude>", "exec", dont_inherit=True)) if head.body else b"",
        "entry_point": entry_point,
        "attributes": uses.attributes,
        "free": uses.free,
        "functions": uses.functions,
        "bound": uses.bound,
        "run": (uses.started, uses.watched),
        "replaced": uses.replaced,
        "plain": plain,
        "shares": shares,
        "risk": risk_of(tree, head) if shares else "",
        "held": {} if plain else held.blocks(tree),
        "expecting": [] if plain else held.expecting(tree),
        "caught": [*map(tuple, caught(tree))] if uses.watched else [],
        "may_fail": held.may_fail(tree, head),
    }
    return Prepared(marshal.dumps(job), plain)
