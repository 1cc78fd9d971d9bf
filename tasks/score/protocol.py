"""What a scorer is: one coroutine, `score`. Limits, retries, the journal and the clock are outside it, as a teacher's are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from storage.records import Logprobs, Message
from tasks.score.answers import Answer
from tasks.teachers.options import TeacherOptions
from tasks.teachers.protocol import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored(Usage):
    """What came of scoring one response, with its usage."""

    logprobs: Logprobs
    """A position for each of the answer's tokens, as the scorer's own tokenizer has them, and where `ended` one more."""
    ended: bool
    """Whether the last position is the token with which the model ends its turn; false where nobody says which that is."""
    revision: str | None = None
    """Which revision of the model says so, as `storage.records.Sample.revision` has it."""


class Scorer(Protocol):
    """Knows one way to a model's distributions over a text that it didn't write (teacher forcing)."""

    async def score(self, messages: Sequence[Message], answer: Answer, top: int) -> Scored:
        """Return the distributions at an answer's tokens, with the `top` most probable alternatives at each.

        The answer stands where the model itself would answer the messages: behind its chat template's generation prompt. Raise
        TeacherError, or SetupError where no response can be scored.
        """
        ...

    async def aclose(self) -> None:
        """Let go of connections, processes and memory."""
        ...

    @property
    def identity(self) -> Mapping[str, Any]:
        """What decides the score beside provider, model, messages, answer and `top`."""
        ...


class ScorerMaker(Protocol):
    """Makes a scorer of a teacher's options. Connections, processes and weights wait for the first response."""

    def __call__(self, options: TeacherOptions, *, api_key: str | None) -> Scorer:
        """Return the scorer. Raise SpecError where an option makes no sense for it."""
        ...
