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

from storage.errors import SpecError
from storage.parquet import PartWriter, count_rows, read_batches, refused, sync, write_text
from tasks.options import Options, PathText

MANIFEST = "manifest.json"
_TURNS = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
MESSAGES = pa.schema(
    [
        ("messages", _TURNS),
        ("reasoning", pa.string()),
        ("prompt_id", pa.string()),
        ("sample_id", pa.string()),
        ("teacher", pa.string()),
        ("model", pa.string()),
        ("license", pa.string()),
    ]
)
"""The conversational form that TRL and Hugging Face's tools read, with where each row comes from."""


class ExportOptions(Options):
    """One entry of the spec's `exports`."""

    format: Literal["messages"] = "messages"
    """messages: the whole conversation, the response as the assistant's turn."""
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
    files = sorted(traces.glob("*.parquet"))
    rows = sum(map(count_rows, files))
    number = max(1, min(options.shards, rows))
    shards = []
    with _replacing(Path(options.to).expanduser().resolve()) as folder:
        source = _rows(files)
        for index in range(number):
            name = f"train-{index:05d}-of-{number:05d}.{options.file}"
            size = rows // number + (index < rows % number)
            with PartWriter(folder / name, MESSAGES) if options.file == "parquet" else _JsonLines(folder / name) as writer:
                for _ in range(size):
                    writer.write(next(source))
            shards.append(_facts(folder / name, size))
        manifest = {"dataset": dataset, "build_id": build_id, "format": options.format, "rows": rows, "shards": shards}
        write_text(folder / MANIFEST, json.dumps(manifest, indent=1) + "\n")
    return manifest


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


def _rows(files: list[Path]) -> Iterator[dict[str, Any]]:
    for file in files:
        for batch in read_batches(file, rows=1_000):
            for trace in batch.to_pylist():
                turns = [*trace["messages"], {"role": "assistant", "content": trace["response"]}]
                yield {"messages": turns} | {name: trace[name] for name in MESSAGES.names[1:]}


def _facts(path: Path, rows: int) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"file": path.name, "rows": rows, "bytes": path.stat().st_size, "sha256": digest}
