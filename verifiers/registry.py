"""The verifiers by name. A module is imported only when a spec names its verifier."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import cast

from verifiers.protocol import Verifier

BUILT_IN = {
    "exact_match": "verifiers.exact_match:ExactMatch",
    "judge": "verifiers.judge:Judge",
    "unit_tests": "verifiers.unit_tests:UnitTests",
}
GROUP = "stillhouse.verifiers"


def names() -> list[str]:
    """Return the names that a spec may use, plug-ins included."""
    return sorted({*BUILT_IN, *(point.name for point in entry_points(group=GROUP))})


def find(name: str) -> type[Verifier]:
    """Return the class behind a name. Raise KeyError where there is none."""
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        return cast("type[Verifier]", getattr(import_module(module), attribute))
    for point in entry_points(group=GROUP):
        if point.name == name:
            return cast("type[Verifier]", point.load())
    raise KeyError(name)
