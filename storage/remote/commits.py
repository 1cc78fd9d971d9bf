"""Commits of writers that died: made into segments again, so that recovery is what it is in a folder.

A segment here and its commits there may each have lines that the other lacks: a machine dies between its disk and the store, or
wakes after another has recovered for it. So both are put together, and what is in a part by now is left out.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from glob import escape
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from storage import footers
from storage.disk import sync, write_bytes, writing
from storage.errors import LakeDamaged
from storage.lines import unpack
from storage.parquet import PartWriter, read_batches
from storage.remote.objects import Objects
from storage.schemas import KEYS, TABLES
from storage.sql import explained, parquet
from storage.waste import settle

logger = logging.getLogger(__name__)
_COMMIT = re.compile(r"(?P<folder>.+)/(?P<segment>[^/]+)/commit-\d+")
MEMORY = "256MB"
AT_ONCE = 16
"""Commits that are read at a time."""


def name(segment: str, number: int) -> str:
    """Return where a commit of a segment is put."""
    return f"{segment}/commit-{number:06d}"


def by_segment(paths: Iterable[str]) -> dict[tuple[str, str], list[str]]:
    """Return, by folder and segment, the commits among all objects, in their order."""
    found: dict[tuple[str, str], list[str]] = {}
    for path in sorted(paths):
        if named := _COMMIT.fullmatch(path):
            found.setdefault((named["folder"], named["segment"]), []).append(path)
    return found


def inherit(objects: Objects, root: Path, segments: Mapping[str, Path], paths: Iterable[str], *, waste: Path) -> list[str]:
    """Make segments of all commits, and return the commits, which may go once what the segments become is in the store.

    `segments` has the folder of each table's segments. What their samples carry is taken back in `waste`, of those too that are
    in a part by now. The caller holds the lake.
    """
    commits = by_segment(paths)
    used: list[str] = []
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="commits") as threads:
        for table, folder in segments.items():
            base = folder.relative_to(root).as_posix()
            here = {path.stem for path in folder.glob("*.jsonl")}
            there = {segment: listed for (at, segment), listed in commits.items() if at == base}
            for segment in sorted(here | set(there)):
                path = folder / f"{segment}.jsonl"
                lines = _lines(path)
                seen = set(lines)
                for got in threads.map(objects.get, there.get(segment, ())):
                    lines += [line for line in (got[0] if got else b"").splitlines(keepends=True) if line not in seen]
                settle(segment, lines, waste)
                _write(path, _missing(root, table, lines), part=root / table / f"{segment}.parquet")
                used += there.get(segment, ())
    return used


def _lines(segment: Path) -> list[bytes]:
    """Return a segment's lines, the last whole or left out: a torn one was never counted."""
    if not segment.exists():
        return []
    with writing(segment):
        lines = segment.read_bytes().splitlines(keepends=True)
    if lines and not lines[-1].endswith(b"\n"):
        lines[-1] += b"\n"
        if unpack(lines[-1]) is None:
            del lines[-1]
    return lines


def _write(path: Path, lines: Sequence[bytes], *, part: Path) -> None:
    if not lines:
        path.unlink(missing_ok=True)
        return
    target = path
    if part.exists():  # with other rows
        target = path.with_name(f"{_late(part).stem}.jsonl")
    write_bytes(target, b"".join(lines))
    if target != path:
        with writing(path):
            path.unlink(missing_ok=True)
            sync(path.parent)


def _late(part: Path) -> Path:
    """Return a name that is free, for rows that came after a part of their name was made."""
    number = 0
    while (named := part.with_name(f"{part.stem}.late{number}.parquet")).exists():
        number += 1
    return named


def _missing(root: Path, table: str, lines: list[bytes]) -> list[bytes]:
    """Return the lines that are in no part yet. One that is damaged stays, for recovery to find it."""
    rows = [unpack(line) for line in lines]
    stored = _stored(root, table, [row["sample_id"] for row in rows if row is not None])
    return [line for line, row in zip(lines, rows, strict=True) if row is None or _key(row, table) not in stored]


def merge(root: Path, table: str, part: Path) -> None:
    """Add what a part has that no other has, as a part of another name, and remove it.

    It was written by a run, or a worker, of whose segment another machine has made a part of that name meanwhile.
    """
    target = _late(root / table / part.name)
    with PartWriter(target, TABLES[table], keep_footer=True) as writer:
        for batch in read_batches(part, rows=2_000):
            keys = [_key(row, table) for row in batch.select(list(KEYS[table])).to_pylist()]
            stored = _stored(root, table, [key[0] for key in keys])
            fresh = [key not in stored for key in keys]
            if any(fresh):
                writer.write_batch(batch.filter(pa.array(fresh)))
    with writing(target):
        if not writer.written:
            footers.beside(target).unlink()  # first: a footer without its part is one that was lost
            target.unlink()
        footers.beside(part).unlink(missing_ok=True)
        part.unlink()


def _stored(root: Path, table: str, samples: list[str]) -> set[tuple[Any, ...]]:
    """Return the keys of the rows that parts have of these samples."""
    if not samples or not any((root / table).rglob("*.parquet")):
        return set()
    columns = ", ".join(KEYS[table])
    pattern = f"{escape(str(root / table))}/**/*.parquet"
    query = f"SELECT {columns} FROM {parquet(pattern)} SEMI JOIN wanted USING (sample_id)"
    try:
        with explained(), duckdb.connect(config={"memory_limit": MEMORY, "threads": 2}) as connection:
            connection.register("wanted", pa.table({"sample_id": samples}))
            return set(connection.execute(query).fetchall())
    except LakeDamaged as error:
        # For doctor to mend, and no reason to keep what was bought out of the lake: a row that stands twice does no harm.
        logger.warning("%s", error)
        return set()


def _key(row: Mapping[str, Any], table: str) -> tuple[Any, ...]:
    return tuple(row.get(column) for column in KEYS[table])
