"""The base of everything that a spec may say: each step declares its own part beside the code that carries it out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, GetJsonSchemaHandler, StringConstraints
from pydantic.json_schema import JsonSchemaValue

from tasks.meanings import meanings


class Options(BaseModel):
    """A frozen part of a spec that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describe each field by the docstring below it, where it has no description."""
        schema = handler(core_schema)
        fields = handler.resolve_ref_schema(schema).get("properties", {})
        for name, text in meanings(cls).items():
            if name in fields:
                fields[name].setdefault("description", text)
        return schema


def _usable(text: str) -> str:
    if "\0" in text:
        raise ValueError("has a NUL character in it")
    try:
        Path(text).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{text!r}: {error}") from None
    return text


PathText = Annotated[str, StringConstraints(min_length=1, max_length=1_000), AfterValidator(_usable)]
"""A path as a user writes it."""
