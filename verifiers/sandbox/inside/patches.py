"""What tests may replace: `input`, `sys.stdin` and `sys.stdout`, which reach the code, and what is their own.

Anything else would be replaced in the tests' process alone, and the code in another one would fail for want of it.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib
import os
import re
import sys
import types
from typing import Any, NoReturn

from verifiers.sandbox.inside.mirror import RemoteMeta, is_subclass
from verifiers.sandbox.inside.shim import TESTS, Broken

_REACHING = {("builtins", "input"), ("sys", "stdin"), ("sys", "stdout")}


def refuse_patch(target: Any, name: str) -> Any:
    """Return where to set an attribute. Raise Broken where that doesn't reach the code."""
    kind = type(target)
    if isinstance(target, types.ModuleType):
        if target.__name__ == "solution" and name == "input":
            return builtins
        if (target.__name__, name) in _REACHING:
            return target
    elif not isinstance(target, RemoteMeta) and not isinstance(kind, RemoteMeta):
        owner = target if isinstance(target, type | types.FunctionType) else kind
        if owner.__module__ == TESTS:
            return target
    shown = getattr(target, "__name__", None) or kind.__name__
    raise Broken(f"the tests replace {shown}.{name}, which doesn't reach the code")


def refuse_dict(target: Any) -> None:
    """Raise Broken for a dict that isn't the tests' own, nor the environment."""
    if target is os.environ:
        return
    if type(target) is not dict or target is sys.modules or any(target is vars(module) for module in [*sys.modules.values()]):
        raise Broken("the tests replace the items of something that the code doesn't share with them")


def resolved(path: str) -> tuple[Any, str]:
    """Return the object and the name of its attribute that a dotted path means."""
    left, _, name = path.rpartition(".")
    parts = left.split(".")
    for count in range(len(parts), 0, -1):
        with contextlib.suppress(ImportError):
            found: Any = importlib.import_module(".".join(parts[:count]))
            for part in parts[count:]:
                found = getattr(found, part)
            return found, name
    raise ModuleNotFoundError(f"No module named {parts[0]!r}", name=parts[0])


def watch(tests: str) -> None:
    """Have what tests replace by other means looked at, too."""
    if "redirect_stderr" in tests:
        contextlib.redirect_stderr = _no_stderr  # type: ignore[misc, assignment]
    if re.search("(?i)subclass", tests):
        builtins.issubclass = is_subclass
    if "mock" not in tests:
        return
    from unittest import mock

    kind: Any = mock._patch  # noqa: SLF001 - where all of its forms come by
    kind_of_dicts: Any = mock._patch_dict  # noqa: SLF001
    enter, enter_dict = kind.__enter__, kind_of_dicts.__enter__

    def checked(self: Any) -> Any:
        target = refuse_patch(self.getter(), self.attribute)
        self.getter = lambda: target
        return enter(self)

    def checked_dict(self: Any) -> Any:
        refuse_dict(self.in_dict)
        return enter_dict(self)

    kind.__enter__, kind_of_dicts.__enter__ = checked, checked_dict


def _no_stderr(*_arguments: Any) -> NoReturn:
    raise Broken("the tests look at the code's standard error, which the sandbox doesn't keep")
