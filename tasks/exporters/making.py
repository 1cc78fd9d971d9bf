"""From an entry of a spec's `exports` to an exporter."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel, TypeAdapter, ValidationError

from storage.errors import SpecError
from storage.plugins import nearest
from tasks.exporters.protocol import Exporter
from tasks.exporters.registry import EXPORTERS
from tasks.problems import Location, dotted, problem


def make(name: str, options: Mapping[str, Any], *, where: str = "exports", beside: Sequence[str] = ()) -> Exporter:
    """Return the exporter of a form with its own options. Raise SpecError, which names `where` and the option.

    `beside`: the keys that every form's entry has, any of which may be what an unknown option was meant to be.

    Nothing is read but the options: whether a tokenizer is there, say, is what the exporter's `ready` finds out.
    """
    try:
        kind: Any = EXPORTERS.find(name)
    except KeyError:
        raise SpecError(f"{where}: unknown format {name!r}; {nearest(name, EXPORTERS.names())}") from None
    described = hasattr(kind, "__dataclass_fields__")
    known = [field.name for field in dataclasses.fields(kind) if field.init] if described else []
    for option in options:
        if option not in known:
            possible = [*beside, *known]
            told = nearest(option, possible) if possible else f"the format {name!r} takes no options of its own"
            raise SpecError(f"{where}.{option}: unknown key; {told}")
    try:
        made = TypeAdapter(kind).validate_python(dict(options)) if described else kind()
    except ValidationError as error:
        location, message = problem(error, lambda at: _within(kind, at) if at else known)
        raise SpecError(f"{'.'.join(filter(None, (where, dotted(location))))}: {message}") from error
    if not isinstance(made, Exporter):
        raise SpecError(f"{where}: {name!r} is no exporter: it needs `schema`, `one_to_one` and `rows`")
    if "license" not in made.schema.names:
        raise SpecError(f"{where}: the exporter {name!r} has no column `license`, without which nobody may use its rows")
    return made


def _within(kind: type, location: Location) -> list[str]:
    """Return the keys of an option that is a mapping."""
    hint = get_type_hints(kind).get(str(location[0]))
    models = (part for part in (hint, *get_args(hint)) if isinstance(part, type) and issubclass(part, BaseModel))
    return [name for model in models for name in model.model_fields]
