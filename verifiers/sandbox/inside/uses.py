"""What the text of the tests does with names, and its byte code: worked out by the host, once for all samples of a prompt."""

from __future__ import annotations

import ast
import builtins
import functools
import marshal
from dataclasses import dataclass

from verifiers.sandbox.inside.plain import is_plain

FILE = "<tests>"


class Uses:
    """The names in the tests."""

    def __init__(self, called: set[str], free: set[str]) -> None:
        self.called = called
        self.free = free


def uses_of(tree: ast.Module) -> Uses:
    """Return which names the tests call, and which they read without defining them."""
    called: set[str] = set()
    loaded: set[str] = set()
    bound: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            called.add(node.func.id)
        if isinstance(node, ast.Name):
            (loaded if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.alias):
            bound.add(node.asname or node.name.partition(".")[0])
    return Uses(called, loaded - bound - set(vars(builtins)))


@dataclass(frozen=True, slots=True)
class Prepared:
    """The tests of a prompt, ready to run."""

    payload: bytes
    """What the test process needs, marshalled."""
    plain: bool
    """Whether they leave no trace in the test process."""


@functools.lru_cache(maxsize=256)
def prepare(tests: str, entry_point: str | None, prelude: str) -> Prepared:
    """Return what the test process needs. Raise SyntaxError, ValueError, … where the tests are broken.

    Byte code may cross here, and nowhere else: it goes from the host to a process that runs the host's own interpreter.
    """
    tree = ast.parse(tests, FILE)
    uses = uses_of(tree)
    code = compile(tree, FILE, "exec", dont_inherit=True)
    head = ast.parse(prelude, "<prelude>")
    plain = is_plain(tree, head)
    job = {
        "tests": tests,
        "code": marshal.dumps(code),
        "prelude": marshal.dumps(compile(head, "<prelude>", "exec", dont_inherit=True)) if head.body else b"",
        "entry_point": entry_point,
        "called": uses.called,
        "free": uses.free,
        "plain": plain,
    }
    return Prepared(marshal.dumps(job), plain)
