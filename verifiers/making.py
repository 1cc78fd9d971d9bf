"""From `{use: NAME, …options}` to a verifier, for a spec's list and for the list of a verifier that consists of others."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from storage.plugins import nearest
from verifiers.protocol import Verifier
from verifiers.registry import VERIFIERS


def make(use: str, options: Mapping[str, Any]) -> Verifier:
    """Return the verifier of that name with these options. Raise pydantic's ValidationError, which says where and why."""
    try:
        kind = VERIFIERS.find(use)
    except KeyError:
        raise refusal(("use",), f"unknown verifier {use!r}; {nearest(use, VERIFIERS.names())}") from None
    whole: Any = kind
    if not (dataclasses.is_dataclass(whole) and all(hasattr(whole, name) for name in ("version", "isolated", "limit_s"))):
        raise refusal(("use",), f"{use!r} is no verifier: its class needs the decorator `@verifier` of `verifiers.protocol`")
    try:
        made: Verifier = TypeAdapter(kind).validate_python(options)
    except ValidationError as error:
        known = [field.name for field in dataclasses.fields(whole) if field.init]
        for each in error.errors():
            if each["type"] == "unexpected_keyword_argument" and len(each["loc"]) == 1:
                # The likeliest slip, and often the cause of what else is wrong: `text` is missing where `txt` stands.
                raise refusal(each["loc"], f"unknown key; {nearest(str(each['loc'][0]), known)}") from error
        raise
    for name, given in options.items():
        _check_numbers((name,), given, getattr(made, name, None))
    return made


def _check_numbers(location: tuple[int | str, ...], given: Any, taken: Any) -> None:
    """Refuse what YAML reads as true or false, such as `on`, where a number was wanted: it would be 1 or 0."""
    if isinstance(given, bool) and isinstance(taken, int | float) and not isinstance(taken, bool):
        raise refusal(location, f"must be a number, and this is {str(given).lower()}")
    if isinstance(given, list | tuple) and isinstance(taken, list | tuple):
        for number, (one, other) in enumerate(zip(given, taken, strict=False)):
            _check_numbers((*location, number), one, other)


def refusal(location: tuple[int | str, ...], message: str) -> ValidationError:
    """Return the error of one place, which pydantic puts below the place of whoever raises it."""
    fault = PydanticCustomError("value_error", "{message}", {"message": message})
    return ValidationError.from_exception_data("verifier", [InitErrorDetails(type=fault, loc=location, input=None)])
