"""Footers of parts, kept beside them: without its footer no Parquet file can be read, and it is the first that a cut takes.

`_NAME.footer` is a line `CRC32 SIZE PART-CRC32`, the first sum being of all behind it, and then the footer as it stands in
`NAME.parquet`.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

P = TypeVar("P", bound=PurePath)
_CHUNK = 2**20
_TAIL = 8
"""Bytes at a Parquet file's end: the length of the footer before them, and PAR1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is known of a part besides the part."""

    size: int
    """Bytes of the part as it was written."""
    checksum: int
    """CRC-32 of them."""
    footer: bytes
    """The last of them."""

    @property
    def metadata(self) -> pq.FileMetaData:
        """The footer, parsed."""
        return pq.read_metadata(pa.BufferReader(self.footer))

    def refutes(self, part: Path) -> bool:
        """Return whether a byte of a part has changed. One of another size was cut, which shows, or made anew by somebody."""
        return part.stat().st_size == self.size and checksum(part) != self.checksum


def beside(part: P) -> P:
    """Return where a part's footer is kept. Whoever reads a whole folder, as Arrow and Spark do, passes over such a name."""
    return part.with_name(f"_{part.stem}.footer")


def part_of(footer: Path) -> Path | None:
    """Return the part that a footer is kept of. None for one without the `_`, of an earlier version: nobody reads that."""
    part = footer.with_name(f"{footer.stem.removeprefix('_')}.parquet")
    return part if footer == beside(part) else None


def is_astray(footer: Path) -> bool:
    """Return whether it is a footer of no part that is there, and is there itself: a writer may just have removed both."""
    part = part_of(footer)
    return part is None or (not part.exists() and footer.exists())


def copy(part: Path, target: Path) -> None:
    """Write what is to be known of a part that has just been written."""
    with part.open("rb") as file:
        size = file.seek(-_TAIL, 2) + _TAIL
        length = int.from_bytes(file.read(4), "little") + _TAIL
        file.seek(-length, 2)
        footer = file.read()
    body = b"%d %08x\n%b" % (size, checksum(part), footer)
    target.write_bytes(b"%08x %b" % (zlib.crc32(body), body))


def kept(part: Path) -> Kept | None:
    """Return what is known of a part, or None where nothing is, or it is damaged itself."""
    try:
        content = beside(part).read_bytes()
    except OSError:
        return None
    if content[:9] != b"%08x " % zlib.crc32(content[9:]):
        return None
    head, _, footer = content[9:].partition(b"\n")
    size, summed = head.split()
    return Kept(size=int(size), checksum=int(summed, 16), footer=footer)


def rows(part: Path) -> int | None:
    """Return how many rows a part has or had, or None where that isn't known."""
    found = kept(part)
    return None if found is None else int(found.metadata.num_rows)


def checksum(part: Path) -> int:
    """Return the CRC-32 of a file."""
    found = 0
    with part.open("rb") as file:
        while chunk := file.read(_CHUNK):
            found = zlib.crc32(chunk, found)
    return found
