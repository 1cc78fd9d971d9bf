"""Reading the body of an answer."""

from __future__ import annotations

import json
from typing import Any

import orjson

from storage.errors import BadResponse

MALFORMED = (orjson.JSONDecodeError, LookupError, TypeError, ValueError, AttributeError, RecursionError)
"""What reading a body raises that isn't as it should be."""


def texts(**given: Any) -> None:
    """Raise TypeError where one of these isn't a text: no table could hold it."""
    for name, value in given.items():
        if not isinstance(value, str):
            raise TypeError(f"{name} is a {type(value).__name__}")


def blocks(given: list[Any]) -> str:
    """Return a provider's reasoning blocks as JSON. In ASCII: what JSON can carry and UTF-8 can't stays escaped."""
    return json.dumps(given, separators=(",", ":"))


def parsed(raw: bytes) -> Any:
    """Return the value of JSON, also where it is no JSON to orjson, yet was paid for. Raise BadResponse where it is none."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        try:
            return json.loads(raw)  # half a surrogate pair, or NaN for a probability
        except (ValueError, RecursionError) as error:
            raise BadResponse(f"not JSON: {type(error).__name__}: {error}") from None
