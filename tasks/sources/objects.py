"""One object of JSON, from its bytes."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import orjson

from storage.errors import SourceError
from tasks.sources.columns import once
from tasks.sources.options import Fields
from tasks.sources.prompts import Row

_LONG = re.compile(rb"\d[\d.]{15}")
"""In an object that may have a number of more digits than a double holds."""
LARGEST = 1 << 30
"""Bytes of an object at most: it is in memory as a whole, several times over."""


def row(data: bytes, fields: Fields, columns: Sequence[str], place: str, *, item: str = "a line") -> Row:
    """Return an object. Raise SourceError where it is none, or nobody can say what is meant. `columns`: those that are read."""
    if len(data) > LARGEST:
        raise SourceError(f"{place}: {item} has {len(data):,} bytes, and may have {LARGEST:,}; is it one row?")
    try:
        data.decode("utf-8")
        found = orjson.loads(data)
        # Of two keys, readers take the last: each that they leave out has two quotes. What else changes their number is
        # looked at as well.
        if b"\\u0022" in data or orjson.dumps(found).count(b'"') != data.count(b'"'):
            _refuse_keys(json.loads(data, object_pairs_hook=_Object), fields, columns, place)
        if _LONG.search(data):
            # orjson makes an inexact float of an integer that has more than 64 bits, and of a decimal that a float can't say.
            found = json.loads(data, parse_float=_exact)
    except UnicodeDecodeError as error:
        raise SourceError(f"{place}: {other_encoding(data, error)}") from error
    except orjson.JSONDecodeError as error:
        hint = ""
        if data.lstrip()[:1] == b"[":
            hint = "; a line must be a JSON object, and this is an array over several: call it .json"
        elif error.msg == "unexpected end of data":
            hint = f"; {item} must be a whole JSON object"
        within = f"line {error.lineno} of it, " if b"\n" in data.rstrip() else ""
        raise SourceError(f"{place}: not JSON: {error.msg} at {within}column {error.colno}{hint}") from error
    except RecursionError as error:
        raise SourceError(f"{place}: nested too deeply") from error
    if not isinstance(found, dict):
        raise SourceError(f"{place}: {item} must be a JSON object, and this is a {type(found).__name__}")
    return found


def _exact(digits: str) -> float | Decimal:
    """Return a decimal as Python's float where that is written as the same number, and else with all of its digits."""
    number, whole = float(digits), Decimal(digits)
    return number if Decimal(repr(number)) == whole else whole


class _Object(dict[str, Any]):
    """An object of JSON that knows its keys, each as often as it stands there."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.names = [name for name, _ in pairs]


def _refuse_keys(found: Any, fields: Fields, columns: Sequence[str], place: str) -> None:
    """Raise SourceError where a column that is read stands several times in a row, or a key in an object in one."""
    if not isinstance(found, _Object):
        return
    once(fields, found.names, place)
    for name in columns:
        if (key := _key_within(found.get(name))) is not None:
            raise SourceError(f"{place}: {name}: an object in it has the key {key!r} several times; leave the one that is meant")


def _key_within(value: Any) -> str | None:
    """Return a key that stands several times in an object, however deep."""
    if isinstance(value, _Object) and len(value) < len(value.names):
        return next(name for at, name in enumerate(value.names) if name in value.names[:at])
    within = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((key for each in within if (key := _key_within(each)) is not None), None)


def other_encoding(data: bytes, error: UnicodeDecodeError) -> str:
    """Return what is said of a text that isn't UTF-8."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "this is UTF-16; save it as UTF-8"
    return f"not UTF-8: byte 0x{data[error.start]:02x} at column {error.start + 1}; save it as UTF-8"
