"""The reference of the spec: every key, its type, its default and its meaning, from the models that read it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from flows.spec import Spec
from generate.describing import (
    bounds,
    default_told,
    hints,
    inner_metadata,
    listed,
    models_in,
    prose,
    table,
    told,
)
from tasks.meanings import meanings

HEADER = ("key", "type", "default", "meaning")
INTRODUCTION = """\
# The spec's keys

Every key that a spec may have, made from the models that read it. An unknown key is refused, and so is what breaks a bound that
stands here. [The spec](../spec.md) tells the same in prose, with examples.
"""


def sections(root: type = Spec) -> dict[type, list[str]]:
    """Return where in a spec each model stands, in the order of the spec."""
    found: dict[type, list[str]] = {root: [""]}

    def walk(kind: type, path: str) -> None:
        for name, annotation in _annotations(kind):
            place = f"{path}{name}{'[]' if listed(annotation) else ''}"
            for model in models_in(annotation):
                known = model in found
                found.setdefault(model, []).append(place)
                if not known:
                    walk(model, f"{place}.")

    walk(root, "")
    return found


def _annotations(kind: type) -> Iterator[tuple[str, Any]]:
    if issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            yield name, field.annotation
    else:
        types = hints(kind)
        for field in dataclasses.fields(kind):
            if field.init:
                yield field.name, types[field.name]


def anchor(place: str) -> str:
    """Return a section's anchor."""
    return place.replace("[]", "").replace(".", "-") or "the-spec"


def rows(kind: type, links: dict[type, str]) -> Iterator[tuple[str, str, str, str]]:
    """Yield a table's row for each key of a model or dataclass."""
    described = meanings(kind)
    if issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            limits = bounds(field.metadata) or bounds(inner_metadata(field.annotation))
            required = field.default is PydanticUndefined and field.default_factory is None
            made = field.default_factory() if field.default_factory is not None else field.default  # type: ignore[call-arg]
            default = "required" if required else default_told(made)
            yield f"`{name}`", _type(field.annotation, limits, links), default, described.get(name, "")
        return
    types = hints(kind)
    for each in dataclasses.fields(kind):
        if not each.init:
            continue
        if each.default is not dataclasses.MISSING:
            default = default_told(each.default)
        elif each.default_factory is not dataclasses.MISSING:
            default = default_told(each.default_factory())
        else:
            default = "required"
        kind_ = types[each.name]
        yield f"`{each.name}`", _type(kind_, bounds(inner_metadata(kind_)), links), default, described.get(each.name, "")


def _type(annotation: Any, limits: list[str], links: dict[type, str]) -> str:
    text = told(annotation, links.get)
    return f"{text}; {', '.join(dict.fromkeys(limits))}" if limits else text


def page() -> str:
    """Return the page."""
    found = sections()
    links = {kind: anchor(places[0]) for kind, places in found.items()}
    parts = [INTRODUCTION]
    for kind, places in found.items():
        heading = "The whole" if kind is Spec else f"`{places[0]}`"
        parts.append(f"## {heading} {{: #{links[kind]} }}\n\n{prose(kind.__doc__)}")
        if len(places) > 1:
            others = ", ".join(f"`{place}`" for place in dict.fromkeys(places[1:]) if place != places[0])
            if others:
                parts.append(f"Also at {others}.")
        parts.append(table(HEADER, rows(kind, links)))
    return "\n\n".join(parts) + "\n"
