"""Prompt sources: files in, `Prompt` records out, one at a time.

An error names the file and the line (JSONL, CSV) or the row (Parquet), and what is wrong there.
"""

from __future__ import annotations

import codecs
import csv
import glob
import json
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, cast

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, StringConstraints

from storage.errors import SourceError
from storage.identity import prompt_id
from storage.records import Message, Prompt, Role
from tasks.options import Options, PathText

Row = Mapping[str, Any]
Column = Annotated[str, StringConstraints(min_length=1)]
ROLES = ("system", "user", "assistant")
_LONG = re.compile(rb"\d{19}")


class Fields(Options):
    """Which columns of a source hold what. What is left out is the column of that very name, where there is one."""

    id: Column | None = None
    """A unique id."""
    prompt: Column | None = None
    """The user's text."""
    messages: Column | None = None
    """A whole conversation, a list of {role, content}, in place of `prompt`."""
    reference: Column | None = None
    """The right answer."""
    tests: Column | None = None
    """Python source, or a list of {stdin, stdout}."""
    tags: Column | list[Column] | None = None
    """One column that holds a mapping, or the columns that become tags."""


class PromptSource(Options):
    """One entry of the spec's `prompts`."""

    source: PathText
    """A path or a glob of .jsonl, .csv or .parquet files."""
    fields: Fields = Fields()
    """Which columns hold what."""
    license: str | None = None
    """SPDX expression. Without one the licence gate refuses."""
    limit: int | None = Field(default=None, ge=1)
    """At most so many prompts: the first, or with `sample` a random choice's."""
    sample: float | None = Field(default=None, gt=0, le=1)
    """Take a row with this probability, by the spec's seed and the row's number: the choice is stable as a source grows."""
    decontaminate: bool = True
    """Whether the spec's benchmarks are looked for in these prompts, and in the responses to them."""
    generation: int = Field(default=0, ge=0, le=1_000)
    """0: written by people; n: synthetic of n-th order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A prompt and where it stands."""

    prompt: Prompt
    """The record."""
    place: str
    """`file:line` or `file: row n`, for messages."""
    given: bool
    """Whether the source itself gives the id."""


def read_prompts(source: PromptSource, *, license: str, seed: int) -> Iterator[Found]:  # noqa: A002 - SPDX's word
    """Yield the prompts of a source in the order in which they stand. Raise SourceError at the first that is wrong."""
    taken = 0
    number = 0
    for path in _files(source.source):
        for place, row in _rows(path, source.fields):
            number += 1
            if source.sample is not None and random.Random(f"{seed}/{source.source}/{number}").random() >= source.sample:  # noqa: S311
                continue
            yield _prompt(row, place, source, license)
            taken += 1
            if source.limit is not None and taken >= source.limit:
                return
    if not taken:
        raise SourceError(f"{source.source}: no prompts in it")


def _files(pattern: str) -> list[Path]:
    if "://" in pattern:
        raise SourceError(f"{pattern}: a source must be a local file for now; URLs aren't supported yet")
    path = Path(pattern).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        raise SourceError(f"{pattern}: is a folder; name its files, as in {pattern.rstrip('/')}/*.jsonl")
    found = sorted(Path(name) for name in glob.glob(str(path), recursive=True) if Path(name).is_file())  # noqa: PTH207 - absolute or not
    if not found:
        raise SourceError(f"{pattern}: no such file (looked in {Path.cwd()})")
    return found


