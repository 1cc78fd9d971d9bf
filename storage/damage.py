"""What is damaged in a lake: every file of it is read to its end, and nothing is changed.

A disk's doing, mostly: what a killed run leaves is no damage, and is put in order by whoever writes next.
"""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from storage import footers, segments
from storage.errors import LakeDamaged
from storage.lake import Lake, Manifest, read_manifest
from storage.parquet import UNREADABLE, count_rows, read_batches, unreadable
from storage.schemas import EMPTY, LATER, SNAPSHOTS, STORES
from storage.sql import explained, literal
from storage.wording import counted, first_line

BATCH = 256
"""Rows that are read at a time, and so the most that is lost in front of damage."""
COUNTED = {"prompts": "prompts", "outcomes": "requested", "traces": "kept", "grown": "grown_rows"}
"""By table of a snapshot, what a manifest calls the number of its rows."""
Kind = Literal["journal", "part", "table", "index", "build", "export", "catalog", "leftover", "duplicate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that isn't as it should be."""

    kind: Kind
    """What sort of thing."""
    path: Path
    """Where."""
    what: str
    """What was found."""
    remedy: str
    """What a repair does about it."""
    damaged: bool = True
    """False where nothing is lost and nobody is held up."""
    readable: int | None = None
    """Rows that can still be read, of a segment or a part."""
    lost: int | None = None
    """Rows that can't: lines of a segment; of a part, None where its footer is gone and nobody knows."""
    build_id: str | None = None
    """Of a build that can't count any more."""


def examine(lake: Lake) -> list[Finding]:
    """Return what is damaged, and what else a repair would put in order. The caller holds the lock."""
    if not is_lake(lake):
        return []
    parts = [*_parts(lake), *_missing(lake)]
    manifests: dict[Path, Manifest] = {}
    builds = list(_builds(lake, manifests))
    listed = {manifest["build_id"] for manifest in manifests.values()}
    found = [*_tables(lake), *_segments(lake), *parts, *_index(lake), *builds, *_exports(lake), *_catalog(lake, listed)]
    if not any(finding.damaged for finding in builds):
        # Of a build whose manifest is damaged, nobody can tell its snapshots from those of one that never counted.
        found += [
            Finding(kind="leftover", path=path, what="was left by a run that was killed", remedy="is removed", damaged=False)
            for path in lake.leftovers()
        ]
    return [*found, *_duplicates(lake, {finding.path for finding in parts})]


def is_lake(lake: Lake) -> bool:
    """Return whether a folder is a lake, or what is left of one: a repair must not make one of whatever it is pointed at."""
    return any((lake.root / folder).is_dir() for folder in ("journal", "manifests", *STORES))


def salvage(path: Path, why: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield what can be read of a Parquet file, and add what is damaged to `why`.

    Of each row group that is what stands in front of its first damage. Without its footer nothing can be read of a file, unless
    a copy is kept beside it.
    """
    kept, refuted = footers.kept(path), False
    metadata = None if kept is None else kept.metadata
    try:
        refuted = kept is not None and kept.refutes(path)
        metadata = metadata if refuted else pq.read_metadata(path)
    except UNREADABLE as error:
        why.append(_damage(unreadable(path, error)).why)
    for group in range(metadata.num_row_groups if metadata else 0):
        try:
            yield from read_batches(path, rows=BATCH, group=group, metadata=metadata)
        except LakeDamaged as error:
            why.append(error.why)
    if refuted and not why:
        why.append("isn't byte for byte what was written, though all of it can be read")


def stored(lake: Lake, table: str) -> list[Path]:
    """Return the parts of a table that is shared by all builds, or of the indexes."""
    return sorted(path for path in (lake.root / table).glob("**/*.parquet") if path.name != EMPTY and path.is_file())


def _damage(error: Exception) -> LakeDamaged:
    """Return what is damage. Raise what isn't: rights and memory are no reason to put a file aside."""
    if not isinstance(error, LakeDamaged):
        raise error
    return error


def _tables(lake: Lake) -> Iterator[Finding]:
    filled = any(True for table in STORES for _ in stored(lake, table)) or bool(list(lake.root.glob("manifests/builds/*.json")))
    for table in STORES:
        path = lake.root / table / EMPTY
        remedy = "is made anew: nothing was in it"
        if not path.exists():
            if filled and table not in LATER:  # else a run was killed as it made the lake
                yield Finding(kind="table", path=path, what="isn't there, and the lake isn't known as one", remedy=remedy)
            continue
        why: list[str] = []
        for _ in salvage(path, why):
            pass
        if why:
            yield Finding(kind="table", path=path, what=why[0], remedy=remedy)


def _segments(lake: Lake) -> Iterator[Finding]:
    for table, path in ((table, path) for table, folder in lake.segments.items() for path in sorted(folder.glob("*.jsonl"))):
        lost: list[int] = []
        readable = sum(1 for _ in segments.salvage(path, lost))
        if lost:
            yield Finding(
                kind="journal",
                path=path,
                what=f"{_lines(lost)}; {readable:,} {table} can be read",
                remedy="what can be read is landed, the file is put into quarantine",
                readable=readable,
                lost=len(lost),
            )


def _parts(lake: Lake) -> Iterator[Finding]:
    for table in STORES:
        for path in stored(lake, table):
            why: list[str] = []
            readable = sum(batch.num_rows for batch in salvage(path, why))
            segment = lake.segments.get(table, lake.judged) / f"{path.stem}.jsonl"
            from_journal = table in lake.segments and path.parent == lake.root / table and segment.exists()
            if not why:
                # A part that lacks what its segment has was cut short; the segment must not go.
                if from_journal and (wanted := _whole_lines(segment)) > readable:
                    why.append(f"has {readable:,} of the {wanted:,} {table} of its journal segment")
                else:
                    continue
            rows = _footer(path)
            of = "nobody knows of how many" if rows is None else f"of {rows:,}"
            remedy = "landed anew from the journal" if from_journal else "what can be read becomes a new part"
            yield Finding(
                kind="part",
                path=path,
                what=f"{why[0]}; {counted(readable, 'row')} can be read, {of}",
                remedy=f"{remedy}, the file is put into quarantine",
                readable=readable,
                lost=None if rows is None else rows - readable,
            )


def _missing(lake: Lake) -> Iterator[Finding]:
    for path in lake.missing():
        yield Finding(
            kind="part",
            path=path,
            what=gone(path),
            remedy="put it back if there is a copy; else what was kept beside it goes into quarantine, and its rows are given up",
            readable=0,
            lost=footers.rows(path),
        )


def gone(part: Path) -> str:
    """Return what is said of a part that is missing."""
    rows = footers.rows(part)
    held = "rows" if rows is None else counted(rows, "row")
    return f"isn't there any more, and its {held} with it"


def _lines(lost: list[int]) -> str:
    one = len(lost) == 1
    return f"line {lost[0]:,} is damaged" if one else f"{len(lost):,} lines are damaged, the first of them {lost[0]:,}"


def _index(lake: Lake) -> Iterator[Finding]:
    for path in stored(lake, lake.index.name):
        why: list[str] = []
        for _ in salvage(path, why):
            pass
        if why:
            remedy = "is put into quarantine: nothing is lost, a build makes anew what it needs of it"
            yield Finding(kind="index", path=path, what=why[0], remedy=remedy)


def _whole_lines(segment: Path) -> int:
    return sum(1 for _ in segments.salvage(segment, []))


def _footer(path: Path) -> int | None:
    kept = footers.kept(path)
    try:
        return kept.metadata.num_rows if kept else count_rows(path)
    except LakeDamaged:
        return None


def _builds(lake: Lake, manifests: dict[Path, Manifest]) -> Iterator[Finding]:
    """Yield the builds that can't count any more, and add the manifests that can be read to `manifests`."""
    remedy = "the build goes into quarantine and counts no more; its samples stay, and building the spec again buys nothing"
    for path in sorted((lake.root / "manifests" / "builds").glob("*.json")):
        try:
            manifests[path] = manifest = read_manifest(path)
        except LakeDamaged as error:
            yield Finding(kind="build", path=path, what=error.why, remedy=remedy, build_id=path.stem)
            continue
        for place, what in _snapshot(lake, manifest):
            yield Finding(kind="build", path=place, what=what, remedy=remedy, build_id=manifest["build_id"])


def _snapshot(lake: Lake, manifest: Manifest) -> Iterator[tuple[Path, str]]:
    for table in SNAPSHOTS:
        folder = lake.snapshot(table, manifest["dataset"], manifest["build_id"])
        rows, whole = 0, True
        for path in sorted(folder.glob("*.parquet")):
            why: list[str] = []
            rows += sum(batch.num_rows for batch in salvage(path, why))
            if why:
                whole = False
                yield path, why[0]
        wanted = manifest.get(COUNTED[table], rows)
        if whole and rows != wanted:
            yield folder, f"has {rows:,} of the {counted(wanted, 'row')} that its manifest names"


def _exports(lake: Lake) -> Iterator[Finding]:
    for path in sorted((lake.root / "manifests" / "exports").glob("*.json")):
        try:
            read_manifest(path)
        except LakeDamaged as error:
            remedy = "is put into quarantine: the export is listed no more, its shards stay as they are"
            yield Finding(kind="export", path=path, what=error.why, remedy=remedy)


def _catalog(lake: Lake, builds: set[str]) -> Iterator[Finding]:
    path, remedy = lake.catalog, "is made anew"
    if not path.exists():
        if builds:
            yield Finding(kind="catalog", path=path, what="isn't there", remedy=remedy, damaged=False)
        return
    if _written_to(path):
        return  # a shell that may write has it; DuckDB lets nobody else look
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            listed = {row[0] for row in connection.execute("SELECT build_id FROM builds").fetchall()}
    except duckdb.Error as error:
        yield Finding(kind="catalog", path=path, what=f"can't be opened: {first_line(error)}", remedy=remedy)
        return
    if listed != builds:
        what = f"lists {counted(len(listed), 'build')}, and {len(builds):,} are here"
        yield Finding(kind="catalog", path=path, what=what, remedy=remedy, damaged=False)


def _written_to(database: Path) -> bool:
    """Return whether another process has a DuckDB file open for writing."""
    with database.open("rb") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _duplicates(lake: Lake, damaged: set[Path]) -> Iterator[Finding]:
    whole = [path for path in stored(lake, "samples") if path not in damaged]
    if not whole:
        return
    files = ", ".join(map(literal, whole))
    with tempfile.TemporaryDirectory(prefix="stillhouse-doctor-") as folder:
        config: dict[str, Any] = {"temp_directory": folder, "memory_limit": "256MB"}
        with explained(), duckdb.connect(config=config) as connection:
            ((several, rows),) = connection.execute(
                "SELECT count(*), coalesce(sum(n), 0)::BIGINT FROM (SELECT count(*) AS n FROM "
                f"read_parquet([{files}], union_by_name=true, hive_partitioning=false) GROUP BY sample_id HAVING count(*) > 1)"
            ).fetchall()
    if several:
        yield Finding(
            kind="duplicate",
            path=lake.root / "samples",
            what=f"{counted(several, 'sample', 'stands', 'stand')} in {rows:,} rows",
            remedy="stays as it is: one of each counts, whichever it is",
            damaged=False,
        )
