"""A little of pytest's fixtures: the tests' own, `capsys`, `tmp_path`, and `monkeypatch` for what reaches the code."""

from __future__ import annotations

import contextlib
import inspect
import io
import os
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Self

from verifiers.sandbox.inside.patches import refuse_dict, refuse_patch, resolved
from verifiers.sandbox.inside.shim import Broken

MAX_DEPTH = 20
"""Of fixtures that want fixtures."""


class Fixture:
    """What `@pytest.fixture` makes of a function of the tests."""

    def __init__(self, make: Callable[..., Any]) -> None:
        self.make = make


def fixture(make: Any = None, **options: Any) -> Any:
    """Mark a function that makes what tests want by its name. It is made anew for each test."""
    if asked := {name: value for name, value in options.items() if value and (name, value) != ("scope", "function")}:
        raise Broken(f"the tests want pytest.fixture({', '.join(asked)}), which the sandbox doesn't have")
    return Fixture(make) if make is not None else Fixture


class Unseen:
    """What the code writes to standard error: nobody here sees it."""

    __hash__ = None  # type: ignore[assignment]

    def _refuse(self, *_arguments: Any) -> Any:
        raise Broken("the tests look at the code's standard error, which the sandbox doesn't keep")

    __eq__ = __ne__ = __contains__ = __len__ = __bool__ = __iter__ = __str__ = __getattr__ = _refuse


class Captured(NamedTuple):
    """What was written."""

    out: str
    err: Unseen


class CapSys:
    """`capsys`: what the code and the tests print."""

    def __init__(self) -> None:
        self.printed = io.StringIO()

    def readouterr(self) -> Captured:
        """Return what was printed since the last time."""
        text = self.printed.getvalue()
        self.printed.seek(0)
        self.printed.truncate()
        return Captured(text, Unseen())

    def disabled(self) -> Any:
        """Return a block in which nothing changes here."""
        return contextlib.nullcontext()


_ABSENT = object()


class MonkeyPatch:
    """`monkeypatch`, for `input`, `sys.stdin`, `sys.stdout`, the environment, the folder, and what is the tests' own."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.stack = stack

    def setattr(self, target: Any, name: Any, value: Any = _ABSENT, raising: bool = True) -> None:
        """Set an attribute until the test's end."""
        if isinstance(target, str):
            (target, name), value = resolved(target), name
        target = refuse_patch(target, name)
        before = getattr(target, name, _ABSENT)
        if before is _ABSENT and raising:
            raise AttributeError(f"{target!r} has no attribute {name!r}")
        setattr(target, name, value)
        self.stack.callback(lambda: delattr(target, name) if before is _ABSENT else setattr(target, name, before))

    def setitem(self, target: Any, key: Any, value: Any) -> None:
        """Set an item until the test's end."""
        refuse_dict(target)
        before = target.get(key, _ABSENT)
        target[key] = value
        self.stack.callback(lambda: target.pop(key, None) if before is _ABSENT else target.__setitem__(key, before))

    def delitem(self, target: Any, key: Any, raising: bool = True) -> None:
        """Delete an item until the test's end."""
        refuse_dict(target)
        if key in target:
            self.stack.callback(target.__setitem__, key, target.pop(key))
        elif raising:
            raise KeyError(key)

    def setenv(self, name: str, value: str, prepend: str | None = None) -> None:
        """Set a variable of the environment until the test's end."""
        self.setitem(os.environ, name, value + prepend + os.environ[name] if prepend and name in os.environ else value)

    def delenv(self, name: str, raising: bool = True) -> None:
        """Delete one."""
        self.delitem(os.environ, name, raising)

    def chdir(self, path: Any) -> None:
        """Work in another folder until the test's end."""
        self.stack.callback(os.chdir, os.getcwd())  # noqa: PTH109 - pathlib is large
        os.chdir(path)

    def undo(self) -> None:
        """Set everything back."""
        self.stack.close()

    @contextlib.contextmanager
    def context(self) -> Iterator[Self]:
        """Set back at a block's end."""
        with contextlib.ExitStack() as stack:
            yield type(self)(stack)

    def __getattr__(self, name: str) -> Any:
        raise Broken(f"the tests want monkeypatch.{name}, which doesn't reach the code")


@contextlib.contextmanager
def _capsys() -> Iterator[CapSys]:
    made = CapSys()
    with contextlib.redirect_stdout(made.printed):
        yield made


def call(function: Callable[..., Any]) -> Iterator[Any]:
    """Call a test with each of its rows of values, and with the fixtures that it wants. Yield what it returns."""
    for row in getattr(function, "rows", [{}]):
        with contextlib.ExitStack() as stack:
            made = dict(row)
            yield function(**{name: _value(name, function, made, stack, 0) for name in _wanted(function)} | row)


def _wanted(function: Callable[..., Any]) -> list[str]:
    """Return the names of the parameters without a default, but for those that `mock.patch` fills."""
    parameters = inspect.signature(function).parameters.values()
    names = [each.name for each in parameters if each.default is each.empty and each.kind < each.VAR_POSITIONAL]
    mock = sys.modules.get("unittest.mock")
    given = [each for each in getattr(function, "patchings", []) if mock and each.new is mock.DEFAULT and not each.attribute_name]
    return names[len(given) :]


def _value(name: str, wanting: Callable[..., Any], made: dict[str, Any], stack: contextlib.ExitStack, depth: int) -> Any:
    if name in made:
        return made[name]
    found = getattr(inspect.unwrap(wanting), "__globals__", {}).get(name)
    if isinstance(found, Fixture) and depth < MAX_DEPTH:
        given = {each: _value(each, found.make, made, stack, depth + 1) for each in _wanted(found.make)}
        made[name] = found.make(**given)
        if isinstance(made[name], types.GeneratorType):
            running = made[name]
            made[name] = next(running, _ABSENT)
            if made[name] is _ABSENT:
                raise Broken(f"the tests' fixture {name} never yields")
            stack.callback(next, running, None)
    elif name == "capsys":
        made[name] = stack.enter_context(_capsys())
    elif name == "tmp_path":
        import pathlib  # with all that it needs, as `tempfile` too: few tests do
        import tempfile

        made[name] = pathlib.Path(tempfile.mkdtemp(prefix="test"))
    elif name == "monkeypatch":
        made[name] = MonkeyPatch(stack.enter_context(contextlib.ExitStack()))
    else:
        raise Broken(f"the test {getattr(wanting, '__name__', wanting)} wants fixtures, which the sandbox doesn't have: {name}")
    return made[name]
