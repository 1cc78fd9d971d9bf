"""Asks a function of the user's own.

It is imported in worker processes alone: from the installed packages, or else from the folder in which the command runs.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
import threading
from collections.abc import Callable
from dataclasses import field
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import Field

from storage.errors import VerifierError
from storage.records import Prompt, Sample
from verifiers import workers
from verifiers.protocol import Finding, verifier

_LOADING = threading.RLock()
"""Modules and paths are the process's, and importlib's caches break where two threads invalidate them at once."""
_KEPT = {*sys.stdlib_module_names, "flows", "storage", "tasks", "verifiers"}
LOADING_S = 60.0
"""For the import of the user's module."""
_IMPORTED: dict[str, str] = {}
"""Of a worker: the checksum that each module's file had when it was imported."""
_FOLDERS: list[str] = []
"""Of a worker: the folder that it imports from, where it was not on the path before."""


@verifier(version="1")
class Python:
    """Passes what a function passes: `judge(prompt, sample, **options)` returns a bool, None, a score or a Finding.

    None is undecided, and so is whatever the function raises. Its verdicts hold for as long as the file of its module is the
    same; where what that imports decides too, raise `version`.
    """

    call: Annotated[str, Field(pattern=r"^[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*$")]
    """Where the function is, as `module:name`."""
    options: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments that it gets beside the prompt and the sample."""
    pass_at: Annotated[float, Field(ge=0, le=1)] | None = None
    """For a function that returns a score from 0 to 1: the score from which a response passes."""
    version: str = "1"
    """The function's own version: another one judges anew."""
    limit_s: Annotated[float, Field(gt=0)] = 60
    """Seconds that a call may take, in its process of its own."""

    def __post_init__(self) -> None:
        """Refuse what can't be imported or called."""
        folder = str(Path.cwd())
        try:
            checksum = workers.default().call(_inspect, folder, self.call, self.options, timeout_s=LOADING_S)
        except ValueError:
            raise
        except Exception as error:  # it hung, ended its process, or looking it up raised
            raise ValueError(f"call: {self.call} can't be had: {_line(error)}") from error
        object.__setattr__(self, "_loaded", (folder, checksum))  # no option; the fingerprint has its part of it by `identity`

    def identity(self) -> dict[str, str]:
        """Return the checksum of the function's source, and the version of how it is called."""
        return {"source": self._source[1], "called": type(self).version}

    @property
    def _source(self) -> tuple[str, str]:
        return cast("tuple[str, str]", vars(self)["_loaded"])

    def check(self, prompt: Prompt, sample: Sample) -> Finding:
        """Call the function. Raise VerifierError where what it returns is no finding."""
        folder, checksum = self._source
        function = _function(folder, self.call, checksum)
        try:
            found = function(prompt, sample, **self.options)
        except VerifierError:
            raise
        except Exception as error:
            # Its class may be the module's own, which the build's process doesn't import.
            raise RuntimeError(f"{self.call} raised {type(error).__name__}: {_line(error)}") from error
        return self._finding(found)

    def _finding(self, found: object) -> Finding:
        if found is None or isinstance(found, bool):
            return Finding(passed=found)
        if isinstance(found, Finding):
            return Finding(
                passed=found.passed,
                reason=found.reason,
                score=None if found.score is None else _score(found.score, self.call),
                answer=found.answer,
            )
        if not isinstance(found, int | float):
            kind = f"{type(found).__module__}.{type(found).__qualname__}"
            raise VerifierError(f"{self.call} returned a {kind}; a bool, None, a score or a Finding is wanted")
        score = _score(found, self.call)
        if self.pass_at is None:
            raise VerifierError(f"{self.call} returned the score {score:g}, and no `pass_at` says which scores pass")
        passed = score >= self.pass_at
        return Finding(passed=passed, score=score, reason=f"{score:g} {'reaches' if passed else 'is below'} {self.pass_at:g}")


def _score(found: float, call: str) -> float:
    if not 0 <= found <= 1:
        raise VerifierError(f"{call} returned the score {found}, which is not from 0 to 1")
    return float(found)


