"""A scorer as a teacher: so it is asked through a desk, with a teacher's limits, retries, circuit breaker and bill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from storage.records import Message
from tasks.score.protocol import Scorer
from tasks.teachers.protocol import Choice, Completion, Request


def request(sample_id: str, messages: Sequence[Message], response: str) -> Request:
    """Return the request to score a response: the conversation with it as the last turn, and no token to generate."""
    turns = (*messages, Message(role="assistant", content=response))
    return Request(prompt_id=sample_id, messages=turns, parameters={"max_tokens": 1})


@dataclass(frozen=True, slots=True)
class ScoringTeacher:
    """Answers the requests that `request` makes: with the response that they end in, and what the model makes of it."""

    scorer: Scorer
    """Who scores."""
    top: int
    """Alternatives at each position."""

    async def complete(self, request: Request) -> Completion:
        """Score the last turn as an answer to those before."""
        *messages, answer = request.messages
        scored = await self.scorer.score(messages, answer.content, self.top)
        usage = {name: getattr(scored, name) for name in ("tokens_in", "tokens_out", "tokens_cached")}
        return Completion(choices=(Choice(response=answer.content, logprobs=scored.logprobs),), **usage)

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
