"""What a spec may say of duplicates, and which of them is kept."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from tasks.duplicates.minhash import Shape, shape
from tasks.options import Options, PathText

ORDER = "returned, score DESC NULLS LAST, length, sample_id, rights, ord, arm, sample_index"
"""The order in which samples are preferred. What came back (`tasks.second_chance`) drops nothing that had stayed, and of prompts
that share a sample the one of the freest licence comes first."""


class NearOptions(Options):
    """The spec's `dedup.near`."""

    threshold: float = Field(default=0.8, ge=0.3, le=1)
    """Two texts are the same where the Jaccard similarity of their sets of n-grams is this or more."""
    ngram: int = Field(default=5, ge=1, le=32)
    """Words in an n-gram."""
    num_perm: int = Field(default=128, ge=16, le=1024)
    """Minima in a signature, at most. More find as many pairs, and compare fewer in vain."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if shape(self.threshold, self.num_perm) is None:
            raise ValueError(f"num_perm: {self.num_perm} are too few for a threshold of {self.threshold:g}; leave it out")
        return self

    @property
    def shape(self) -> Shape:
        """How signatures are cut."""
        found = shape(self.threshold, self.num_perm)
        if found is None:
            raise AssertionError("checked when it was made")
        return found


class SemanticOptions(Options):
    """The spec's `dedup.semantic`."""

    model: PathText
    """A model2vec model: a folder, or an id on the Hub. Needs the extra `semantic`."""
    threshold: float = Field(default=0.95, ge=0.5, le=1)
    """Two responses say the same where the cosine of their embeddings is this or more."""


def _near(value: object) -> object:
    if isinstance(value, bool):
        return NearOptions() if value else None
    if value is None or isinstance(value, dict | NearOptions):
        return value
    meant = f"{{threshold: {value:g}}}" if isinstance(value, int | float) else "true"
    raise ValueError(f"must be `true` or a mapping; did you mean `near: {meant}`?")


def _semantic(value: object) -> object:
    if value is False:
        return None
    if value is None or isinstance(value, dict | SemanticOptions):
        return value
    model = value if isinstance(value, str) else "PATH_OR_ID"
    raise ValueError(f"must name a model: `semantic: {{model: {model}}}`")


def _names(value: object) -> object:
    if isinstance(value, str):
        raise ValueError(f"must be a list of datasets: [{value}]")  # noqa: TRY004 - pydantic takes no other for a user's mistake
    return value


class DedupOptions(Options):
    """The spec's `dedup`."""

    exact: bool = True
    """Drop a text that is another one's but for case, white space and Unicode form. Reasoning is a part of a response."""
    near: Annotated[NearOptions | None, BeforeValidator(_near)] = None
    """Drop a text that shares most of its n-grams of words with another one; `true`: with the defaults."""
    semantic: Annotated[SemanticOptions | None, BeforeValidator(_semantic)] = None
    """Drop a response whose embedding points almost the same way as another one's."""
    by: Literal["response", "prompt", "both"] = "response"
    """response: whatever was asked. prompt: of prompts whose user's text is the same, one keeps its samples. both: only where
    the user's text and the response are the same."""
    within: Literal["dataset", "prompt"] = "dataset"
    """prompt: only samples whose user's text is the very same are compared."""
    against: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_names)] = ()
    """Other datasets of the lake: what the newest build of one has kept is dropped here."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.near is not None and not self.exact:
            raise ValueError("exact: false: what is exactly the same is near, too; leave it out, or leave `near` out")
        if self.by == "prompt" and self.within == "prompt":
            raise ValueError("by: prompt compares prompts, and within: prompt never leaves one; leave one of the two out")
        if self.semantic is not None and self.by == "prompt":
            raise ValueError("semantic compares responses, and by: prompt compares prompts; leave one of the two out")
        if self.against and not self.on:
            raise ValueError("against: nothing is compared, with exact: false and without `near` or `semantic`")
        twice = [name for place, name in enumerate(self.against) if name in self.against[:place]]
        if twice:
            raise ValueError(f"against: {twice[0]!r} stands in it twice")
        return self

    @property
    def on(self) -> bool:
        """Whether anything is dropped."""
        return self.exact or self.near is not None or self.semantic is not None
