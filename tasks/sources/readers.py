"""What is in a file of rows, read by its ending."""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator

from storage.errors import SourceError, UserError
from tasks.sources import arrays, lines, tables
from tasks.sources.file import File, missing
from tasks.sources.options import Fields
from tasks.sources.prompts import Row
from tasks.sources.shown import said_of

Reader = Callable[[File, Fields], Iterator[tuple[str, Row]]]
LINES: dict[str, Reader] = {
    ".jsonl": lines.jsonl,
    ".ndjson": lines.jsonl,
    ".json": arrays.json_,
    ".csv": lines.csv_,
    ".tsv": lines.tsv,
}
"""Readers of texts, which may be packed."""
TABLES: dict[str, Reader] = {".parquet": tables.parquet, ".arrow": tables.arrow, ".feather": tables.arrow}
READERS = LINES | TABLES


def readable(file: File) -> bool:
    """Whether a file's name is that of a file of rows."""
    ending, packed = file.endings
    return ending in (LINES if packed else READERS)


def rows(file: File, fields: Fields) -> Iterator[tuple[str, Row]]:
    """Yield a file's rows, each with its place. Raise SourceError where it isn't what its ending says."""
    ending, packed = file.endings
    reader = READERS.get(ending)
    if reader is None:
        raise SourceError(f"{file.name}: can't read {ending or 'a file without an ending'}; use {', '.join(READERS)}")
    if packed and ending in TABLES:
        raise SourceError(f"{file.name}: can't read {ending} that is packed as {packed}: it is packed within; unpack it")
    try:
        yield from reader(file, fields)
    except UserError:
        raise
    except (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError) as error:
        raise SourceError(f"{file.name}: can't be unpacked: {error}") from error
    except FileNotFoundError as error:
        raise missing(file.name, error, url=file.path) from error
    except OSError as error:
        what = "can't be unpacked" if packed and error.errno is None else "can't be read"
        raise SourceError(f"{file.name}: {what}: {error.strerror or said_of(file.path, error)}") from error
    except Exception as error:
        if file.system is None:
            raise
        # Each file system has errors of its own, and not one class for them.
        said = said_of(file.path, error)
        raise SourceError(f"{file.name}: can't be read: {type(error).__name__}: {said}") from error
