"""Words of JSON Schema that the library reads as Python does, and the standard otherwise."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Any, cast

from jsonschema.exceptions import ValidationError  # type: ignore[import-untyped]
from jsonschema.protocols import Validator  # type: ignore[import-untyped]
from jsonschema.validators import extend  # type: ignore[import-untyped]

_TOKEN = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\$", re.DOTALL)
_CLASS = re.compile(r"\\.", re.DOTALL)
_OUTSIDE = {"$": r"\Z"} | {word: f"(?a:{word})" for word in (r"\d", r"\D", r"\w", r"\W", r"\b", r"\B")}
_INSIDE = {r"\d": "0-9", r"\w": "A-Za-z0-9_"}


def standard(kind: Any) -> type[Validator]:
    """Return a draft's validator with these words."""
    return cast("type[Validator]", extend(kind, {"multipleOf": _multiple_of, "pattern": _pattern}))


def _multiple_of(validator: Any, factor: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:  # noqa: ARG001
    """By what is written: 19.99 is 1999 times 0.01, whatever binary fractions make of it."""
    if validator.is_type(instance, "number") and Fraction(str(instance)) % Fraction(str(factor)):
        yield ValidationError(f"{instance!r} is not a multiple of {factor}")


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:  # noqa: ARG001
    if validator.is_type(instance, "string") and not _compiled(pattern).search(instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    r"""Return a pattern as JavaScript means it: `$` is the very end, no line break before it, and `\d` and `\w` are ASCII's."""
    return re.compile(_TOKEN.sub(lambda match: _meant(match[0]), pattern))


def _meant(token: str) -> str:
    if token[0] == "[":
        return _CLASS.sub(lambda match: _INSIDE.get(match[0], match[0]), token)
    return _OUTSIDE.get(token, token)
