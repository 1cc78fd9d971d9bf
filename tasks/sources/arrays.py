"""JSON: one array of objects, read object by object, however long it is. Many a file of that ending has one object a line."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import IO

from storage.errors import SourceError
from tasks.sources import lines, objects
from tasks.sources.columns import read_of
from tasks.sources.file import File
from tasks.sources.options import Fields
from tasks.sources.prompts import Row

_HEAD = 1 << 12
_CHUNK = 1 << 20
"""Bytes that are read at a time, or as many as are held already."""
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|["\[\]{}]', re.DOTALL)
"""A text, or a bracket; a quote alone begins a text that doesn't end in what was read."""
_SPACE = b" \t\r\n"


def json_(file: File, fields: Fields) -> Iterator[tuple[str, Row]]:
    """Yield the objects of a file that is an array of them, or has one a line."""
    with file.unpacked() as stream:
        array = stream.read(_HEAD).removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"[")
    if not array:
        yield from lines.jsonl(file, fields)
        return
    columns = sorted(read_of(fields))
    with file.unpacked() as stream:
        for number, item in enumerate(_items(stream, file.name), start=1):
            place = f"{file.name}: row {number}"
            yield place, objects.row(item, fields, columns, place, item="an array's item")


def _items(stream: IO[bytes], name: str) -> Iterator[bytes]:
    """Yield what stands between the commas of an array, as it is written. Raise SourceError where the array isn't whole."""
    held = _Held(stream)
    held.skip(codecs.BOM_UTF8)
    held.next()  # the array's bracket
    number = 0
    after = held.next(peek=True)
    if after == b"]":
        held.next()
    while after != b"]":
        number += 1
        place = f"{name}: row {number}"
        if (first := held.next(peek=True)) != b"{":
            what = "an array's item must be a JSON object" if first else "not JSON: the file ends in front of it"
            raise SourceError(f"{place}: {what}")
        if (item := held.item()) is None:
            raise SourceError(f"{place}: not JSON: the file ends in it")
        if (after := held.next()) not in {b",", b"]"}:
            raise SourceError(f"{place}: not JSON: neither a comma nor the array's end is behind it")
        yield item
    if held.next():
        raise SourceError(f"{name}: goes on behind its array; write one array, or one object a line")


class _Held:
    """What was read of a stream and isn't used yet."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._bytes = b""
        self._at = 0

    def _more(self) -> bool:
        """Read on, and let go of what is used. Return whether there was more."""
        rest = self._bytes[self._at :]
        self._bytes, self._at = rest + self._stream.read(max(_CHUNK, len(rest))), 0
        return len(self._bytes) > len(rest)

    def skip(self, prefix: bytes) -> None:
        """Pass over what a file may begin with."""
        self._more()
        self._at = len(prefix) if self._bytes.startswith(prefix) else 0

    def next(self, *, peek: bool = False) -> bytes:
        """Return the next byte that is no white space, or nothing at the end."""
        while True:
            while (byte := self._bytes[self._at : self._at + 1]) and byte in _SPACE:
                self._at += 1
            if byte or not self._more():
                self._at += 0 if peek else len(byte)
                return byte

    def item(self) -> bytes | None:
        """Return the object that begins here, None where the stream ends in it."""
        depth = done = 0  # `done`: bytes of it that are looked through
        while True:
            for token in _TOKEN.finditer(self._bytes, self._at + done):
                match token[0]:
                    case b'"':
                        break
                    case b"{" | b"[":
                        depth += 1
                    case b"}" | b"]":
                        depth -= 1
                done = token.end() - self._at
                if depth == 0:
                    self._at += done
                    return self._bytes[self._at - done : self._at]
            else:
                done = len(self._bytes) - self._at
            if not self._more():
                return None
