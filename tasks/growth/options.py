"""What a spec may say of growing prompts."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from tasks.duplicates.options import NearOptions
from tasks.options import Options
from tasks.teachers.options import Name
from tasks.teachers.sampling import SamplingOptions

Method = Literal["self_instruct", "evolve", "rephrase"]
Operation = Literal["deepen", "constrain", "concretise", "reason", "broaden"]
OPERATIONS: tuple[Operation, ...] = ("deepen", "constrain", "concretise", "reason", "broaden")


class GrownNear(NearOptions):
    """`grow.near`: prompts are short, and so are the n-grams by which they are compared."""

    ngram: int = Field(default=2, ge=1, le=32)
    """Words in an n-gram."""


class GrowOptions(Options):
    """`grow` of an entry of `prompts`: its prompts are seeds, from which a teacher makes others."""

    method: Method
    """self_instruct: new prompts of the kind of some examples. evolve: a prompt changed by one of `operations`. rephrase: the
    same in other words."""
    teacher: Name
    """Who is asked: any of the spec's, one with `draw: false` too."""
    per_seed: int = Field(ge=1, le=1_000)
    """Prompts to ask for from each seed in a round. A larger number pays for what is new alone."""
    per_request: int = Field(default=1, ge=1, le=20)
    """Of these, how many one request asks for. It is part of what is asked: another number pays for all again."""
    rounds: int = Field(default=1, ge=1, le=10)
    """From the second on, the seeds are the prompts that the round before has grown."""
    operations: tuple[Operation, ...] | None = Field(default=None, min_length=1)
    """evolve: which ones are taken in turn. Left out: all five."""
    examples: int | None = Field(default=None, ge=1, le=50)
    """self_instruct: how many prompts a request shows, the seed among them. Left out: 8."""
    temperature: float | None = Field(default=None, ge=0, le=5)
    """As in `sampling`; it is not taken over from there."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Likewise."""
    max_tokens: int | None = Field(default=None, ge=1, lt=2**31)
    """Likewise: of an answer, which holds `per_request` prompts."""
    seed: int | None = Field(default=None, ge=0, lt=2**31 - 10_000)
    """Likewise."""
    near: GrownNear = GrownNear()
    """When a grown prompt is so like a seed or another grown one that it is dropped."""
    keep_seeds: bool = True
    """false: the seeds are no prompts of the dataset themselves."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.per_seed % self.per_request:
            raise ValueError(f"per_seed: {self.per_seed} must be a multiple of per_request, which is {self.per_request}")
        own = {"operations": "evolve", "examples": "self_instruct"}
        for name, method in own.items():
            if getattr(self, name) is not None and self.method != method:
                raise ValueError(f"{name}: only `method: {method}` has any; leave it out")
        if len(set(self.operations or ())) != len(self.operations or ()):
            raise ValueError("operations: one of them stands in it twice")
        return self

    @property
    def requests(self) -> int:
        """How many requests are made of a seed in a round."""
        return self.per_seed // self.per_request

    @property
    def shown(self) -> int:
        """How many prompts a request shows."""
        return (self.examples or 8) if self.method == "self_instruct" else 1

    @property
    def sampling(self) -> SamplingOptions:
        """How the teacher is asked."""
        return SamplingOptions(temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens, seed=self.seed)

    def parameters(self) -> dict[str, Any]:
        """Return what is sent, and what a sample's identity holds of it."""
        return self.sampling.parameters()

    def grown_by(self, operation: str | None) -> str:
        """Return the column `grown_by`."""
        return f"{self.teacher}: {self.method}{f'/{operation}' if operation else ''}"

    def name(self, source: str) -> str:
        """Return what the prompts that are grown from a source have as theirs."""
        return f"{source} ({self.method} by {self.teacher})"
