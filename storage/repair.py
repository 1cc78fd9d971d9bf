"""Mending a damaged lake: what can be read is kept, what can't is counted, and no damaged file is deleted.

Damaged files go to `quarantine/TIME/`, under the paths that they had. Being killed in the middle does no harm: whatever is read
out of a damaged file is on disk before that file moves, and a second repair adds only what the first had not got to.
"""

from __future__ import annotations

import dataclasses
import glob
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from storage import catalog, footers, segments, waste
from storage.damage import Finding, Kind, examine, is_lake, salvage
from storage.disk import sync, write_text, writing
from storage.errors import StorageError
from storage.lake import Lake
from storage.parquet import STORE_GROUP, UNREADABLE, PartWriter
from storage.schemas import KEYS, SNAPSHOTS, TABLES
from storage.wording import counted

Row = Mapping[str, Any]
REPORT = "repair.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """What a repair did."""

    findings: list[Finding]
    """What was found before it."""
    saved: dict[Path, int] = field(default_factory=dict)
    """By damaged segment or part, the rows that were written anew."""
    moved: dict[Path, Path] = field(default_factory=dict)
    """What went into quarantine, from where to where."""

    def told(self, finding: Finding) -> str:
        """Return in a line what became of a finding."""
        parts = [finding.what]
        if finding.path in self.saved:
            unit = "line" if finding.kind == "journal" else "row"
            lost = "" if finding.lost is None else f", {counted(finding.lost, unit)} lost"
            parts.append(f"{counted(self.saved[finding.path], 'row')} written anew{lost}")
        else:
            parts.append(finding.remedy)
        if finding.path in self.moved:
            parts.append(f"now in {self.moved[finding.path]}")
        return "; ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` prints and the report in the quarantine holds."""
        return {
            "findings": [
                {name: str(value) if isinstance(value, Path) else value for name, value in dataclasses.asdict(finding).items()}
                | {"saved": self.saved.get(finding.path), "moved_to": _text(self.moved.get(finding.path))}
                for finding in self.findings
            ],
            "moved": {str(source): str(target) for source, target in self.moved.items()},
        }


def repair(lake: Lake) -> Repaired:
    """Mend what `examine` finds. Raise StorageError where there is no lake, or another process writes to it."""
    if not is_lake(lake):
        raise StorageError(f"{lake.where}: no lake is there, and so nothing to mend; name it by --lake")
    with lake.alone() as free:
        if not free:
            raise StorageError(f"{lake.where}: a build is writing to it; repair it once that has ended")
        findings = examine(lake)
        if lake.replica is not None and lake.replica.restore({finding.path for finding in findings if finding.damaged}):
            findings = examine(lake)  # what is damaged in the store as well
        done = Repaired(findings=findings)
        _Mending(lake, done).all()
        return done


