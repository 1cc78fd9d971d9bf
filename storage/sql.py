"""What every SQL text here is made with: literals, Parquet sources, and DuckDB's errors in the user's terms."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from glob import escape
from pathlib import Path

import duckdb
import pyarrow as pa

from storage.errors import LakeDamaged, StorageError
from storage.wording import first_line

_FULL = tuple(map(os.strerror, (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)))


def literal(text: str | Path) -> str:
    """Return a text as an SQL string literal."""
    return "'" + str(text).replace("'", "''") + "'"


def parquet(source: str | Path, *, filename: bool = False) -> str:
    """Return the table function that reads a file or a pattern.

    Never by Hive's rules: a folder above the lake that is called `model=x` would replace a column.
    """
    return _read(literal(source), filename=filename)


def parquet_in(folder: Path, *, later: str | None = None) -> str:
    """Return what reads a folder's own files, in their order.

    `later` is a column of text that files of an earlier version may not have: it is null then.
    """
    found = parquet_files(sorted(folder.glob("*.parquet")))
    return found if later is None else f"(FROM {found} UNION ALL BY NAME SELECT NULL::VARCHAR AS {later} WHERE FALSE)"


def parquet_files(paths: Sequence[str | Path]) -> str:
    """Return the table function that reads these files, whose names are no patterns, in their order."""
    return _read("[" + ", ".join(map(literal, map(escape, map(str, paths)))) + "]")


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
        raise _told(error, short=isinstance(error, duckdb.OutOfMemoryException)) from error


def streamed(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """Yield a reader's batches; what DuckDB says half-way reaches us through Arrow, as an OSError."""
    try:
        yield from reader
    except OSError as error:
        raise _told(error, short="Out of Memory Error" in str(error)) from error


def _told(error: BaseException, *, short: bool) -> StorageError:
    line = first_line(error)
    if short:
        # Most of what doesn't fit into memory goes to the disk, so either may be short.
        return StorageError(
            f"DuckDB has no room in memory or on disk: {line}; raise STILLHOUSE_DUCKDB_MEMORY (say, 2GB) "
            "or, where the disk is full, make room there, and run again: nothing is bought twice"
        )
    # DuckDB has one class for whatever a file does to it, and the system's own words for a full disk in its text.
    if any(words in line for words in _FULL):
        return StorageError(f"the disk is full: {line}; make room, and run again: nothing is bought twice")
    if os.strerror(errno.EMFILE) in line:
        return StorageError(
            f"too many files are open: {line}; raise the limit (`ulimit -n`), or lower the teachers' limits.concurrency, "
            "and run again: nothing is bought twice"
        )
    return LakeDamaged("the lake", f"can't be read: {line}")
