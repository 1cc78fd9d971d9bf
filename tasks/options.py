"""The base of everything that a spec may say: each step declares its own part beside the code that carries it out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints


class Options(BaseModel):
    """A frozen part of a spec that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


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