class _Mending:
    """One repair of one lake."""

    def __init__(self, lake: Lake, done: Repaired) -> None:
        self._lake = lake
        self._done = done
        self._quarantine = lake.quarantine / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"

    def all(self) -> None:
        """Mend every finding, then put in order what a killed writer left, as any writer does."""
        for segment in (each for folder in self._lake.segments.values() for each in sorted(folder.glob("*.jsonl"))):
            waste.settle_segment(segment, self._lake.waste)  # while it is there
        parts = {finding.path for finding in self._of("part")}
        missing = {part for part in parts if not part.exists()}
        self._stores({finding.path for finding in self._of("journal")}, parts - missing)
        for part in sorted(missing):
            self._aside(footers.beside(part))
        for finding in self._of("table"):
            if finding.path.exists():
                self._aside(finding.path)
        for build_id in sorted({str(finding.build_id) for finding in self._of("build")}):
            self._build(build_id)
        for finding in (*self._of("export"), *self._of("index")):
            self._aside(finding.path)
        if self._done.moved:
            write_text(self._quarantine / REPORT, json.dumps(self._done.as_dict(), indent=1, ensure_ascii=False) + "\n")
        self._lake.mend()
        catalog.write(self._lake)

    def _of(self, kind: Kind) -> list[Finding]:
        return [finding for finding in self._done.findings if finding.kind == kind]

    def _stores(self, segments: set[Path], parts: set[Path]) -> None:
        root, folders = self._lake.root, self._lake.segments
        of_segments = {
            root / table / f"{segment.stem}.parquet"
            for table, folder in folders.items()
            for segment in segments
            if segment.parent == folder
        }
        for part in sorted(parts | of_segments):
            table = part.relative_to(root).parts[0]
            beside = folders[table] / f"{part.stem}.jsonl" if part.parent == root / table and table in folders else None
            segment = beside if beside is not None and beside.exists() else None
            saved = _rebuild(part, table, segment, damaged=part in parts)
            self._done.saved.update({path: saved for path in (part, segment) if path in parts | segments})
            # The segment first: while a damaged part is there, whoever is killed here finds it again, and adds nothing twice.
            if segment in segments:
                self._aside(segment)
            elif segment is not None:
                with writing(segment):
                    segment.unlink()
            if part in parts:
                self._aside(part)

    def _build(self, build_id: str) -> None:
        # The manifest last: without it, whoever writes next would take the snapshots for a killed build's, and remove them.
        for table in SNAPSHOTS:
            for folder in sorted((self._lake.root / table).glob(f"dataset=*/build={glob.escape(build_id)}")):
                self._aside(folder)
        self._aside(self._lake.root / "manifests" / "builds" / f"{build_id}.json")

    def _aside(self, path: Path) -> None:
        kept = [footers.beside(path)] if path.suffix == ".parquet" and footers.beside(path).exists() else []
        for each in (path, *kept):
            target = self._quarantine / each.relative_to(self._lake.root)
            with writing(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                each.rename(target)
                sync(target.parent)
                sync(each.parent)
            self._done.moved[each] = target
        for each in (*kept, path):  # who finds a footer there without its part, and nothing in quarantine, takes it for lost
            self._lake.gone(each)


def _rebuild(part: Path, table: str, segment: Path | None, *, damaged: bool) -> int:
    """Write what can be read of a part and of its journal segment as a new part, and return its rows.

    What another part of that name has already, from a repair that was killed, isn't written again.
    """
    siblings = sorted(part.parent.glob(f"{glob.escape(part.stem)}.salvaged*.parquet"))
    seen = {_key(row, table) for path in siblings for row in _rows(path)}
    if not damaged and part.exists():
        seen |= {_key(row, table) for row in _rows(part)}

    def fresh() -> Iterator[Row]:
        sources: list[Iterable[Row]] = [segments.salvage(segment, [])] if segment is not None else []
        if damaged:
            sources.append(_rows(part))
        for source in sources:
            for row in source:
                key = _key(row, table)
                if key not in seen:
                    seen.add(key)
                    yield row

    names = (part.with_name(f"{part.stem}.salvaged{number or ''}.parquet") for number in count())
    target = next(name for name in names if not name.exists())
    rows = fresh()
    first = next(rows, None)
    if first is None:
        return 0
    with PartWriter(target, _schema(part, table), row_group=STORE_GROUP, keep_footer=True) as writer:
        writer.write(first)
        for row in rows:
            writer.write(row)
    return writer.written


def _rows(part: Path) -> Iterator[Row]:
    for batch in salvage(part, []):
        plain = batch.drop_columns(["logprobs"]) if "logprobs" in batch.schema.names else batch
        for number, row in enumerate(plain.to_pylist()):
            if plain is not batch and batch["logprobs"][number].is_valid:
                row["logprobs"] = batch["logprobs"].slice(number, 1)  # an object for each token of a batch would take gigabytes
            yield row


def _key(row: Row, table: str) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in KEYS[table])


def _schema(part: Path, table: str) -> pa.Schema:
    """Return the table's schema and whatever columns a part has besides, from another version."""
    kept = footers.kept(part)
    try:
        theirs = pq.read_schema(part) if kept is None else kept.metadata.schema.to_arrow_schema()
    except UNREADABLE:
        theirs = pa.schema([])
    known = TABLES[table]
    return pa.schema([*known, *(column for column in theirs if column.name not in known.names)])


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
