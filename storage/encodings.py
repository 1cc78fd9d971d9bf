"""How the columns of a Parquet file are encoded, by what is in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

LEVEL = 3
"""Of zstd."""


def encodings(schema: pa.Schema, *, distinct: bool) -> dict[str, Any]:
    """Return what a Parquet writer is to be told. `distinct`: values hardly repeat, so that dictionaries of them are a waste.

    Binary values that hardly repeat are hashes, which zstd takes five times as long to look through for little or nothing.

    Lists of floating-point numbers within a struct are split by byte: their signs and exponents are alike, and zstd makes half as
    much of them as of a dictionary.
    """
    leaves = list(_leaves(schema))
    split = [path for path, kind, listed in leaves if listed and pa.types.is_floating(kind)]
    plain = [path for path, _, _ in leaves if path not in split]
    stored = [path for path, kind, _ in leaves if distinct and pa.types.is_large_binary(kind)]
    packed = {path: "none" if path in stored else "zstd" for path, _, _ in leaves}
    return {
        "use_dictionary": plain if split and not distinct else not distinct,
        "use_byte_stream_split": split,
        "compression": packed if stored else "zstd",
        "compression_level": {path: LEVEL for path, how in packed.items() if how == "zstd"} if stored else LEVEL,
    }


def _leaves(fields: Iterable[pa.Field], path: str = "") -> Iterator[tuple[str, pa.DataType, bool]]:
    """Yield the path of each column of numbers or texts, its type, and whether it is in a list within a struct."""
    for field in fields:
        here, kind = f"{path}{field.name}", field.type
        if pa.types.is_struct(kind):
            yield from _leaves(kind, f"{here}.")
        elif pa.types.is_map(kind):
            yield from _leaves([kind.key_field, kind.item_field], f"{here}.key_value.")
        elif pa.types.is_list(kind):
            listed = bool(path)
            element = kind.value_field.with_name("element")
            for deeper, of, _ in _leaves([element], f"{here}.list."):
                yield deeper, of, listed
        else:
            yield here, kind, False