def _rows(path: Path, fields: Fields) -> Iterator[tuple[str, Row]]:
    readers: dict[str, Callable[[Path], Iterator[tuple[str, Row]]]] = {
        ".jsonl": _jsonl,
        ".ndjson": _jsonl,
        ".csv": _csv,
        ".parquet": partial(_parquet, fields),
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise SourceError(f"{path}: can't read {path.suffix or 'a file without an ending'}; use {', '.join(readers)}")
    try:
        yield from reader(path)
    except OSError as error:
        raise SourceError(f"{path}: can't be read: {error.strerror or error}") from error


def _jsonl(path: Path) -> Iterator[tuple[str, Row]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line  # noqa: PLW2901
            if not line.strip():
                continue
            place = f"{path}:{number}"
            try:
                line.decode("utf-8")
                row = orjson.loads(line)
                if _LONG.search(line):
                    row = json.loads(line)  # orjson makes an inexact float of an integer that has more than 64 bits
            except UnicodeDecodeError as error:
                raise SourceError(f"{place}: not UTF-8: byte 0x{line[error.start]:02x} at column {error.start + 1}") from error
            except orjson.JSONDecodeError as error:
                raise SourceError(f"{place}: not JSON: {error.msg} at column {error.colno}") from error
            except RecursionError as error:
                raise SourceError(f"{place}: nested too deeply") from error
            if not isinstance(row, dict):
                raise SourceError(f"{place}: a line must be a JSON object, and this is a {type(row).__name__}")
            yield place, row


def _csv(path: Path) -> Iterator[tuple[str, Row]]:
    csv.field_size_limit(2**31 - 1)  # the module's default refuses a prompt of 128 KiB
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        while True:
            try:
                row = next(reader, None)
            except UnicodeDecodeError as error:
                raise SourceError(f"{path}:{_not_utf8(path)}") from error
            except csv.Error as error:
                raise SourceError(f"{path}:{reader.line_num + 1}: not CSV: {error}") from error  # where the row begins
            if row is None:
                return
            place = f"{path}:{reader.line_num}"
            if None in row or None in row.values():
                raise SourceError(f"{place}: has another number of cells than the head line's {len(reader.fieldnames or ())}")
            yield place, {name: value or None for name, value in row.items()}


def _not_utf8(path: Path) -> str:
    """Return the line and the byte; the CSV reader knows neither, since text is decoded some thousand bytes ahead of it."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return f"{number}: not UTF-8: byte 0x{line[error.start]:02x} at column {error.start + 1}"
    return "1: not UTF-8"


def _parquet(fields: Fields, path: Path) -> Iterator[tuple[str, Row]]:
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            for batch in file.iter_batches(batch_size=1_000, columns=_wanted(fields, names, path)):
                for row in batch.to_pylist(maps_as_pydicts="lossy"):
                    number += 1
                    yield f"{path}: row {number}", row
    except pa.ArrowInvalid as error:
        raise SourceError(f"{path}: not Parquet: {error}") from error
    except (pa.ArrowException, ValueError, OverflowError) as error:
        raise SourceError(f"{path}: near row {number + 1}: can't be read as Python values: {error}") from error


def _wanted(fields: Fields, names: list[str], path: Path) -> list[str]:
    """Return the columns to read: a file may have others of any type."""
    given = [given for given in (getattr(fields, name) for name in type(fields).model_fields) if given is not None]
    named = [name for each in given for name in (each if isinstance(each, list) else [each])]
    for name in named:
        if name not in names:
            raise SourceError(f"{path}: no column {name!r}; there are {', '.join(map(repr, names)) or 'none'}")
    return [name for name in names if name in {*named, *type(fields).model_fields}]


def _prompt(row: Row, place: str, source: PromptSource, license_: str) -> Found:
    fields = source.fields
    messages = _messages(row, place, fields)
    reference = _text(row, fields.reference, "reference", place)
    tests = _tests(row, fields.tests, place)
    tags = _tags(row, fields.tags, place)
    given = _text(row, fields.id, "id", place)
    if given is not None and not given.strip():
        raise SourceError(f"{place}: the id is empty")
    prompt = Prompt(
        prompt_id=given
        if given is not None
        else prompt_id(messages=messages, reference=reference, tests=tests, tags=tags, license=license_),
        messages=messages,
        prompt=messages[-1].content,
        reference=reference,
        tests=tests,
        tags=tags,
        source=source.source,
        license=license_,
        generation=source.generation,
    )
    return Found(prompt=prompt, place=place, given=given is not None)


def _column(row: Row, named: str | None, default: str, place: str) -> Any:
    if named is None:
        return row.get(default)
    if named not in row:
        raise SourceError(f"{place}: no column {named!r} (for {default}); there are {', '.join(map(repr, row)) or 'none'}")
    return row[named]


def _text(row: Row, named: str | None, default: str, place: str) -> str | None:
    value = _column(row, named, default, place)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SourceError(f"{place}: {named or default} must be a text or a number, and this is a {type(value).__name__}")
    return str(value)


def _messages(row: Row, place: str, fields: Fields) -> tuple[Message, ...]:
    if fields.messages is None and (fields.prompt is not None or row.get("prompt") is not None or "messages" not in row):
        text = _column(row, fields.prompt or "prompt", "prompt", place)
        if not isinstance(text, str) or not text.strip():
            raise SourceError(f"{place}: the prompt ({fields.prompt or 'prompt'!r}) is {'empty' if not text else 'no text'}")
        return (Message(role="user", content=text),)
    turns = _column(row, fields.messages or "messages", "messages", place)
    if not isinstance(turns, list) or not turns:
        raise SourceError(f"{place}: messages must be a list of {{role, content}} that isn't empty")
    made = []
    for number, turn in enumerate(turns, start=1):
        if not isinstance(turn, dict) or turn.get("role") not in ROLES or not isinstance(turn.get("content"), str):
            raise SourceError(f"{place}: message {number} must have a role ({', '.join(ROLES)}) and a text as content")
        made.append(Message(role=cast("Role", turn["role"]), content=turn["content"]))
    if made[-1].role != "user" or not made[-1].content.strip():
        raise SourceError(f"{place}: the last message must be the user's, and not empty")
    return tuple(made)


def _tests(row: Row, named: str | None, place: str) -> str | None:
    value = _column(row, named, "tests", place)
    if value is None or isinstance(value, str):
        return value
    pairs = isinstance(value, list) and all(isinstance(case, dict) and {"stdin", "stdout"} <= case.keys() for case in value)
    if not pairs:
        raise SourceError(f"{place}: {named or 'tests'} must be Python source or a list of {{stdin, stdout}}")
    return json.dumps(value, ensure_ascii=False)


def _tags(row: Row, named: str | list[str] | None, place: str) -> dict[str, str]:
    if isinstance(named, list):
        found = {name: _text(row, name, "tags", place) for name in named}
        return {name: value for name, value in found.items() if value is not None}
    value = _column(row, named, "tags", place)
    if value is None:
        return {}
    if isinstance(value, str) and named is not None:
        return {named: value}
    if not isinstance(value, dict):
        raise SourceError(f"{place}: {named or 'tags'} must be a mapping of names to texts")
    return {str(name): text if isinstance(text, str) else json.dumps(text) for name, text in value.items() if text is not None}
