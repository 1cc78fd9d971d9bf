"""What every SQL text here is made with: literals, Parquet sources, and DuckDB's errors in the user's terms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from storage.errors import StorageError


def literal(text: str | Path) -> str:
    """Return a text as an SQL string literal."""
    return "'" + str(text).replace("'", "''") + "'"


def parquet(source: str | Path, *, filename: bool = False) -> str:
    """Return the table function that reads a file or a pattern.

    Never by Hive's rules: a folder above the lake that is called `model=x` would replace a column.
    """
    return _read(literal(source), filename=filename)


def parquet_in(folder: Path) -> str:
    """Return the table function that reads a folder's own files, in their order."""
    return _read("[" + ", ".join(map(literal, sorted(folder.glob("*.parquet")))) + "]")


def _read(source: str, *, filename: bool = False) -> str:
    named = ", filename=true" if filename else ""
    return f"read_parquet({source}, union_by_name=true, hive_partitioning=false{named})"


@contextmanager
def explained() -> Iterator[None]:
    """Turn what DuckDB says of a file or the disk into a StorageError; a defect in our SQL stays a defect."""
    try:
        yield
    except duckdb.Error as error:
        # A file that isn't Parquet is a plain Error or invalid input; a mistake in our SQL has a class of its own.
        theirs = duckdb.IOException | duckdb.OutOfMemoryException | duckdb.InvalidInputException
        if type(error) is not duckdb.Error and not isinstance(error, theirs):
            raise
        raise StorageError(f"the lake can't be read: {str(error).splitlines()[0]}") from error
