"""From an exception that ended the tests to a verdict: the code is wrong, or the tests are."""

from __future__ import annotations

import ast
import re
import types

from verifiers.sandbox.inside import limits
from verifiers.sandbox.inside.held import FILE, raised_by
from verifiers.sandbox.inside.limits import Limit
from verifiers.sandbox.inside.mirror import Unsupported
from verifiers.sandbox.inside.names import Names

WIDTH = 300
_APART = {
    "start programs of their own, which the sandbox can't": r"^[ \t]*(?:import|from)[ \t]+(?:subprocess|runpy)\b",
    "use a network, and what they serve or reach there isn't the code's": (
        r"^[ \t]*(?:import|from)[ \t]+(?:socket|socketserver|http\.(?:server|client)|xmlrpc|urllib\.request|smtplib|ftplib|ssl)\b"
        r"|\b(?:start_server|open_connection)\b"
    ),
    "look at warnings or a log, which the code's process has for itself": (
        r"\bcatch_warnings\([^()]{0,200}\brecord\b|\b(?:simplefilter|filterwarnings)\((?:[^()]{0,200}\baction\s*=)?\s*['\"]error\b"
        r"|\b(?:assertWarns\w*|assertLogs|assertNoLogs|addHandler|captureWarnings)\b"
    ),
    "set up an interpreter that isn't the code's": (
        r"\b(?:setrecursionlimit|set_int_max_str_digits|getcontext|setcontext|localcontext|setlocale|tzset)\b"
    ),
    "run coroutines side by side, which the code's process runs one after the other": (
        r"\b(?:wait_for|create_task|ensure_future|TaskGroup|as_completed|asyncio\.(?:gather|wait|timeout))\b"
    ),
    "look at what caused an exception, which doesn't cross": r"\.__(?:cause|context|notes)__\b",
}
"""What tests do that doesn't reach the code, and how their text shows it."""


class Missing(BaseException):
    """The code lacks what the prompt asks for."""


def one_line(text: str) -> str:
    """Return a text on one line, cut to what a person will read."""
    line = " ".join(text[: 4 * WIDTH].split())
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"


def message(error: BaseException) -> str:
    """Return what an exception says, however hostile."""
    try:
        return f"{type(error).__name__}: {one_line(str(error))}".removesuffix(": ")
    except BaseException:  # noqa: BLE001 - its __str__ may be the code's
        return type(error).__name__


def _statement(source: str, line: int) -> str:
    """Return the innermost statement on a line of the tests."""
    statements = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.stmt))
    found = [node for node in statements if node.lineno <= line <= (node.end_lineno or 0)]
    if not found:
        return ""
    node = max(found, key=lambda stmt: (stmt.lineno, stmt.col_offset))
    if isinstance(node, ast.Assert):
        return f"assert {ast.get_source_segment(source, node.test) or ''}"
    return (ast.get_source_segment(source, node) or "").partition("\n")[0]


def _limit(error: BaseException, names: Names, source: str, line: int) -> str:
    """Return what the sandbox can't, with the statement where that was; empty where it could all that was wanted."""
    if isinstance(error, Unsupported):
        why, line = str(error), line if isinstance(error, Limit) else 0
    else:
        kinds = names.peer.world.classes
        here = limits.in_c(error, kinds) or limits.of_functions(kinds, lambda: _statement(source, line))
        why, line = names.peer.limit if names.peer.limit[0] else (here, line)
    where = one_line(_statement(source, line)) if why and line else ""
    return one_line(why + (f" in: {where}" if where else ""))


def is_of_tests(error: BaseException) -> bool:
    """Whether the tests have raised an exception themselves, and not the code that they asked."""
    code = raised_by(error)
    return code is not None and code.co_filename == FILE


def blame(error: BaseException, names: Names, source: str) -> tuple[str, str]:
    """Return the verdict and its reason."""
    line, last = 0, ""
    trace: types.TracebackType | None = error.__traceback__
    while trace is not None:
        last = trace.tb_frame.f_code.co_filename
        line = trace.tb_lineno if last == FILE else line
        trace = trace.tb_next
    if isinstance(error, Missing):
        return "failed", f"the code doesn't define {error}"
    if limit := _limit(error, names, source, line):
        return "undecided", limit
    if why := _apart(names, source):
        return "undecided", f"the tests {why}"
    if last == FILE and (verdict := _fault_of_tests(error, names)):
        return verdict
    where = one_line(_statement(source, line))
    if isinstance(error, AssertionError) and where.startswith("assert "):
        return "failed", f"AssertionError: {where}"
    return "failed", one_line(message(error) + (f" in: {where}" if where else ""))


def _apart(names: Names, source: str) -> str | None:
    """Return what tests do that doesn't reach the code: they may have failed for it."""
    if why := names.peer.apart():
        return why
    found = (what for what, shows in _APART.items() if re.search(shows, source, re.MULTILINE))
    replaced = names.uses.replaced
    return next(found, f"replace {replaced}, which doesn't reach the code" if replaced else None)


def _fault_of_tests(error: BaseException, names: Names) -> tuple[str, str] | None:
    """Tell an error that the tests made from what the code made of them."""
    if isinstance(error, UnboundLocalError):
        return "undecided", f"the tests are broken: {message(error)}"
    if isinstance(error, NameError):
        root = names.root
        known = names.uses.free & {name for name in names.offered if names.sees(name)}
        if error.name == root or (not known and root not in names.offered):
            return "failed", f"the code doesn't define {error.name}"
        return "undecided", f"the tests are broken: they use {error.name}, which nothing defines"
    if isinstance(error, ImportError):
        if error.name == "solution":
            return "failed", one_line(f"the code lacks what the tests import: {error}")
        return "undecided", f"the tests import {error.name}, which the sandbox doesn't have"
    return None
