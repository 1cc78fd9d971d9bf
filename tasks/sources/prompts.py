"""A row of a source becomes a prompt."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

from storage.errors import SourceError
from storage.identity import prompt_id
from storage.records import Message, Prompt, Role
from tasks.sources.options import Fields, PromptSource

Row = Mapping[str, Any]
ROLES = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A prompt and where it stands."""

    prompt: Prompt
    """The record."""
    place: str
    """`file:line` or `file: row n`, for messages."""
    given: bool
    """Whether the source itself gives the id."""


def found(row: Row, place: str, source: PromptSource, default: str | None) -> Found:
    """Return what a row gives as a prompt. Raise SourceError where it gives none. `default`: the licence of rows without one."""
    fields = source.fields
    license_ = default
    if fields.license is not None:
        license_ = _license(row, fields.license, place) or default
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
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise SourceError(f"{place}: {named or default} must be a text or a number, and this is a {type(value).__name__}")
    if isinstance(value, float | Decimal) and not math.isfinite(value):  # as tables write what is missing
        raise SourceError(
            f"{place}: {named or default} must be a text or a number, and this is {value}; where there is none, write null"
        )
    return str(value)


def _license(row: Row, named: str, place: str) -> str | None:
    value = _column(row, named, "license", place)
    if value is not None and not isinstance(value, str):
        raise SourceError(f"{place}: {named} must be an SPDX expression, and this is a {type(value).__name__}")
    return (value or "").strip() or None


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
        if turn.get("tool_calls") or turn.get("function_call"):
            raise SourceError(f"{place}: message {number} calls tools, which a conversation here can't; leave such rows out")
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
    return _json(value, named or "tests", place, ascii_only=False)


def _json(value: Any, name: str, place: str, *, ascii_only: bool) -> str:
    """Return the JSON of what stands in a column. Raise SourceError where it has none, as a table's dates."""
    if isinstance(value, Decimal):
        return str(value)
    try:
        return json.dumps(value, ensure_ascii=ascii_only, allow_nan=False, default=_digits)
    except (TypeError, ValueError) as error:
        raise SourceError(f"{place}: {name}: can't be written as JSON: {error}") from error


def _digits(value: Any) -> str:
    """Return what stands for a decimal, of which JSON's readers would lose digits."""
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


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
    return {
        str(name): str(text)
        if isinstance(text, str | Decimal)
        else _json(text, f"{named or 'tags'}: {name}", place, ascii_only=True)
        for name, text in value.items()
        if text is not None
    }
