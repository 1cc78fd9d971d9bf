"""What every reading of JSON here refuses, which Python's own takes: one reader's guess must not decide a verdict."""

from __future__ import annotations

from typing import Any, NoReturn


class NoJson(ValueError):
    """It is no JSON, or two readers of JSON would read it differently."""


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object, for `object_pairs_hook`. Raise NoJson where a key stands twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise NoJson("it names a key twice")
    return found


def no_constant(name: str) -> NoReturn:
    """Refuse NaN and Infinity, for `parse_constant`."""
    raise NoJson(f"{name} is no JSON")
