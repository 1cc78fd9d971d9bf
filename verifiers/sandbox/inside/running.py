"""What text the tests may have Python run. What the code has answered is none of it.

Run in the test process, such a text could write a verdict of its own, and it gets there by many ways: `eval(answer)`, `timeit`,
`doctest`, a pickle, the annotations of an object of the code's. All of them lead through a few events of the interpreter's, and
these are watched. It can't be told whose a text is that the tests have put together. So Python may run what stands in the text of
the tests, what is nothing but data, and what the standard library writes of names; anything else ends the sample at once.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import os
import sys
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from verifiers.sandbox.inside.surroundings import SCRATCH

WHY = "the tests may run what the code has answered"
EVENTS = {"compile", "marshal.load", "marshal.loads", "pickle.find_class", "code.__new__"}
DATA = (
    ast.Expression, ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.Set, ast.UnaryOp, ast.BinOp, ast.BoolOp, ast.Compare,
    ast.unaryop, ast.operator, ast.boolop, ast.cmpop, ast.expr_context,
)  # fmt: skip
NAMES = (*DATA, ast.Name, ast.Attribute, ast.Subscript)
"""What an annotation consists of: nothing in it is called."""
PICKLED = {
    "builtins": {
        "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "range", "set", "slice", "str",
        "tuple",
    },
    "collections": {"Counter", "OrderedDict", "deque"},
    "datetime": {"date", "datetime", "time", "timedelta", "timezone"},
    "decimal": {"Decimal"},
    "fractions": {"Fraction"},
    "uuid": {"UUID"},
}  # fmt: skip
"""What a pickle of data refers to."""
IMPORTING = [vars(sys.modules[f"_frozen_importlib{end}"]) for end in ("", "_external")]
WRITING = {("ast", "parse"), ("collections", "namedtuple"), ("unittest.mock", "_set_signature")}
"""What makes only a tree, or sees for itself that the names of which it makes a program are names."""
PROCESSING = dataclasses._process_class.__code__  # type: ignore[attr-defined]  # noqa: SLF001 - there is no other name
ANNOTATING = [vars(typing), vars(inspect)]


def watch(code: list[types.CodeType], ours: list[Any], end: Callable[[str], NoReturn]) -> None:
    """Have the process ended, by a call, before it runs a text that is neither of the tests nor harmless.

    `code`: the tests'. `ours`: the global names of modules that run what the host has sent. Nothing can undo this: the process
    judges no other sample.
    """
    known: set[str] = set()

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        # The process goes through here for each event, most of which are others.
        if event not in EVENTS:
            return
        frame = sys._getframe(1)  # noqa: SLF001 - the one that has raised the event
        if any(frame.f_globals is names for names in ours):
            return
        if not known:
            known.update(line for text in _texts(code) for line in _lines(text))
        if not _is_harmless(event, arguments, frame, known):
            end(WHY)

    sys.addaudithook(hook)


def _texts(codes: list[Any]) -> Iterator[str]:
    """Yield the constants of the tests that are texts."""
    left = [*codes]
    while left:
        constant = left.pop()
        if isinstance(constant, types.CodeType):
            left += constant.co_consts
        elif isinstance(constant, tuple | frozenset):
            left += constant
        elif isinstance(constant, str):
            yield constant
        elif isinstance(constant, bytes):
            yield constant.decode(errors="replace")


def _lines(text: str) -> Iterator[str]:
    yield ""
    for line in text.splitlines():
        yield line.strip().removeprefix(">>> ").removeprefix("... ").strip()  # as `doctest` has them


def _is_harmless(event: str, arguments: tuple[Any, ...], frame: types.FrameType, known: set[str]) -> bool:
    if event == "pickle.find_class":
        module, name = arguments
        return name in PICKLED.get(module, ())
    if event == "code.__new__":
        return frame.f_globals is vars(types)
    if any(frame.f_globals is names for names in IMPORTING) and not _is_scratch(_file(event, arguments, frame)):
        return True
    return event == "compile" and (_writes(frame) or _is_known(arguments[0], known, frame))


def _file(event: str, arguments: tuple[Any, ...], frame: types.FrameType) -> Any:
    """Return the file of a module that is imported."""
    return arguments[1] if event == "compile" else frame.f_locals.get("bytecode_path")


def _is_scratch(path: Any) -> bool:
    return not isinstance(path, str) or os.path.realpath(path).startswith(SCRATCH)


def _writes(frame: types.FrameType) -> bool:
    """Whether a function of the library that makes a program of names, or only a tree, has made a text."""
    module = str(frame.f_globals.get("__name__"))
    if (module, frame.f_code.co_name) in WRITING and frame.f_globals is vars(sys.modules[module]):
        return True
    if frame.f_globals is not vars(dataclasses):
        return False
    at: types.FrameType | None = frame
    while at and at.f_code is not PROCESSING:
        at = at.f_back
    fields = at.f_locals["fields"].values() if at else [None]
    # A class may list anything as its fields, if it is written in another way than by a `class` statement.
    return all(type(field) is dataclasses.Field and type(field.name) is str and field.name.isidentifier() for field in fields)


def _is_known(source: Any, known: set[str], frame: types.FrameType) -> bool:
    """Whether a text stands in the tests, line by line, or is data; for an annotation, whether it only names something."""
    if isinstance(source, bytes):
        source = source.decode(errors="surrogateescape")
    if type(source) is not str:
        return False
    if frame.f_globals.get("__name__") == "timeit":  # which puts a loop around it
        known = known.union(_lines(frame.f_globals["template"].format(init="", setup="pass", stmt="pass")))
    if all(line.strip() in known for line in source.splitlines()):
        return True
    if "coding" in source:  # what Python would read might be another text
        return False
    nodes = NAMES if any(frame.f_globals is names for names in ANNOTATING) else DATA
    try:
        tree = ast.parse(source.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return all(isinstance(node, nodes) and not _is_private(node) for node in ast.walk(tree))


def _is_private(node: ast.AST) -> bool:
    return getattr(node, "id", getattr(node, "attr", "")).startswith("_")
