"""Lines `CRC32 JSON`: what is appended to a file while a run buys, each of which tells whether it is whole."""

from __future__ import annotations

import os
import zlib
from typing import Any, BinaryIO

import orjson

HEAD_BYTES = 9
"""Of a line, those before the JSON."""


def pack(value: Any) -> bytes:
    """Return a record as a line. Bytes become lists of numbers. Raise TypeError for what is no record of ours."""
    body = orjson.dumps(value, default=_default)
    return b"%08x %b\n" % (zlib.crc32(body), body)


def _default(value: object) -> object:
    if isinstance(value, bytes):
        return list(value)
    raise TypeError(type(value).__name__)


def unpack(text: bytes) -> Any | None:
    """Return what a whole line says, as JSON has it; None where it isn't as it was written."""
    if not text.endswith(b"\n") or text[8:HEAD_BYTES] != b" ":
        return None
    body = text[HEAD_BYTES:-1]
    if text[:8] != b"%08x" % zlib.crc32(body):
        return None
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:  # a text within a damaged line that has the form of one, checksum and all
        return None


def put(file: BinaryIO, at: int, data: bytes) -> int:
    """Write at a place, over what a refused write may have left there; return the place behind it once all is on disk."""
    file.seek(at)
    file.truncate()
    written = 0
    while written < len(data):
        written += file.write(data[written:]) or 0
    os.fdatasync(file.fileno())
    return at + written
