"""The base of everything that a spec may say: each step declares its own part beside the code that carries it out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    GetJsonSchemaHandler,
    StringConstraints,
    ValidationInfo,
    field_validator,
)
from pydantic.json_schema import JsonSchemaValue

from tasks.meanings import meanings

NAME_BYTES = 255
"""What a file's name may have at most, as file systems have it."""


class Options(BaseModel):
    """A frozen part of a spec that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse what YAML reads as true or false, such as `on`, where a number is wanted: it would be 1 or 0."""
        if isinstance(value, bool) and _numeric(cls.model_fields[str(info.field_name)].annotation):
            raise ValueError(f"must be a number, and this is {str(value).lower()}")
        return value

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describe each field by the docstring below it, where it has no description."""
        schema = handler(core_schema)
        fields = handler.resolve_ref_schema(schema).get("properties", {})
        for name, text in meanings(cls).items():
            if name in fields:
                fields[name].setdefault("description", text)
        return schema


def _numeric(annotation: Any) -> bool:
    """Return whether a number is meant, and neither true nor false is."""
    parts = get_args(annotation) or (annotation,)
    return any(part in (int, float) for part in parts) and not any(part is bool or False in get_args(part) for part in parts)


def _usable(text: str) -> str:
    if "\0" in text:
        raise ValueError("has a NUL character in it")
    if "://" not in text and any(len(part.encode("utf-8", "surrogatepass")) > NAME_BYTES for part in text.split("/")):
        raise ValueError(f"has a name of more than {NAME_BYTES} bytes in it")
    try:
        Path(text).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{text!r}: {error}") from None
    return text


PathText = Annotated[str, StringConstraints(min_length=1, max_length=1_000), AfterValidator(_usable)]
"""A path as a user writes it."""
