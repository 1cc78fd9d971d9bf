"""How an exception crosses: by the name of its class, where both processes have that."""

from __future__ import annotations

import builtins
import importlib
from typing import Any

# The exceptions that both processes have as they are. Never one that means success to somebody, such as unittest.SkipTest.
BUILT_IN: dict[str, type[BaseException]] = {
    name: kind for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, BaseException)
}
# By the module that they say they are from, with the one to import; imported when one crosses.
STANDARD = {
    "_csv.Error": "csv", "_queue.Empty": "queue", "queue.Full": "queue", "binascii.Error": "binascii", "re.error": "re",
    "dataclasses.FrozenInstanceError": "dataclasses", "json.decoder.JSONDecodeError": "json.decoder", "struct.error": "struct",
    "statistics.StatisticsError": "statistics", "decimal.InvalidOperation": "decimal", "decimal.DivisionByZero": "decimal",
    "decimal.Overflow": "decimal", "decimal.Inexact": "decimal", "decimal.DecimalException": "decimal",
}  # fmt: skip


def exception_name(kind: type) -> str | None:
    """Return the name of an exception that both processes have; None for any other class."""
    if BUILT_IN.get(kind.__name__) is kind:
        return kind.__name__
    name = f"{kind.__module__}.{kind.__qualname__}"
    return name if name in STANDARD and exception_named(name) is kind else None


def exception_named(name: str) -> type[BaseException]:
    """Return the exception of a name. Raise KeyError where it isn't one that both processes have."""
    if name in BUILT_IN:
        return BUILT_IN[name]
    kind: type[BaseException] = getattr(importlib.import_module(STANDARD[name]), name.rpartition(".")[2])
    return kind


def make_exception(name: Any, arguments: list[Any]) -> BaseException:
    """Return an exception of a class that both sides have."""
    kind = exception_named(name)
    try:
        return kind(*arguments)
    except TypeError:
        made: BaseException = kind.__new__(kind)
        made.args = tuple(arguments)
        return made
