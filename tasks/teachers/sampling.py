"""What a spec says of sampling: how many samples are asked for, and how."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from tasks.options import Options
from tasks.teachers.options import Name


class AdaptiveOptions(Options):
    """Stop asking for a prompt once it has what it needs."""

    accept: int = Field(ge=1)
    """Accepted samples, for each teacher."""


class ThinkingOptions(Options):
    """How long a model that reasons may do so: one of the two, whichever the provider's API knows."""

    budget_tokens: int | None = Field(default=None, ge=1, lt=2**31)
    """Tokens to reason with at most. They count towards `max_tokens`."""
    effort: Literal["low", "medium", "high"] | None = None
    """How hard to try, where the model itself decides on the tokens."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.budget_tokens is None) == (self.effort is None):
            raise ValueError("needs either `budget_tokens` or `effort`")
        return self


class SamplingOptions(Options):
    """The spec's `sampling`. What is left out is not sent."""

    k: int = Field(default=1, ge=1, le=10_000)
    """Samples for each prompt and teacher."""
    temperature: float | None = Field(default=None, ge=0, le=5)
    """Softmax temperature."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Nucleus."""
    max_tokens: int | None = Field(default=None, ge=1, lt=2**31)
    """Completion tokens, reasoning included."""
    seed: int | None = Field(default=None, ge=0, lt=2**31 - 10_000)
    """The i-th sample of a prompt is asked for with seed + i."""
    stop: list[str] | None = Field(default=None, min_length=1, max_length=16)
    """Texts that end a response."""
    logprobs: int = Field(default=0, ge=0, le=1_000)
    """Alternatives to store for each token, with their probabilities. 0: none, and none for the token either."""
    thinking: ThinkingOptions | None = None
    """How long to reason before the answer."""
    adaptive: AdaptiveOptions | None = None
    """Draw in rounds, and stop early."""
    cascade: tuple[Name, ...] = ()
    """The drawing teachers by name, from cheap to strong: each is asked only for the prompts that those before did not solve."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.adaptive is not None and self.adaptive.accept > self.k:
            raise ValueError(f"adaptive.accept is {self.adaptive.accept}, more than k = {self.k}")
        return self

    @property
    def solved_at(self) -> int:
        """Return how many accepted samples solve a prompt."""
        return self.adaptive.accept if self.adaptive else 1

    @property
    def early(self) -> bool:
        """Return whether verdicts decide what is asked for: a prompt may need fewer samples than the spec wants at most."""
        return self.adaptive is not None or bool(self.cascade)

    def parameters(self) -> dict[str, Any]:
        """Return what is sent, by its name in the OpenAI API where it has one, and what a sample's identity holds of it."""
        sent = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_tokens,
            "seed": self.seed,
            "stop": self.stop,
            "thinking": self.thinking and self.thinking.model_dump(exclude_none=True),
            "logprobs": True if self.logprobs else None,
            "top_logprobs": self.logprobs or None,
        }
        return {name: value for name, value in sent.items() if value is not None}
