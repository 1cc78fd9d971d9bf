"""Parquet files that are written whole or not at all, and that say so where they are damaged later."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from storage import footers
from storage.disk import refused, sync
from storage.encodings import encodings
from storage.errors import LakeDamaged, StorageError
from storage.wording import first_line

ROW_GROUP = 10_000
"""Rows: enough for zstd to do well, few enough to hold one in memory."""
STORE_GROUP = 2_000
"""Rows in what costs money to make again: few, since most of a damaged row group is lost, but not fewer, since DuckDB holds what
the footers of all parts say of their row groups in memory."""
GROUP_BYTES = 16 * 2**20
"""Of values that come as Arrow's arrays, in one row group: a response's distributions take hundreds of times its text."""
GROUP_CHARS = 2 * 2**20
"""Of texts in one row group, since whoever reads them holds a row group at a time, some of them in several forms at once."""
_FEW = 500
"""Rows that are read at a time where few of them are wanted."""
UNREADABLE = (OSError, pa.ArrowException, UnicodeDecodeError)
"""What Arrow raises of a file that isn't what was written; the last for the name of a column."""


class PartWriter:
    """Writes one Parquet file under a temporary name and renames it once it is whole and on disk.

    Used as a context manager: on an exception the temporary file is removed and the name stays free. Raise StorageError where
    the disk refuses, and the same again for whatever is written later and on leaving: the file may be torn.
    """

    def __init__(
        self, path: Path, schema: pa.Schema, *, row_group: int = ROW_GROUP, keep_footer: bool = False, distinct: bool = False
    ) -> None:
        """Open the file; `row_group` is the number of rows that are held in memory.

        With `keep_footer` a copy of the file's footer is written beside it, by which it can be read should it lose its end.
        `distinct` says that values hardly repeat, so that dictionaries of them are a waste.
        """
        self._path = path
        self._schema = schema
        self._temporary = path.with_name(f".{path.name}.tmp")
        self._footer = self._temporary.with_suffix(".footer.tmp") if keep_footer else None
        self._row_group = row_group
        self._rows: list[Mapping[str, Any]] = []
        self._large = [column.name for column in schema if pa.types.is_struct(column.type)]
        self._texts = [column.name for column in schema if pa.types.is_string(column.type)]
        self._bytes = self._chars = 0
        self._torn: BaseException | None = None
        self.written = 0
        """Rows so far."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # With checksums, since a flipped bit in a text mostly unpacks to another text, and nobody would know.
            self._writer = pq.ParquetWriter(
                self._temporary,
                schema,
                write_page_checksum=True,
                **encodings(schema, distinct=distinct),
            )
        except OSError as error:
            raise refused(path, error) from error

    def write(self, row: Mapping[str, Any]) -> None:
        """Add a row. Keys that are missing are null; a struct may come as an array of one."""
        self.extend((row,))

    def extend(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows that belong together: the file gets all of them, or is never made."""
        if self._torn is not None:
            raise self._torn
        self._rows += rows
        self.written += len(rows)
        for name in self._large:
            self._bytes += sum(row[name].nbytes for row in rows if isinstance(row.get(name), pa.Array))
        for row in rows:
            self._chars += sum(map(len, filter(None, map(row.get, self._texts))))
            self._chars += sum(len(turn["content"]) for turn in row.get("messages") or ())
        if len(self._rows) >= self._row_group or self._bytes >= GROUP_BYTES or self._chars >= GROUP_CHARS:
            self._flush()

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Add rows that are in Arrow form already: one row group."""
        with self._whole():
            self._writer.write_batch(batch.cast(self._schema) if batch.schema != self._schema else batch)
        self.written += batch.num_rows

    def _flush(self) -> None:
        with self._whole():
            if self._rows:
                columns = [_column([row.get(column.name) for row in self._rows], column.type) for column in self._schema]
                self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._schema))
                self._rows, self._bytes, self._chars = [], 0, 0

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        """Note what breaks a write off, and let nothing follow it."""
        if self._torn is not None:
            raise self._torn
        try:
            yield
        except OSError as error:
            self._torn = refused(self._path, error)
            raise self._torn from error
        except BaseException as error:
            self._torn = error
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self._flush()
                self._writer.close()
                sync(self._temporary)
                if self._footer is not None:
                    footers.copy(self._temporary, self._footer)
                    sync(self._footer)
                self._temporary.rename(self._path)
                sync(self._path.parent)
                if self._footer is not None:  # later: a footer without its part is one that was lost
                    self._footer.rename(footers.beside(self._path))
                    sync(self._path.parent)
        except OSError as problem:
            raise refused(self._path, problem) from problem
        finally:
            with contextlib.suppress(OSError):
                self._writer.close()
            for path in filter(None, (self._temporary, self._footer)):
                path.unlink(missing_ok=True)


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    if not any(isinstance(value, pa.Array) for value in values):
        return pa.array(values, kind)
    null = pa.nulls(1, kind)
    return pa.concat_arrays([null if value is None else value for value in values])


def write_rows(path: Path, schema: pa.Schema, rows: Iterable[Mapping[str, Any]], *, store: bool = False) -> int:
    """Write one file of rows and return their number. `store` is for what costs money to make again."""
    with PartWriter(path, schema, row_group=STORE_GROUP if store else ROW_GROUP, keep_footer=store) as writer:
        for row in rows:
            writer.write(row)
    return writer.written


def write_batches(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    """Write one file of what costs money to make again and is in Arrow form already, a row group each."""
    with PartWriter(path, schema, keep_footer=True) as writer:
        for batch in batches:
            writer.write_batch(batch)


def count_rows(path: Path) -> int:
    """Return the number of rows that a file's footer names. Raise LakeDamaged where it can't be read."""
    try:
        return int(pq.read_metadata(path).num_rows)
    except UNREADABLE as error:
        raise unreadable(path, error) from error


def column_names(path: Path) -> list[str]:
    """Return the names of a file's columns. Raise LakeDamaged where its footer can't be read."""
    try:
        return list(pq.read_schema(path).names)
    except UNREADABLE as error:
        raise unreadable(path, error) from error


def readable(path: Path) -> bool:
    """Return whether a file has a footer, as one that was cut hasn't."""
    try:
        pq.read_metadata(path)
    except UNREADABLE:
        return False
    return True


