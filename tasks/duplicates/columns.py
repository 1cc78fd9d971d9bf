"""Columns of a query, in SQL."""

from __future__ import annotations

from collections.abc import Mapping


def halves(number: str, name: str) -> dict[str, str]:
    """Return both halves of a number of 128 bits in SQL, by the columns' names."""
    return {f"{name}_high": f"({number} >> 64)::UBIGINT", f"{name}_low": f"({number} & {2**64 - 1})::UBIGINT"}


def named(wanted: Mapping[str, str]) -> str:
    """Return columns in SQL by their names."""
    return ", ".join(f"{what} AS {name}" for name, what in wanted.items())