def _inspect(folder: str, call: str, options: dict[str, Any]) -> str:
    """Return the checksum of a function's source. Raise ValueError, with one line, where it can't be imported or called so."""
    with _LOADING:
        function, checksum = _load(folder, call)
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None)):  # noqa: B004
        raise ValueError(f"call: {call} is an `async def`; a plain function is wanted")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # one that is written in C
        return checksum
    try:
        signature.bind(None, None, **options)
    except TypeError as error:
        raise ValueError(f"options: {call}{signature} can't be called as (prompt, sample, **options): {error}") from None
    return checksum


@lru_cache(maxsize=64)
def _function(folder: str, call: str, checksum: str) -> Callable[..., object]:
    with _LOADING:
        function, found = _load(folder, call)
    if found != checksum:
        raise VerifierError(f"the source of {call} has changed since the build began; the next build judges by it")
    return function


def _load(folder: str, call: str) -> tuple[Callable[..., object], str]:
    """Return a function and the checksum of its source. Raise ValueError where there is none."""
    name, _, attribute = call.partition(":")
    module = _module(folder, name)
    function: Any = module
    for part in attribute.split("."):
        try:
            function = getattr(function, part)
        except AttributeError:
            raise ValueError(f"call: {getattr(module, '__file__', name)} has no {attribute!r}") from None
    if not callable(function):
        raise ValueError(f"call: {call} is a {type(function).__name__}, and can't be called")  # noqa: TRY004 - of the spec
    checksum = hashlib.sha256(_IMPORTED[name].encode())
    home = getattr(function, "__module__", None)
    if home in sys.modules and home != name:  # it is defined elsewhere, and only named here
        _IMPORTED.setdefault(home, _checksum(getattr(sys.modules[home], "__file__", None)))
        checksum.update(_IMPORTED[home].encode())
    return function, checksum.hexdigest()


def _module(folder: str, name: str) -> Any:
    """Import a module, anew where its file is another than at the last import in this process."""
    moved = folder not in sys.path
    if moved or any(_checksum(getattr(sys.modules.get(each), "__file__", None)) != known for each, known in _IMPORTED.items()):
        for each in list(_IMPORTED):  # all of them: one may hold what was in another
            _forget(each)
    if moved:
        while _FOLDERS:
            sys.path.remove(_FOLDERS.pop())
        _FOLDERS.append(folder)
        sys.path.append(folder)  # last: a file of the user's must not take the place of a package that somebody else imports
    importlib.invalidate_caches()
    if name not in _IMPORTED:
        _IMPORTED[name] = _checksum(getattr(sys.modules.get(name), "__file__", None) or _file(name, folder))
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # what is compiled is known by a time in whole seconds
    try:
        return importlib.import_module(name)
    except BaseException as error:
        _IMPORTED.pop(name, None)
        if isinstance(error, KeyboardInterrupt):
            raise
        raise ValueError(f"call: importing {name} raised {type(error).__name__}: {_line(error)}") from error
    finally:
        sys.dont_write_bytecode = writes


def _forget(name: str) -> None:
    """Have a module and its package imported anew, unless it is Python's or ours."""
    package = name.partition(".")[0]
    _IMPORTED.pop(name, None)
    if package in _KEPT:
        return
    for each in [each for each in sys.modules if each == package or each.startswith(f"{package}.")]:
        del sys.modules[each]
        _IMPORTED.pop(each, None)


def _file(name: str, folder: str) -> str | None:
    try:
        found = importlib.util.find_spec(name)
    except ModuleNotFoundError as error:
        raise ValueError(f"call: {error}; looked among the installed packages and in {folder}") from None
    except Exception as error:
        raise ValueError(f"call: importing {name} raised {type(error).__name__}: {_line(error)}") from error
    if found is None:
        raise ValueError(f"call: there is no module {name!r} among the installed packages or in {folder}")
    return found.origin


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _checksum(file: str | None) -> str:
    """Return a checksum of a module's file; of one that has none, such as a built-in, the interpreter's version."""
    if file is None or not Path(file).is_file():
        return sys.version
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()
