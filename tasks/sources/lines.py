"""JSONL and CSV: texts, line by line."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Sequence

from storage.errors import SourceError
from tasks.sources import objects
from tasks.sources.columns import once, read_of
from tasks.sources.file import File
from tasks.sources.options import Fields
from tasks.sources.prompts import Row


def jsonl(file: File, fields: Fields) -> Iterator[tuple[str, Row]]:
    """Yield the objects of a file that has one a line."""
    columns = sorted(read_of(fields))
    with file.unpacked() as stream:
        for number, line in enumerate(stream, start=1):
            line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line  # noqa: PLW2901
            if not line.strip():
                continue
            place = f"{file.name}:{number}"
            yield place, objects.row(line, fields, columns, place)


def csv_(file: File, fields: Fields) -> Iterator[tuple[str, Row]]:
    """Yield the rows of a file whose first line names the columns, by the comma."""
    return _separated(file, fields, ",")


def tsv(file: File, fields: Fields) -> Iterator[tuple[str, Row]]:
    """Yield the rows of such a file, by the tab."""
    return _separated(file, fields, "\t")


def _separated(file: File, fields: Fields, delimiter: str) -> Iterator[tuple[str, Row]]:
    csv.field_size_limit(2**31 - 1)  # the module's default refuses a prompt of 128 KiB
    with file.unpacked() as stream, io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
        reader = csv.DictReader(text, strict=True, delimiter=delimiter)
        first = True
        while True:
            try:
                if first:
                    _check_head(reader.fieldnames or (), fields, file, delimiter)
                row = next(reader, None)
            except UnicodeDecodeError as error:
                raise SourceError(f"{file.name}:{_not_utf8(file)}") from error
            except csv.Error as error:
                form = "CSV" if delimiter == "," else "TSV"
                place = f"{file.name}:{reader.line_num + 1}"  # where the row begins
                raise SourceError(f"{place}: not {form}: {error}") from error
            if row is None:
                return
            if first:
                once(fields, reader.fieldnames or (), file.name)
                first = False
            place = f"{file.name}:{reader.line_num}"
            if None in row or None in row.values():
                raise SourceError(f"{place}: has another number of cells than the head line's {len(reader.fieldnames or ())}")
            yield place, {name: value or None for name, value in row.items()}


def _check_head(names: Sequence[str], fields: Fields, file: File, delimiter: str) -> None:
    """Raise SourceError where the columns seem to be separated by another character."""
    if len(names) != 1 or names[0] in read_of(fields):
        return
    for other in ";\t|,":
        if other != delimiter and other in names[0]:
            known = {",": "call it .csv", "\t": "call it .tsv"}.get(other, "write commas between them")
            raise SourceError(f"{file.name}: its columns seem to be separated by {other!r}: {known}")


def _not_utf8(file: File) -> str:
    """Return the line and the byte; the CSV reader knows neither, since text is decoded some thousand bytes ahead of it."""
    with file.unpacked() as stream:
        for number, line in enumerate(stream, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return f"{number}: {objects.other_encoding(line, error)}"
    return "1: not UTF-8; save it as such"
