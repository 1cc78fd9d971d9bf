"""JSONL and CSV: texts, line by line."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from storage.errors import SourceError
from tasks.sources.columns import once, read_of
from tasks.sources.file import File
from tasks.sources.options import Fields
from tasks.sources.prompts import Row

_LONG = re.compile(rb"\d{19}")


def jsonl(file: File, fields: Fields) -> Iterator[tuple[str, Row]]:
    """Yield the objects of a file that has one a line."""
    columns = sorted(read_of(fields))
    with file.unpacked() as stream:
        for number, line in enumerate(stream, start=1):
            line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line  # noqa: PLW2901
            if not line.strip():
                continue
            place = f"{file.name}:{number}"
            try:
                line.decode("utf-8")
                row = orjson.loads(line)
                # Of two keys, readers take the last: each that they leave out has two quotes. What else changes their number is
                # looked at as well.
                if b"\\u0022" in line or orjson.dumps(row).count(b'"') != line.count(b'"'):
                    _refuse_keys(json.loads(line, object_pairs_hook=_Object), fields, columns, place)
                if _LONG.search(line):
                    row = json.loads(line)  # orjson makes an inexact float of an integer that has more than 64 bits
            except UnicodeDecodeError as error:
                raise SourceError(f"{place}: {_other_encoding(line, error)}") from error
            except orjson.JSONDecodeError as error:
                array = "; a line must be a JSON object, and this is an array over several" if line.lstrip()[:1] == b"[" else ""
                raise SourceError(f"{place}: not JSON: {error.msg} at column {error.colno}{array}") from error
            except RecursionError as error:
                raise SourceError(f"{place}: nested too deeply") from error
            if not isinstance(row, dict):
                raise SourceError(f"{place}: a line must be a JSON object, and this is a {type(row).__name__}")
            yield place, row


class _Object(dict[str, Any]):
    """An object of JSON that knows its keys, each as often as it stands there."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.names = [name for name, _ in pairs]


def _refuse_keys(row: Any, fields: Fields, columns: Sequence[str], place: str) -> None:
    """Raise SourceError where a column that is read stands several times in a row, or a key in an object in one."""
    if not isinstance(row, _Object):
        return
    once(fields, row.names, place)
    for name in columns:
        if (key := _key_within(row.get(name))) is not None:
            raise SourceError(f"{place}: {name}: an object in it has the key {key!r} several times; leave the one that is meant")


def _key_within(value: Any) -> str | None:
    """Return a key that stands several times in an object, however deep."""
    if isinstance(value, _Object) and len(value) < len(value.names):
        return next(name for at, name in enumerate(value.names) if name in value.names[:at])
    within = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((key for each in within if (key := _key_within(each)) is not None), None)


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
                return f"{number}: {_other_encoding(line, error)}"
    return "1: not UTF-8; save it as such"


def _other_encoding(line: bytes, error: UnicodeDecodeError) -> str:
    if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "this is UTF-16; save it as UTF-8"
    return f"not UTF-8: byte 0x{line[error.start]:02x} at column {error.start + 1}; save it as UTF-8"
