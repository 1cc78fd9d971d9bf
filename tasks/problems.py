"""What pydantic finds wrong in a part of a spec, as one place and one line."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date

from pydantic import ValidationError

from storage.plugins import meant, nearest

Location = tuple[int | str, ...]
_UNKNOWN = {"extra_forbidden", "unexpected_keyword_argument"}
"""How pydantic calls an unknown key, of a model and of a dataclass."""
_SAID = {
    "model_type": "must be a mapping",
    "dataclass_type": "must be a mapping",
    "dict_type": "must be a mapping",
    "byte_size": "must be a size, as in 500MB",
    "byte_size_unit": "must be a size, as in 500MB",
    "string_type": "must be a text",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
}
"""What a person is told in place of pydantic's words, which name classes."""
_NAME = "letters, digits, dots, dashes and underscores, with a letter or a digit first"
_PATTERNS = {
    r"^[A-Za-z0-9][A-Za-z0-9._-]*$": f"must be {_NAME}",
    r"^[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*$": "must be MODULE:FUNCTION, as in checks:judge",
    r"^[a-z]{2,3}$": "must be a language's code, as in en",
    r"^[A-Z]{2,26}$": "must be letters in capitals, as in ABCD",
    r"^(auto|cpu|mps|cuda(:\d+)?)$": "must be auto, cpu, mps, cuda or cuda:NUMBER",
}
"""What a person is told in place of a regular expression, by the expression."""
_BOUNDS = {"greater_than", "greater_than_equal", "less_than", "less_than_equal"}
_QUOTED = re.compile(r"'([^']*)'")
"""The values of which one is expected, in pydantic's words."""
_SHOULD = re.compile(r"^\w+ should ")
"""With what its sentences begin: Input, String, List, …"""


def problem(error: ValidationError, known: Callable[[Location], Sequence[str]]) -> tuple[Location, str]:
    """Return where a validation failed first and why. `known` names the keys that the mapping at a place may have."""
    # An unknown key is the likeliest slip and often the cause of what else is wrong.
    first = next((each for each in error.errors() if each["type"] in _UNKNOWN), error.errors()[0])
    if first["type"] == "literal_error" and isinstance(first["input"], int | float):
        # Of a number, or `false`, the bounds of the number say more.
        first = next(
            (each for each in error.errors() if each["loc"][:-1] == first["loc"][:-1] and each["type"] in _BOUNDS), first
        )
    location = first["loc"]
    if first["type"] in _UNKNOWN:
        return location, f"unknown key; {nearest(str(location[-1]), known(location[:-1]))}"
    if first["type"] in {"missing", "missing_argument", "missing_keyword_only_argument"}:
        return location, "is missing"
    message = _SAID.get(first["type"]) or _PATTERNS.get(first.get("ctx", {}).get("pattern", ""))
    message = message or _SHOULD.sub("must ", first["msg"].removeprefix("Value error, "))
    said = first["input"]
    shown = str(said).lower() if isinstance(said, bool) else repr(said)
    given = f", and this is {shown}" if isinstance(said, str | int | float | bool) and first["type"] != "value_error" else ""
    if first["type"] == "literal_error" and isinstance(said, str):
        near = meant(said, _QUOTED.findall(str(first.get("ctx", {}).get("expected"))))
        given += f"; {near}" if near else ""
    if first["type"] == "string_type" and isinstance(said, int | float | date):
        given += "; put it in quotes"
    return location, " ".join((message + given).splitlines())


def dotted(location: Location) -> str:
    """Return a place as it is written in messages: `teachers[0].model`."""
    # pydantic names the branch of a union it tried (`tuple[str, ...]`); that is no place in the file.
    named = [part for part in location if isinstance(part, int) or not part.startswith("constrained-")]
    parts = [part for part in named if isinstance(part, int) or part.replace("_", "").replace("-", "").isalnum()]
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")
