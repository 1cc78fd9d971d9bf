"""A scorer as a teacher: so it is asked through a desk, with a teacher's limits, retries, circuit breaker and bill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from storage.records import Message
from tasks.score.answers import Answer
from tasks.score.protocol import Scorer
from tasks.teachers.protocol import Choice, Completion, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringRequest(Request):
    """A request to score an answer: the conversation with it as the last turn, and no token to generate."""

    answer: Answer
    """The last turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredChoice(Choice):
    """An answer with what the model makes of it."""

    ended: bool
    """As `Scored` has it."""


def request(sample_id: str, messages: Sequence[Message], answer: Answer) -> ScoringRequest:
    """Return the request to score an answer to messages."""
    turns = (*messages, Message(role="assistant", content=answer.text))
    return ScoringRequest(prompt_id=sample_id, messages=turns, parameters={"max_tokens": 1}, answer=answer)


@dataclass(frozen=True, slots=True)
class ScoringTeacher:
    """Answers the requests that `request` makes: with the answer that they end in, and what the model makes of it."""

    scorer: Scorer
    """Who scores."""
    top: int
    """Alternatives at each position."""

    async def complete(self, request: Request) -> Completion:
        """Score the last turn as an answer to those before."""
        if not isinstance(request, ScoringRequest):
            raise TypeError("a scorer answers nothing but what `request` makes")
        answer = request.answer
        scored = await self.scorer.score(request.messages[:-1], answer, self.top)
        usage = {name: getattr(scored, name) for name in ("tokens_in", "tokens_out", "tokens_cached")}
        choice = ScoredChoice(response=answer.response, logprobs=scored.logprobs, ended=scored.ended)
        return Completion(choices=(choice,), revision=scored.revision, **usage)

    async def aclose(self) -> None:
        """Close the scorer."""
        await self.scorer.aclose()

    @property
    def identity(self) -> Mapping[str, Any]:
        """The scorer's."""
        return self.scorer.identity

    @property
    def capacity(self) -> int:
        """Return how many requests the scorer serves well; where it doesn't say, as many as a server is tried with first."""
        return getattr(self.scorer, "capacity", 0)
