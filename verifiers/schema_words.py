"""Words of JSON Schema that the library reads as Python does, and the standard otherwise."""

from __future__ import annotations

import decimal
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, cast

from jsonschema import FormatChecker  # type: ignore[import-untyped]
from jsonschema.exceptions import ValidationError  # type: ignore[import-untyped]
from jsonschema.protocols import Validator  # type: ignore[import-untyped]
from jsonschema.validators import Draft202012Validator, extend  # type: ignore[import-untyped]

from verifiers.ecma_patterns import ERRORS, compiled

_WITHOUT_PATTERNS = Draft202012Validator.VALIDATORS["additionalProperties"]


class Decimal(decimal.Decimal):
    """A number that isn't written as an integer; what is wrong with it shows it as JSON does."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return it as it is written."""
        return str(self)


def formats(kind: Any) -> FormatChecker:
    """Return a draft's checker of formats, to which a pattern is JavaScript's."""
    checker = FormatChecker(())
    checker.checkers = {**kind.FORMAT_CHECKER.checkers, "regex": (_is_pattern, ERRORS)}
    return checker


def _is_pattern(value: object) -> bool:
    return not isinstance(value, str) or compiled(value) is not None


def standard(kind: Any) -> type[Validator]:
    """Return a draft's validator with these words, to which 1.0 is an integer where it is to the draft."""
    known = kind.TYPE_CHECKER
    whole = known.is_type(1.0, "integer")

    def integer(_: object, instance: object) -> bool:
        if not isinstance(instance, Decimal):
            return bool(known.is_type(instance, "integer"))
        return whole and Fraction(instance).denominator == 1

    return cast("type[Validator]", extend(kind, WORDS, type_checker=known.redefine("integer", integer)))


def _multiple_of(validator: Any, factor: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:  # noqa: ARG001
    """By what is written: 19.99 is 1999 times 0.01, whatever binary fractions make of it."""
    if validator.is_type(instance, "number") and Fraction(str(instance)) % Fraction(str(factor)):
        yield ValidationError(f"{instance!r} is not a multiple of {factor}")


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:  # noqa: ARG001
    if validator.is_type(instance, "string") and not compiled(pattern).search(instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:  # noqa: ARG001
    for pattern, below in patterns.items() if validator.is_type(instance, "object") else ():
        for name, value in instance.items():
            if compiled(pattern).search(name):
                yield from validator.descend(value, below, path=name, schema_path=pattern)


def _additional_properties(validator: Any, below: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    if "patternProperties" not in schema:
        yield from _WITHOUT_PATTERNS(validator, below, instance, schema)
        return
    patterns = [compiled(pattern) for pattern in schema["patternProperties"]]
    known = schema.get("properties", {})
    for name in instance:
        if name in known or any(pattern.search(name) for pattern in patterns):
            continue
        if below is False:
            yield ValidationError(f"{name!r} is no property, and matches none of the patterns")
        else:
            yield from validator.descend(instance[name], below, path=name)


WORDS = {
    "multipleOf": _multiple_of,
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
}
