"""Forms of Prefect's UI, made of the models that a spec is made of."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any

from pydantic import BaseModel, Field, create_model

from tasks.meanings import meanings


def each_left_out(model: type[BaseModel], *, but: Collection[str] = ()) -> type[BaseModel]:
    """Return a model with the same fields, types and bounds, each None where nothing is said, `but` some that must be said.

    A form sends all that it shows. With the model's own defaults in it, nobody could tell what a person said from what was there:
    of a spec's `sampling`, a run whose `k` alone is changed would lose the rest.
    """
    fields: dict[str, Any] = {}
    described = meanings(model)
    for name, field in model.model_fields.items():
        # The bounds within the union: what is left out is checked by none of them.
        kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
        needed = name in but
        default: Any = ... if needed else None
        said = Field(default=default, title=name, description=described.get(name))
        fields[name] = (kind if needed else kind | None, said)
    # The UI shows the name.
    return create_model(model.__name__.removesuffix("Options"), __config__=model.model_config, __doc__=model.__doc__, **fields)
