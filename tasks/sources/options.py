"""What a spec may say of a prompt source."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from tasks.growth.options import GrowOptions
from tasks.options import Options, PathText

Column = Annotated[str, StringConstraints(min_length=1)]
Label = Annotated[str, StringConstraints(min_length=1, max_length=200)]
LAKE = "lake:"
"""How a source begins that is another lake's dataset."""


class Fields(Options):
    """Which columns of a source hold what. What is left out is the column of that very name, where there is one.

    That isn't so for `license`: it is a claim that the gate goes by, so a column counts only where the spec names it.
    """

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
    license: Column | None = None
    """Each row's own SPDX expression. A row without one has the source's `license`, or none."""

    @property
    def named(self) -> list[str]:
        """Return the columns that the spec names."""
        given = [value for name in type(self).model_fields if (value := getattr(self, name)) is not None]
        return [name for each in given for name in (each if isinstance(each, list) else [each])]

    @classmethod
    def usual(cls) -> set[str]:
        """Return the names of the columns that are taken without being named."""
        return set(cls.model_fields) - {"license"}


class PromptSource(Options):
    """One entry of the spec's `prompts`."""

    source: PathText
    """Files, a folder of them, or a Hugging Face dataset's folder, by path, glob or URL; or `lake:PATH#DATASET`."""
    fields: Fields = Fields()
    """Which columns hold what."""
    license: str | None = None
    """SPDX expression. Without one the licence gate refuses, unless each row has its own."""
    attribution: Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True)] | None = None
    """Who is credited for it, where its licence asks for that, as CC-BY does. Left out: `source` itself."""
    split: Label | None = None
    """Of a Hugging Face dataset's folder."""
    config: Label | None = None
    """Of a Hugging Face dataset's folder whose README lists several."""
    take: Literal["traces", "prompts"] | None = None
    """Of a lake's dataset: its traces (the default), whose text is the prompt's unless `fields` names another; or its prompts."""
    build: Label | None = None
    """Of a lake's dataset: the build's id. Left out: the newest."""
    limit: int | None = Field(default=None, ge=1)
    """At most so many prompts: the first, or with `sample` a random choice's."""
    sample: float | None = Field(default=None, gt=0, le=1)
    """Take a row with this probability, by the spec's seed and the row's number: the choice is stable as a source grows."""
    decontaminate: bool = True
    """Whether the spec's benchmarks are looked for in these prompts, and in the responses to them."""
    grow: GrowOptions | None = None
    """Its prompts are seeds, from which a teacher makes others."""
    generation: int = Field(default=0, ge=0, le=1_000)
    """0: written by people; n: synthetic of n-th order. A lake's rows know their own, and get this where it is higher."""

    @property
    def of_lake(self) -> bool:
        """Whether it is another lake's dataset."""
        return self.source.startswith(LAKE)

    @property
    def lake(self) -> tuple[str, str]:
        """Return the path and the dataset of `lake:PATH#DATASET`."""
        path, _, dataset = self.source.removeprefix(LAKE).rpartition("#")
        return path, dataset

    @property
    def licensed_by_row(self) -> bool:
        """Whether rows have licences of their own, so that the source needs none."""
        return self.of_lake or self.fields.license is not None

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        if self.of_lake and not all(self.lake):
            raise ValueError(f"source: {self.source!r} must be lake:PATH#DATASET, as in lake:./lake#arithmetic")
        own = ("split", "config", "license") if self.of_lake else ("take", "build")
        given = [name for name in own if getattr(self, name) is not None]
        if self.of_lake and self.fields.license is not None:
            given.append("fields.license")
        if given and self.of_lake:
            why = "each of its rows has its own licence" if "license" in given[0] else "a build has none"
            raise ValueError(f"{given[0]}: leave it out for a lake's dataset: {why}")
        if given:
            raise ValueError(f"{given[0]}: only a lake's dataset has one, `source: lake:PATH#DATASET`")
        return self
