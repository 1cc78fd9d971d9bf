"""Distributions on their way from a record to the lake and back, a column at a time.

One response has a thousand positions with twenty alternatives each, and an object in memory for each of them would cost more
than all else that is done with it. So a line of the journal has each column as one text, from which Arrow's arrays are made
without a look at what is in them.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa

from storage.records import Logprobs
from storage.schemas import LOGPROBS

_NUMBERS = {
    "ids": "<i4",
    "logprobs": "<f4",
    "counts": "<i2",
    "top_ids": "<i4",
    "top_logprobs": "<f2",
    "rest": "<f4",
}
"""The columns of numbers, as the journal has them.

Alternatives' probabilities have half precision, in a part as well: a hundredth of a nat where they are smallest, which is less
than two servers differ by. They take the most room.
"""
_BYTES = ("tokens", "top_tokens")
POSITION_BYTES = 15
"""That a token takes in a part, without its alternatives (`benchmarks/logprobs.py` measures it)."""
ALTERNATIVE_BYTES = 6
"""That each of them takes, where the server gives bytes and id; a third less where it gives one of the two."""


def token_bytes(alternatives: int) -> int:
    """Return about how many bytes one token's distribution takes in a part."""
    return POSITION_BYTES + ALTERNATIVE_BYTES * alternatives if alternatives else 0


def packed(given: Logprobs) -> dict[str, Any]:
    """Return distributions as the journal's JSON has them: numbers as Base64, tokens as Base64 of all with the size of each."""
    found: dict[str, Any] = {}
    for name, kind in _NUMBERS.items():
        values = getattr(given, name)
        with np.errstate(over="ignore"):  # what is too small for half precision is no probability
            found[name] = None if values is None else b64encode(np.array(values, kind).tobytes()).decode()
    for name in _BYTES:
        tokens: Sequence[bytes] | None = getattr(given, name)
        found[name] = None if tokens is None else [b64encode(b"".join(tokens)).decode(), [*map(len, tokens)]]
    return found


def unpacked(given: Mapping[str, Any]) -> pa.StructArray:
    """Return what `packed` made as an array of one. Raise ValueError, TypeError or KeyError where it isn't that."""
    return pa.StructArray.from_arrays([_listed(column, given[column.name]) for column in LOGPROBS], fields=list(LOGPROBS))


def logprobs_of(given: Any) -> Logprobs:
    """Return the record of a value of `schemas.LOGPROBS`, as Python has it or as an array of one."""
    columns = given[0].as_py() if isinstance(given, pa.StructArray) else given
    lists = ((column.name, columns[column.name]) for column in LOGPROBS)
    found: dict[str, Any] = {name: None if values is None else tuple(values) for name, values in lists}
    return Logprobs(**found)


def _listed(column: pa.Field, given: Any) -> pa.ListArray:
    """Return a column of one row."""
    if given is None:
        return pa.nulls(1, column.type)
    values = _tokens(*given) if column.name in _BYTES else _numbers(given, column)
    return pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)


def _numbers(text: str, column: pa.Field) -> pa.Array:
    values = np.frombuffer(b64decode(text), _NUMBERS[column.name])
    return pa.array(values.astype(column.type.value_type.to_pandas_dtype()))


def _tokens(text: str, sizes: list[int]) -> pa.BinaryArray:
    joined, bounds = b64decode(text), np.fromiter(accumulate(sizes, initial=0), np.int32, len(sizes) + 1)
    if bounds[-1] != len(joined):
        raise ValueError(f"tokens of {bounds[-1]} bytes in {len(joined)}")
    return pa.Array.from_buffers(pa.binary(), len(sizes), [None, pa.py_buffer(bounds), pa.py_buffer(joined)])