def read_batches(
    path: Path,
    *,
    rows: int,
    group: int | None = None,
    columns: Sequence[str] | None = None,
    metadata: pq.FileMetaData | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yield a file's rows, or one row group's, so many at a time, checked against their checksums.

    `columns` names those that are wanted. `metadata` goes before the file's own footer. Raise LakeDamaged at the first that can't
    be read.
    """
    try:
        with pq.ParquetFile(path, metadata=metadata, page_checksum_verification=True) as file:
            groups = range(file.metadata.num_row_groups) if group is None else [group]
            for batch in file.iter_batches(batch_size=rows, row_groups=groups, columns=columns, use_threads=False):
                batch.validate(full=True)
                yield batch
    except UNREADABLE as error:
        raise unreadable(path, error) from error


class Some(NamedTuple):
    """Some rows of one row group of a file."""

    path: Path
    metadata: pq.FileMetaData
    group: int
    rows: npt.NDArray[np.int64]
    """Their places in it, in order."""

    def read(self, columns: Sequence[str], *, at_once: int = _FEW) -> pa.Table:
        """Return some columns of them, checked as in `read_batches`; so many rows of the group are held at a time."""
        first, found = 0, []
        # Few at a time, so that one batch after the other takes the same memory, which is still in the cache.
        for batch in read_batches(self.path, rows=at_once, group=self.group, columns=list(columns), metadata=self.metadata):
            begin, end = np.searchsorted(self.rows, (first, first + len(batch)))
            if end > begin:
                found.append(batch.take(pa.array(self.rows[begin:end] - first)))
            first += len(batch)
        return pa.Table.from_batches(found)


def some_rows(path: Path, rows: npt.NDArray[np.int64]) -> Iterator[Some]:
    """Yield by row group those rows of a file whose numbers, in order, these are. Raise LakeDamaged without a footer."""
    try:
        metadata = pq.read_metadata(path)
    except UNREADABLE as error:
        raise unreadable(path, error) from error
    starts = np.cumsum([0, *(metadata.row_group(number).num_rows for number in range(metadata.num_row_groups))])
    places = np.searchsorted(rows, starts)
    for number in np.flatnonzero(np.diff(places)).tolist():
        yield Some(path, metadata, number, rows[places[number] : places[number + 1]] - starts[number])


def unreadable(path: Path, error: BaseException) -> StorageError:
    """Return what to raise where a file of the lake can't be read: damage, unless it is a matter of rights or of memory."""
    said = first_line(error).rstrip(" .:")
    theirs = isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno not in {None, errno.EIO})
    return StorageError(f"{path}: can't be read: {said}") if theirs else LakeDamaged(path, f"can't be read: {said}")
