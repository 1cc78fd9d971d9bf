"""A little of pytest's fixtures: the tests' own, `capsys`, `tmp_path`, and `monkeypatch` for what reaches the code."""

from __future__ import annotations

import contextlib
import inspect
import io
import itertools
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

    def __init__(self, make: Callable[..., Any], options: dict[str, Any]) -> None:
        self.make = make
        self.params = list(options.get("params") or [])
        self.everywhere = bool(options.get("autouse"))
        self.stays = options.get("scope", "function") in {"module", "package", "session"}
        self.kept: dict[int, tuple[Any]] = {}


def fixture(make: Any = None, **options: Any) -> Any:
    """Mark a function that makes what tests want by its name: anew for each test, or once."""
    known = {"params", "autouse", "ids"} if options.get("scope") != "class" else set()
    asked = [name for name, value in options.items() if value and name not in known and (name != "scope" or value == "class")]
    if asked or ("scope" in options and type(options["scope"]) is not str):
        raise Broken(f"the tests want pytest.fixture({', '.join(asked) or 'scope'}), which the sandbox doesn't have")
    return Fixture(make, options) if make is not None else lambda given: Fixture(given, options)


class Request(NamedTuple):
    """`request`, of which a fixture may read the parameter."""

    param: Any

    def __getattr__(self, name: str) -> Any:
        raise Broken(f"the tests want request.{name}, which the sandbox doesn't have")


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
    marked = (function, type(getattr(function, "__self__", None)))
    rows, of_class = (getattr(each, "rows", [{}]) for each in marked)
    indirect = {name for each in marked for name in getattr(each, "indirect", ())}
    for row in [{**one, **other} for one in of_class for other in rows]:
        chosen = {name: [row[name]] for name in indirect}
        given = {name: value for name, value in row.items() if name not in indirect}
        needed = [name for name in (*_everywhere(function), *_wanted(function)) if name not in given]
        for name in _closure(function, needed):
            found = _fixture(name, function)
            if found and found.params:
                chosen.setdefault(name, found.params)
        for values in itertools.product(*chosen.values()):
            with contextlib.ExitStack() as stack:
                making = Making(function, dict(given), dict(zip(chosen, values, strict=True)), stack)
                made = {name: making.value(name) for name in needed}
                yield function(**{name: made[name] for name in _wanted(function) if name in made} | given)


def _folder(name: str, numbered: bool = True) -> Any:  # noqa: ARG001 - as pytest's own
    """Return a new folder, whose name begins so."""
    import pathlib  # with all that it needs, as `tempfile` too: few tests do
    import tempfile

    return pathlib.Path(tempfile.mkdtemp(prefix=name))


def _wanted(function: Callable[..., Any]) -> list[str]:
    """Return the names of the parameters without a default, but for those that `mock.patch` fills."""
    parameters = inspect.signature(function).parameters.values()
    names = [each.name for each in parameters if each.default is each.empty and each.kind < each.VAR_POSITIONAL]
    mock = sys.modules.get("unittest.mock")
    given = [each for each in getattr(function, "patchings", []) if mock and each.new is mock.DEFAULT and not each.attribute_name]
    return names[len(given) :]


def _places(function: Callable[..., Any]) -> list[dict[str, Any]]:
    """Return where fixtures of a test may be defined: in its class and those above, and in the tests."""
    owner = getattr(function, "__self__", None)
    kinds = [] if owner is None or isinstance(owner, type) else type(owner).__mro__
    return [*map(dict, map(vars, kinds)), getattr(inspect.unwrap(function), "__globals__", {})]


def _everywhere(function: Callable[..., Any]) -> list[str]:
    """Return the names of the fixtures that tests have without asking for them."""
    found = [(name, value) for place in reversed(_places(function)) for name, value in place.items()]
    return [name for name, value in found if isinstance(value, Fixture) and value.everywhere]


def _fixture(name: str, function: Callable[..., Any]) -> Fixture | None:
    found = next((place[name] for place in _places(function) if name in place), None)
    return found if isinstance(found, Fixture) else None


def _closure(function: Callable[..., Any], names: list[str]) -> list[str]:
    """Return the names of the fixtures that are needed, and those that these need."""
    found = list(dict.fromkeys(names))
    for name in found:
        made = _fixture(name, function)
        found += [each for each in (_wanted(made.make) if made else []) if each not in found]
    return found


_STAYING = contextlib.ExitStack()
end = _STAYING.close
"""Put away what was made once for all tests. Raise what that raises."""


class Making:
    """The fixtures of one run of a test."""

    def __init__(
        self, function: Callable[..., Any], made: dict[str, Any], chosen: dict[str, Any], stack: contextlib.ExitStack
    ) -> None:
        self.function = function
        self.made = made
        self.chosen = chosen
        self.stack = stack

    def value(self, name: str, depth: int = 0) -> Any:
        """Return what a fixture makes, and have it put away at the test's end."""
        if name in self.made:
            return self.made[name]
        found = _fixture(name, self.function)
        if found and depth < MAX_DEPTH:
            key = id(self.chosen.get(name))  # a parameter of the code's may say of itself what it likes
            self.made[name] = found.kept[key][0] if key in found.kept else self.of_tests(name, found, depth)
            if found.stays:
                found.kept[key] = (self.made[name],)
        elif name == "capsys":
            self.made[name] = self.stack.enter_context(_capsys())
        elif name == "tmp_path":
            self.made[name] = _folder("test")
        elif name == "tmp_path_factory":
            self.made[name] = types.SimpleNamespace(mktemp=_folder)
        elif name == "monkeypatch":
            self.made[name] = MonkeyPatch(self.stack.enter_context(contextlib.ExitStack()))
        else:
            test = getattr(self.function, "__name__", self.function)
            raise Broken(f"the test {test} wants fixtures, which the sandbox doesn't have: {name}")
        return self.made[name]

    def of_tests(self, name: str, found: Fixture, depth: int) -> Any:
        """Run a fixture of the tests' own."""
        wanted = _wanted(found.make)
        given = {each: self.value(each, depth + 1) for each in wanted if each not in {"self", "request"}}
        if "request" in wanted:
            given["request"] = Request(self.chosen.get(name))
        if "self" in wanted:
            given["self"] = getattr(self.function, "__self__", None)
        made = found.make(**given)
        if not isinstance(made, types.GeneratorType):
            return made
        value = next(made, _ABSENT)
        if value is _ABSENT:
            raise Broken(f"the tests' fixture {name} never yields")
        (_STAYING if found.stays else self.stack).callback(next, made, None)
        return value
