"""A teacher that isn't there: it takes its time, refuses and fails as a real one would, and costs nothing.

For rehearsing a spec: how long a build takes under its limits, and what comes of faults. Its answers are words without sense.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from storage.errors import BadResponse, Overloaded, RateLimited, SpecError, Unavailable
from storage.identity import address
from storage.records import Logprobs
from tasks.pace import Pace
from tasks.teachers.options import SimulateOptions, TeacherOptions
from tasks.teachers.plausible import distributions
from tasks.teachers.protocol import CHARS_PER_TOKEN, Choice, Completion, Request

WORDS = ("so", "then", "we", "see", "that", "each", "of", "them", "adds", "one", "more", "to", "what", "was", "there", "before")
FAULTS = ("500", "503", "broken", "empty", "cut", "hang")
HANG_S = 3_600.0


@dataclass(frozen=True, kw_only=True)
class SimulatedTeacher:
    """Answers after a while. The same request gets the same answer, unless it is a fault."""

    behaviour: SimulateOptions
    """How it behaves."""
    _state: _State = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_state", _State(self.behaviour))

    @property
    def identity(self) -> Mapping[str, Any]:
        """What decides its words; how long it takes for them doesn't."""
        return {"tokens": self.behaviour.tokens, "spread": self.behaviour.spread}

    async def complete(self, request: Request) -> Completion:
        """Refuse, fail, or answer after a while."""
        behaviour, state = self.behaviour, self._state
        state.admit()
        whole = [self._words(request, request.sample_index + number) for number in range(request.n)]
        texts = [words[: request.parameters.get("max_tokens")] for words in whole]
        longest = max(len(words) for words in texts)
        fault = state.random.choice(FAULTS) if state.random.random() < behaviour.faults else None
        with state:
            await asyncio.sleep(HANG_S if fault == "hang" else behaviour.latency_s * longest / behaviour.tokens)
        if fault == "500":
            raise Unavailable("500 a simulated fault")
        if fault == "503":
            raise Overloaded("503 a simulated fault")
        if fault == "broken":
            raise BadResponse("a simulated response that isn't JSON")
        if fault == "empty":
            texts = [[] for _ in texts]
        if fault == "cut":
            texts = [words[: len(words) // 2] for words in texts]
        sent = sum(len(message.content) for message in request.messages)
        tokens_in, tokens_out = -(-sent // CHARS_PER_TOKEN), sum(map(len, texts))
        state.tokens.settle(tokens_in + tokens_out, asyncio.get_running_loop().time())
        choices = tuple(
            Choice(
                response=" ".join(words),
                finish_reason="length" if len(words) < len(full) and fault != "empty" else "stop",
                logprobs=self._logprobs(words, request, request.sample_index + number),
            )
            for number, (words, full) in enumerate(zip(texts, whole, strict=True))
        )
        return Completion(choices=choices, tokens_in=tokens_in, tokens_out=tokens_out)

    async def aclose(self) -> None:
        """There is nothing to close."""

    def _words(self, request: Request, index: int) -> list[str]:
        """Return as many words as the answer has tokens."""
        chooser = random.Random(_seed(request, index))  # noqa: S311 - no secret
        behaviour = self.behaviour
        number = max(1, round(behaviour.tokens * chooser.uniform(1 - behaviour.spread, 1 + behaviour.spread)))
        return chooser.choices(WORDS, k=number)

    def _logprobs(self, words: list[str], request: Request, index: int) -> Logprobs | None:
        number = request.parameters.get("top_logprobs")
        return distributions(words, number, seed=int(_seed(request, index), 16)) if number and words else None


def _seed(request: Request, index: int) -> str:
    return address([[message.content for message in request.messages], index])


class _State:
    """What a server would remember; as a context manager, a request that it is working on."""

    def __init__(self, behaviour: SimulateOptions) -> None:
        self.random = random.Random(0)  # noqa: S311 - no secret
        self.busy = 0
        self.requests = Pace(behaviour.requests_per_minute)
        self.tokens = Pace(behaviour.tokens_per_minute)
        self._places = behaviour.concurrency

    def admit(self) -> None:
        """Raise where a server with these limits would refuse a request."""
        now = asyncio.get_running_loop().time()
        if self._places and self.busy >= self._places:
            raise Overloaded("503 simulated: too many requests at a time")
        if self.requests.take(1, now) > 0 or self.tokens.take(0, now) > 0:
            raise RateLimited("429 simulated: too much a minute")

    def __enter__(self) -> None:
        self.busy += 1

    def __exit__(self, *exc: object) -> None:
        self.busy -= 1


def make(options: TeacherOptions, *, api_key: str | None) -> SimulatedTeacher:  # noqa: ARG001 - the protocol's
    """Return the teacher of a spec's options."""
    if options.base_url is not None or options.api_key_env is not None:
        raise SpecError(f"teacher {options.name!r}: provider simulate asks nobody: drop base_url and api_key_env")
    if options.api != "chat":
        raise SpecError(f"teacher {options.name!r}: api: only provider openai has `{options.api}`; leave it out")
    return SimulatedTeacher(behaviour=options.simulate or SimulateOptions())
