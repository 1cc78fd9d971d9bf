"""How Python's types, bounds, defaults and docstrings read in a table."""

from __future__ import annotations

import collections.abc
import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ByteSize, Tag
from pydantic.fields import FieldInfo

PLAIN = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    bytes: "bytes",
    type(None): "null",
    Any: "anything",
    Path: "path",
    ByteSize: "bytes, as `500MB` or a number",
}
BOUNDS = {"gt": "> {}", "ge": "≥ {}", "lt": "< {}", "le": "≤ {}"}


def models_in(annotation: Any) -> Iterator[type]:
    """Yield the models and dataclasses that a type names, in order."""
    if isinstance(annotation, type) and (issubclass(annotation, BaseModel) or dataclasses.is_dataclass(annotation)):
        yield annotation
    for part in get_args(annotation):
        if not isinstance(part, str | int | FieldInfo):
            yield from models_in(part)


def listed(annotation: Any) -> bool:
    """Whether a type is a list of something, or may be."""
    origin = get_origin(annotation)
    if origin in {tuple, list, collections.abc.Sequence}:
        return True
    return origin in {Union, types.UnionType, Annotated} and any(listed(part) for part in get_args(annotation))


def told(annotation: Any, link: Callable[[type], str | None] = lambda _: None) -> str:  # noqa: PLR0911 - a case a kind of type
    """Return a type in words. `link` says where a model is described, if anywhere."""
    if isinstance(annotation, collections.abc.Hashable) and annotation in PLAIN:
        return PLAIN[annotation]
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return told(parts[0], link)
    if origin is Literal:
        return ", ".join(f"`{value.value if isinstance(value, Enum) else value}`".replace("``", '`""`') for value in parts)
    if origin in {Union, types.UnionType}:
        return " or ".join(dict.fromkeys(told(part, link) for part in parts))
    if origin in {tuple, list, collections.abc.Sequence}:
        if origin is tuple and Ellipsis not in parts:
            return f"list of {len(parts)}: {', '.join(told(part, link) for part in parts)}"
        return f"list of {told(parts[0], link)}"
    if origin in {dict, collections.abc.Mapping}:
        return f"mapping of {told(parts[0], link)} to {told(parts[1], link)}"
    if isinstance(annotation, type) and (target := link(annotation)) is not None:
        return f"[mapping](#{target})"
    return getattr(annotation, "__name__", str(annotation))


def bounds(metadata: Iterable[Any]) -> list[str]:
    """Return what a type's metadata demands of a value."""
    found: list[str] = []
    for each in metadata:
        if isinstance(each, FieldInfo):
            found += bounds(each.metadata)
            continue
        if isinstance(each, Tag):
            continue
        found += [form.format(f"{value:,}") for name, form in BOUNDS.items() if (value := getattr(each, name, None)) is not None]
        least, most = getattr(each, "min_length", None), getattr(each, "max_length", None)
        if least == 1:
            found.append("not empty")
        elif least is not None:
            found.append(f"at least {least:,} long")
        if most is not None:
            found.append(f"at most {most:,} long")
        if (pattern := getattr(each, "pattern", None)) is not None:
            found.append(f"matches `{pattern}`")
    return found


def inner_metadata(annotation: Any) -> list[Any]:
    """Return the metadata of an annotated type, or of the one such type in a union with null."""
    if get_origin(annotation) is Annotated:
        return [*get_args(annotation)[1:], *inner_metadata(get_args(annotation)[0])]
    if get_origin(annotation) in {Union, types.UnionType}:
        parts = [part for part in get_args(annotation) if part is not type(None)]
        return inner_metadata(parts[0]) if len(parts) == 1 else []
    return []


def default_told(value: Any) -> str:  # noqa: PLR0911 - likewise
    """Return a default as YAML would have it."""
    if value is None:
        return ""
    if isinstance(value, BaseModel) or dataclasses.is_dataclass(value):
        return "as below"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple | list | dict | set | frozenset) and not value:
        return "none"
    if isinstance(value, tuple | list):
        return f"`[{', '.join(str(each) for each in value)}]`"
    if isinstance(value, str):
        return f"`{value}`" if value.strip() else f"`{value!r}`"
    return f"`{value:,}`" if isinstance(value, int) else f"`{value}`"


def cell(text: str) -> str:
    """Return a text that may stand in a table's cell."""
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    lines += [f"| {' | '.join(cell(each) for each in row)} |" for row in rows]
    return "\n".join(lines)


def prose(text: str | None) -> str:
    """Return a docstring as a paragraph of Markdown."""
    return inspect.cleandoc(text or "").replace("<", "&lt;")


def hints(kind: type) -> Mapping[str, Any]:
    """Return the fields' types of a dataclass, with what annotates them."""
    return typing.get_type_hints(kind, include_extras=True)
