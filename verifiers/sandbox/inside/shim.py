"""What the tests may expect to be there: a little of pytest, and unittest's runner.

Written for the test process, which has no site-packages; `pytest.raises`, `approx` and `mark.parametrize` cover nearly all tests
of single functions.
"""

from __future__ import annotations

import functools
import re
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn, Self

from verifiers.sandbox.inside.approximate import Approx
from verifiers.sandbox.inside.mirror import Unsupported

PRELUDE = "prelude"
TESTS = "__main__"
"""The name of the tests' own module."""


class Broken(Unsupported):
    """The tests are at fault."""


class Raises:
    """`with raises(Kind, match=…):`."""

    def __init__(self, kind: Any, *, match: str | None = None) -> None:
        self.kind = kind
        self.pattern = match
        self.value: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, _traceback: types.TracebackType | None
    ) -> bool:
        if kind is None:
            raise AssertionError(f"did not raise {getattr(self.kind, '__name__', self.kind)}")
        if not issubclass(kind, self.kind):
            return False
        self.value, self.type, self.typename = value, kind, kind.__name__
        return self.pattern is None or self.match(self.pattern)

    def match(self, pattern: str) -> bool:
        """Find a pattern in what was raised."""
        if not re.search(pattern, str(self.value)):
            raise AssertionError(f"{str(self.value)!r} doesn't match {pattern!r}")
        return True


def raises(kind: Any, call: Any = None, *arguments: Any, match: str | None = None, **named: Any) -> Any:
    """Expect an exception, of a block or of a call."""
    context = Raises(kind, match=match)
    if call is None:
        return context
    with context:
        call(*arguments, **named)
    return context


class Param(tuple[Any, ...]):
    """`param(…)`: the values of one run."""

    __slots__ = ()


def param(*values: Any, marks: Any = (), **_named: Any) -> Param:
    """Return the values of one run, whose name doesn't matter here."""
    if marks:
        raise Broken("the tests mark pytest.param(…), which the sandbox can't")
    return Param(values)


class Mark:
    """`pytest.mark`: what changes a test's meaning is refused, and any other mark is only a name."""

    @staticmethod
    def parametrize(*arguments: Any, **named: Any) -> Callable[[Any], Any]:
        """Mark a test to be run once for each of the values."""
        return parametrize(*arguments, **named)

    @staticmethod
    def skipif(condition: object, *, reason: str = "") -> Callable[[Any], Any]:  # noqa: ARG004 - as pytest has it
        """Mark a test that isn't to be skipped here. Any other would leave the code untested, and may be what the code wants."""
        if condition is not False:
            raise Broken("the tests skip some of them, or may do so")
        return lambda test: test

    def __getattr__(self, name: str) -> Any:
        """Return a decorator, with arguments or without."""
        if name in {"skip", "xfail", "usefixtures"}:
            raise Broken(f"the tests want pytest.mark.{name}, which the sandbox doesn't have")
        return lambda *given, **named: given[0] if len(given) == 1 and not named and callable(given[0]) else lambda test: test


def parametrize(
    names: str | Sequence[str], values: Sequence[Any], indirect: Any = False, **_options: Any
) -> Callable[[Any], Any]:
    """Mark a test to be run once for each of the values."""
    listed = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)

    def mark(function: Any) -> Any:
        whole = [value if len(listed) > 1 or isinstance(value, Param) else (value,) for value in values]
        rows = [dict(zip(listed, value, strict=True)) for value in whole]
        if indirect:
            function.indirect = {*(listed if indirect is True else indirect), *getattr(function, "indirect", ())}
        function.rows = [{**row, **other} for row in rows for other in getattr(function, "rows", [{}])]
        return function

    return mark


def around(function: Any, subject: Any) -> None:
    """Call what is to be called before or after a test, all tests of a class, or all tests; with that, where it wants it."""
    if function is not None:
        code = function.__code__
        takes = code.co_argcount - (getattr(function, "__self__", None) is not None) - len(function.__defaults__ or ())
        function(*[subject][: max(takes, 0)])


def methods_of(kind: type, run: Callable[[Any], None]) -> Iterator[Callable[[], None]]:
    """Yield the test methods of a class that is no `TestCase`, each to be run on an object of its own."""
    if any(isinstance(value, type) and name.startswith("Test") for name, value in vars(kind).items()):
        raise Broken(f"the class {kind.__name__} has a class of tests in it, which the sandbox doesn't run")

    def one(name: str) -> None:
        made = kind()
        test = getattr(made, name)
        for each in ("setup_method", "setup"):
            around(getattr(made, each, None), test)
        run(test)
        around(getattr(made, "teardown_method", None), test)

    names = [name for name in dir(kind) if name.startswith("test") and callable(getattr(kind, name))]
    if names:
        around(getattr(kind, "setup_class", None), kind)
    for name in names:
        yield functools.partial(one, name)
    if names:
        around(getattr(kind, "teardown_class", None), kind)


def fail(reason: str = "") -> None:
    """Fail a test."""
    raise AssertionError(reason)


def as_module(**named: Any) -> types.ModuleType:
    """Return the module that the tests import as `pytest`, with some more names."""
    module = types.ModuleType("pytest")
    vars(module).update(named, raises=raises, approx=Approx, fail=fail, param=param, mark=Mark(), __getattr__=_lacking)
    return module


def _lacking(name: str) -> NoReturn:
    if name.startswith("__"):
        raise AttributeError(name)
    raise Broken(f"the tests want pytest.{name}, which the sandbox doesn't have")


def cases_of(kinds: list[Any]) -> list[Any]:
    """Return the `unittest.TestCase` classes."""
    import unittest

    return [kind for kind in kinds if issubclass(kind, unittest.TestCase)]


def run_cases(kinds: list[Any]) -> None:
    """Run the tests' `unittest.TestCase` classes. Raise what the first failing test raised."""
    import unittest

    class Result(unittest.TestResult):
        passed = 0  # `testsRun` has skipped ones in some versions of Python, and in others not

        def addSuccess(self, test: Any) -> None:  # noqa: N802, ARG002 - unittest's names
            self.passed += 1

        def addExpectedFailure(self, test: Any, err: Any) -> None:  # noqa: N802, ARG002
            self.passed += 1

        def addError(self, test: Any, err: Any) -> None:  # noqa: N802, ARG002
            raise First(err[1])

        def addFailure(self, test: Any, err: Any) -> None:  # noqa: N802, ARG002
            raise First(err[1])

        def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:  # noqa: N802, ARG002
            if err is not None:
                raise First(err[1])

    class First(BaseException):
        pass

    result = Result()
    cases = cases_of(kinds)
    try:
        for kind in cases:
            unittest.defaultTestLoader.loadTestsFromTestCase(kind).run(result)
    except First as first:
        raise first.args[0] from None
    if cases and (result.unexpectedSuccesses or not result.passed):
        raise Broken("the unittest cases were skipped, or passed where they should fail")
