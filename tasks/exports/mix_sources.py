"""The sources of a mix: which rows they have, what a row's response is, and which rows are the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, model_validator

from storage.errors import SourceError
from tasks.options import Options, PathText
from tasks.sources import Fields, Found, PromptSource, read_prompts
from tasks.sources.prompts import Row

Column = Annotated[str, StringConstraints(min_length=1)]


class MixFields(Options):
    """Which columns of a source hold what. What is left out is the column of that very name."""

    id: Column | None = None
    """A unique id."""
    prompt: Column | None = None
    """The user's text."""
    messages: Column | None = None
    """The conversation, in place of `prompt`: whole, or up to the user's last turn."""
    response: Column | None = None
    """What the person wrote in answer. Without one it is the conversation's last turn, the assistant's."""


class _Columns(Fields):
    """The columns that are read: one that a prompt source has no name for is among them."""

    response: Column | None = None
    """As in `MixFields`."""


class MixSource(Options):
    """One entry of an export's `mix`."""

    source: PathText
    """As a prompt source's."""
    share: float = Field(gt=0, lt=1)
    """Share of the export's rows that come from it."""
    license: str | None = None
    """SPDX expression. Without one the licence gate refuses."""
    attribution: str | None = Field(default=None, min_length=1)
    """Who is credited for it in NOTICE and the card. Left out: `source`."""
    fields: MixFields = MixFields()
    """Which columns hold what."""

    @model_validator(mode="after")
    def _of_people(self) -> Self:
        if self.source.startswith("lake:"):
            raise ValueError("source: a lake's traces were written by a model; `mix` is for what people wrote")
        return self


def read(options: MixSource, license_: str, seed: int) -> Iterator[Found]:
    """Yield the rows, each with its response as the reference. Raise SourceError at the first that is none."""
    fields = options.fields
    source = PromptSource(source=options.source, license=license_, fields=_Columns(**fields.model_dump()))
    for found in read_prompts(source, license=license_, seed=seed, change=partial(_answered, fields)):
        if not (found.prompt.reference or "").strip():
            raise SourceError(f"{found.place}: has no response in {fields.response or 'response'!r}")
        yield found


def _answered(fields: MixFields, row: Row, place: str) -> Row:
    """Return a row with its response as the reference, taken off a whole conversation where it has no column of its own."""
    if fields.response is not None or "response" in row:
        named = fields.response or "response"
        if named not in row:
            raise SourceError(f"{place}: no column {named!r} (for response); there are {', '.join(map(repr, row)) or 'none'}")
        return {**row, "reference": _plain(row[named], named, place)}
    column = fields.messages or "messages"
    found = row.get(column) if fields.prompt is None else None
    turns = found if isinstance(found, list) else []
    if not turns or not isinstance(turns[-1], dict) or turns[-1].get("role") != "assistant":
        raise SourceError(f"{place}: no column 'response', nor a conversation ({column!r}) that ends with the assistant's turn")
    # Beside a whole conversation a column `prompt` is its first turn.
    answer = _plain(turns[-1].get("content"), f"the last turn of {column}", place)
    return {**row, "prompt": None, column: turns[:-1], "reference": answer}


def _plain(answer: Any, what: str, place: str) -> Any:
    """Return a response. Raise SourceError, which names it and not the reference as which it is read, where it is no text."""
    if isinstance(answer, bool | list | dict):
        raise SourceError(f"{place}: {what} must be a text, and this is a {type(answer).__name__}")
    return answer


def hash_of(found: Found, seed: int) -> int:
    """Return a number for a row's content, by which the seed chooses."""
    prompt = found.prompt
    parts = [str(seed), *(f"{m.role}\0{m.content}" for m in prompt.messages), prompt.reference or ""]
    raw = "\0\0".join(parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest())
