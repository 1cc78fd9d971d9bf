"""The names that the tests see: their own, then the trusted prelude's, then those of the code, but never a built-in of the code.

A solution that defines `all`, `abs` or a helper of the prompt's would otherwise have its own way with the tests.
"""

from __future__ import annotations

import builtins
import functools
import importlib
import math
import sys
import types
from typing import Any

from verifiers.sandbox.inside import shim
from verifiers.sandbox.inside.approximate import Approx
from verifiers.sandbox.inside.guard import Guard
from verifiers.sandbox.inside.mirror import Remote, RemoteMeta
from verifiers.sandbox.inside.uses import Uses

MODULES = sys.stdlib_module_names - {"antigravity", "this", "idlelib", "test", "lib2to3", "turtledemo"}
# What decides whether an answer is right is never the code's, even where the tests forgot to import it.
JUDGES: dict[str, Any] = {
    "isclose": math.isclose, "approx": Approx, "raises": shim.raises, "fail": shim.fail, "exit": sys.exit, "quit": sys.exit,
}  # fmt: skip
FOREIGN = {"np", "numpy", "pd", "pandas", "sp", "scipy", "sympy", "torch", "tf", "pytest", "mock", "hypothesis"}


class Names(dict[str, Any]):
    """The tests' global names. A name that the tests don't define is looked up in the code."""

    def __init__(self, peer: Guard, module: Any, offered: dict[str, str], entry_point: str | None, uses: Uses) -> None:
        super().__init__({"__name__": "__main__", "__builtins__": builtins})
        self.peer = peer
        self.module = module
        self.offered = offered
        self.entry_point = entry_point
        self.root = (entry_point or "").partition(".")[0].partition("(")[0].strip()
        self.uses = uses

    def sees(self, name: str) -> bool:
        """Whether a name of the code is visible to the tests."""
        if name not in self.offered or name.startswith(("__", "assert")):
            return False
        if name in JUDGES or name in FOREIGN:
            return name == self.root
        return name == self.root or name not in vars(builtins)

    def is_module(self, name: str) -> bool:
        """Whether a name of the code is a module of the standard library, as far as the tests are concerned.

        What the code defines itself (`timeit`, `queue`) is one where they only read attributes of it that the module has.
        """
        if name == self.root:
            return False
        if self.offered[name] in MODULES:
            return True
        read = self.uses.attributes.get(name, []) if name in MODULES else []
        return bool(read) and all(map(functools.partial(hasattr, importlib.import_module(name)), read))

    def __missing__(self, name: str) -> Any:
        if name in JUDGES and name != self.root:
            return JUDGES[name]
        if not self.sees(name):
            raise KeyError(name)
        if self.is_module(name):
            self[name] = importlib.import_module(self.offered[name] if self.offered[name] in MODULES else name)
            return self[name]
        return self.take(name)

    def take(self, name: str) -> Any:
        """Look a name up in the code."""
        value = self.peer.ask("attr", self.module, name)
        if isinstance(value, RemoteMeta):
            if name.lstrip("_")[:1].isupper():
                type.__setattr__(value, "_trusted_", True)
            self[name] = value
        elif isinstance(value, Remote) and callable(value):
            self[name] = value
        return value

    def fetch(self, given: dict[str, Any]) -> None:
        """Look up what the tests will need: a class body of theirs would not find it through `__missing__`.

        `given` are functions that the code's process has sent unasked.
        """
        for name, value in given.items():
            if self.sees(name) and not self.is_module(name) and name not in self and isinstance(value, Remote):
                self[name] = value
        for name in sorted(self.uses.free | {self.root}):
            if self.sees(name) and name not in self:
                self.__missing__(name)


class SolutionModule(types.ModuleType):
    """What the tests get for `import solution`."""

    def __init__(self, names: Names) -> None:
        super().__init__("solution")
        self._names_ = names
        theirs = names.uses.bound - {names.root}  # `from solution import *` replaces nothing that the tests have of their own
        self.__all__ = [name for name in names.offered if names.sees(name) and name[0] != "_" and name not in theirs]

    def __getattr__(self, name: str) -> Any:
        if name not in self._names_.offered or name.startswith("__"):
            raise AttributeError(name)
        return self._names_.take(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in {"_names_", "__all__"} and name[:2] != "__":
            raise shim.Broken(f"the tests replace {name} in the code, which the sandbox can't")
        super().__setattr__(name, value)
