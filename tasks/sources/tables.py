"""Parquet and Arrow: tables, some rows at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from storage.errors import SourceError
from tasks.sources.columns import once
from tasks.sources.file import File
from tasks.sources.options import Fields
from tasks.sources.prompts import Row

ROWS = 1_000
"""Rows that become Python values at a time."""
PAGES = 1 << 20
"""Bytes of a column that are read at a time: without a bound, Arrow reads all of a row group's."""
_MAGIC = b"ARROW1"


def parquet(file: File, fields: Fields) -> Iterator[tuple[str, Row]]:
    """Yield the rows of a Parquet file."""

    def batches() -> Iterator[pa.RecordBatch]:
        with file.open() as stream, pq.ParquetFile(stream, buffer_size=PAGES, pre_buffer=False) as table:
            names = _wanted(fields, table.schema_arrow.names, file)
            yield from table.iter_batches(batch_size=ROWS, columns=names, use_threads=False)

    return _rows(file, batches(), form="Parquet")


def arrow(file: File, fields: Fields) -> Iterator[tuple[str, Row]]:
    """Yield the rows of an Arrow file in either form: a stream, as Hugging Face's `save_to_disk` writes, or a file."""

    def batches() -> Iterator[pa.RecordBatch]:
        with file.open() as stream:
            magic = stream.read(len(_MAGIC))
            stream.seek(0)
            if magic == _MAGIC:
                with pa.ipc.open_file(stream) as table:
                    names = _wanted(fields, table.schema.names, file)
                    yield from (table.get_batch(number).select(names) for number in range(table.num_record_batches))
            else:
                with pa.ipc.open_stream(stream) as table:
                    names = _wanted(fields, table.schema.names, file)
                    yield from (batch.select(names) for batch in table)

    return _rows(file, batches(), form="Arrow")


def short(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows with numbers of single precision as they are written: 0.1, which as Python's float is 0.10000000149011612."""
    for number, column in enumerate(batch.schema):
        if column.type == pa.float32():
            written = batch.column(number).cast(pa.string()).cast(pa.float64())
            batch = batch.set_column(number, column.with_type(pa.float64()), written)
    return batch


def _rows(file: File, batches: Iterable[pa.RecordBatch], *, form: str) -> Iterator[tuple[str, Row]]:
    number = 0
    try:
        for batch in batches:
            for start in range(0, batch.num_rows, ROWS):
                for row in short(batch.slice(start, ROWS)).to_pylist(maps_as_pydicts="strict"):
                    number += 1
                    yield f"{file.name}: row {number}", row
    except pa.ArrowInvalid as error:
        raise SourceError(f"{file.name}: not {form}: {error}") from error
    except KeyError as error:  # an ArrowKeyError too is one
        raise SourceError(f"{file.name}: near row {number + 1}: a map has a key twice") from error
    except (pa.ArrowException, ValueError, OverflowError) as error:
        raise SourceError(f"{file.name}: near row {number + 1}: can't be read as Python values: {error}") from error


def _wanted(fields: Fields, names: Sequence[str], file: File) -> list[str]:
    """Return the columns to read: a file may have others of any type."""
    usual = [] if fields.named or "messages" in names else ["prompt"]
    for name in [*fields.named, *usual]:
        if name not in names:
            raise SourceError(f"{file.name}: no column {name!r}; there are {', '.join(map(repr, names)) or 'none'}")
    read = once(fields, names, file.name)
    return [name for name in names if name in read]
