"""Export: a build's traces as training shards, with a manifest of what is in them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Self

import orjson
import pyarrow as pa
from pydantic import Field

from storage.errors import SpecError, StillhouseError
from storage.parquet import PartWriter, count_rows, read_batches, refused, sync, write_text
from storage.plugins import nearest
from tasks.exporters.protocol import Exporter
from tasks.exporters.registry import EXPORTERS
from tasks.options import Options, PathText

MANIFEST = "manifest.json"


class ExportOptions(Options):
    """One entry of the spec's `exports`."""

    format: str = Field(default="messages", min_length=1)
    """messages: the whole conversation, the response as the assistant's turn; or a plug-in's name."""
    to: PathText
    """A folder. One that holds an earlier export is replaced; any other must be empty."""
    shards: int = Field(default=1, ge=1, le=99_999)
    """Files, whose numbers of rows differ by one at most."""
    file: Literal["parquet", "jsonl"] = "parquet"
    """What a shard is."""


class _JsonLines:
    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def write(self, row: dict[str, Any]) -> None:
        self._file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


def export(traces: Path, options: ExportOptions, *, dataset: str, build_id: str) -> dict[str, Any]:
    """Write the shards of a build's snapshot (`traces`, a folder) and return the manifest. Same snapshot, same bytes."""
    exporter = find(options.format)
    files = sorted(traces.glob("*.parquet"))
    rows = sum(map(count_rows, files)) if exporter.one_to_one else sum(1 for _ in _made(exporter, options.format, files))
    number = max(1, min(options.shards, rows))
    shards = []
    with _replacing(Path(options.to).expanduser().resolve()) as folder:
        source = _made(exporter, options.format, files)
        for index in range(number):
            name = f"train-{index:05d}-of-{number:05d}.{options.file}"
            size = rows // number + (index < rows % number)
            try:
                with (
                    PartWriter(folder / name, exporter.schema)
                    if options.file == "parquet"
                    else _JsonLines(folder / name) as writer
                ):
                    for _ in range(size):
                        writer.write(_next(source, options.format, rows))
            except (pa.ArrowInvalid, pa.ArrowTypeError, orjson.JSONEncodeError) as error:
                raise _broken(options.format, error) from error
            shards.append(_facts(folder / name, size))
        if next(source, None) is not None:
            raise _unsteady(options.format, rows)
        manifest = {"dataset": dataset, "build_id": build_id, "format": options.format, "rows": rows, "shards": shards}
        write_text(folder / MANIFEST, json.dumps(manifest, indent=1) + "\n")
    return manifest


def _writer(path: Path, exporter: Exporter) -> PartWriter | _JsonLines:
    return PartWriter(path, exporter.schema) if path.suffix == ".parquet" else _JsonLines(path)


def find(name: str) -> Exporter:
    """Return the exporter of a form. Raise SpecError where there is none."""
    try:
        kind = EXPORTERS.find(name)
    except KeyError:
        raise SpecError(f"exports: unknown format {name!r}; {nearest(name, EXPORTERS.names())}") from None
    exporter = kind()
    if "license" not in exporter.schema.names:
        raise SpecError(f"exports: the exporter {name!r} has no column `license`, without which nobody may use its rows")
    return exporter


def _made(exporter: Exporter, name: str, files: list[Path]) -> Iterator[dict[str, Any]]:
    """Yield an exporter's rows. Raise SpecError, in one line, where it raises, or a row isn't what its schema says."""
    rows = exporter.rows(_traces(files))
    columns = set(exporter.schema.names)
    while True:
        try:
            row = next(rows, None)
        except StillhouseError:
            raise
        except Exception as error:
            raise _broken(name, error) from error
        if row is None:
            return
        if row.keys() != columns:
            raise _broken(name, f"a row has the columns {sorted(row)}")
        if not row["license"]:
            raise _broken(name, "a row has no license")
        yield row


def _broken(name: str, why: object) -> SpecError:
    what = f"{type(why).__name__}: {why}" if isinstance(why, Exception) else why
    return SpecError(f"exports: the exporter {name!r} is broken: {what}")


def _next(rows: Iterator[dict[str, Any]], name: str, promised: int) -> dict[str, Any]:
    row = next(rows, None)
    if row is None:
        raise _unsteady(name, promised)
    return row


def _unsteady(name: str, promised: int) -> SpecError:
    return SpecError(
        f"exports: the exporter {name!r} promised {promised:,} rows and gave another number; mend it, or its `one_to_one`"
    )


def check_destination(to: str) -> None:
    """Raise SpecError where an export to this folder would be refused, before anything is spent on it."""
    if "://" in to:
        raise SpecError(f"exports: {to}: must be a local folder for now; URLs aren't supported yet")
    target = Path(to).expanduser()
    if target.exists() and not target.is_dir():
        raise SpecError(f"exports: {to}: is a file, and an export is a folder")
    if target.is_dir():
        foreign = {path.name for path in target.iterdir()} - _own(target)
        if foreign:
            raise SpecError(f"exports: {to}: has files that are no export of stillhouse ({min(foreign)}); name another folder")


def _own(target: Path) -> set[str]:
    """Return the files of a folder that an earlier export wrote, by its manifest."""
    try:
        manifest = json.loads((target / MANIFEST).read_text(encoding="utf-8"))
        if {"dataset", "build_id", "rows"} <= manifest.keys():
            return {MANIFEST, *(shard["file"] for shard in manifest["shards"])}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        pass
    return set()


def check_apart(exports: Sequence[ExportOptions], lake: Path) -> None:
    """Raise SpecError where an export and the lake, or two exports, lie in one another: one would replace the other."""
    places = [("the lake", lake.resolve())]
    for number, each in enumerate(exports):
        place = Path(each.to).expanduser().resolve()
        for name, other in places:
            if place.is_relative_to(other) or other.is_relative_to(place):
                raise SpecError(f"exports[{number}].to: {each.to} and {name} ({other}) lie in one another; keep them apart")
        places.append((f"exports[{number}]", place))


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """Give a folder to fill, which takes the place of `target` once it is whole."""
    check_destination(str(target))
    fresh = target.with_name(f".{target.name}.new")
    old = target.with_name(f".{target.name}.old")
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        yield fresh
        sync(fresh)
        shutil.rmtree(old, ignore_errors=True)
        if target.exists():
            target.rename(old)
        try:
            fresh.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise
        sync(target.parent)
    except OSError as error:
        raise refused(target, error) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _traces(files: list[Path]) -> Iterator[dict[str, Any]]:
    for file in files:
        for batch in read_batches(file, rows=1_000):
            yield from batch.to_pylist()


def _facts(path: Path, rows: int) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"file": path.name, "rows": rows, "bytes": path.stat().st_size, "sha256": digest}
