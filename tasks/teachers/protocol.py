"""What a teacher is: one coroutine, `complete`. Limits, retries, the journal and the clock are outside it."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeAlias, runtime_checkable

from storage.errors import BadResponse, RequestRejected, Unavailable
from storage.records import Logprobs, Message
from tasks.teachers.headers import Allowance

CHARS_PER_TOKEN = 4
"""A rule of thumb for English, where nobody counts."""
OUT_UNKNOWN = 512
"""Completion tokens to reckon with where the spec sets no `max_tokens`, until responses have come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, for one sample or several."""

    prompt_id: str
    """Whose prompt it is."""
    messages: tuple[Message, ...]
    """What is sent."""
    parameters: Mapping[str, Any]
    """Sampling parameters by their OpenAI names, and `thinking` as the spec has it; `seed` is this request's own."""
    sample_index: int = 0
    """The first sample's."""
    n: int = 1
    """Samples asked for."""
    key: str = ""
    """`storage.identity.request_key`, where samples are drawn; a judge's request has none."""

    @property
    def about_in(self) -> int:
        """Prompt tokens, by a rule of thumb."""
        return sum(len(message.content) for message in self.messages) // CHARS_PER_TOKEN

    @property
    def most_out(self) -> int:
        """Completion tokens that each sample may have."""
        return int(self.parameters.get("max_tokens") or OUT_UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One sample of a response."""

    response: str
    """The answer."""
    reasoning: str | None = None
    """The chain of thought, apart from the answer."""
    finish_reason: str = "stop"
    """OpenAI's words where they fit: stop, length (cut off), refusal, content_filter; else as the server says."""
    logprobs: Logprobs | None = None
    """What its tokens were drawn from, where asked for."""
    reasoning_blocks: str | None = None
    """JSON of the provider's own reasoning blocks, with what it signs them with, where it gives any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What is billed."""

    tokens_in: int = 0
    """Prompt tokens."""
    tokens_out: int = 0
    """Completion tokens, of all choices, reasoning included."""
    tokens_reasoning: int = 0
    """Of `tokens_out`, reasoning."""
    tokens_cached: int = 0
    """Of `tokens_in`, those that were read from the provider's prompt cache."""
    tokens_cache_written: int = 0
    """Of `tokens_in`, those that were written to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion(Usage):
    """A whole response, with its usage."""

    choices: tuple[Choice, ...]
    """1 … n samples: some servers give fewer than were asked for."""
    allowance: Allowance | None = None
    """What the response says of the account's limits."""
    revision: str | None = None
    """Which revision of the model answered, as `storage.records.Sample.revision` has it."""


NOTHING = Usage()
"""Where nobody says what is billed."""


class BrokenOff(Unavailable):
    """A server gave up its response in the middle: it is no sample, but `usage` is what may be billed for it."""

    def __init__(self, message: str, *, usage: Usage = NOTHING) -> None:
        super().__init__(message)
        self.usage = usage


class Malformed(BadResponse):
    """A server answered with something that is no response, and says that it bills `usage` for it."""

    def __init__(self, message: str, *, usage: Usage = NOTHING) -> None:
        super().__init__(message)
        self.usage = usage


class NoChoices(Malformed):
    """There is no choice at all in it: some servers answer so where they refuse a prompt."""


class RejectedMidway(RequestRejected):
    """A server refused a request when it had begun its response, and says that it bills `usage` for that."""

    def __init__(self, message: str, *, usage: Usage = NOTHING) -> None:
        super().__init__(message)
        self.usage = usage


InVain: TypeAlias = BrokenOff | Malformed | RejectedMidway
"""What is no sample, and billed all the same."""


@dataclass(slots=True, eq=False)
class Flight:
    """One request that is under way."""

    sent: bool = True
    """Whether it may have reached anybody. A teacher that knows better says so while it has no connection."""


FLIGHT: ContextVar[Flight] = ContextVar("flight")
"""The request that is being sent, for the teacher that does."""


class Teacher(Protocol):
    """A frozen dataclass that knows one wire format."""

    async def complete(self, request: Request) -> Completion:
        """Send one request and return its response. Raise TeacherError, or SetupError where no request can succeed."""
        ...

    async def aclose(self) -> None:
        """Let go of connections and processes."""
        ...

    @property
    def identity(self) -> Mapping[str, Any]:
        """What decides the answer beside provider, model, messages and parameters."""
        ...


@runtime_checkable
class Recorded(Protocol):
    """A teacher that has answers to what it was asked once: whether it answers something else tells nothing."""

    recorded: ClassVar[bool]
    """It is there."""


@runtime_checkable
class Personal(Protocol):
    """A teacher that has answers under some prompts' ids, so that two of these which say the same may get different ones."""

    def answers_by_id(self, prompt_id: str) -> str | None:
        """Return the digest of its answers to a prompt, where it answers that by its id."""
        ...


@runtime_checkable
class Particular(Protocol):
    """A teacher whose API can't say everything that a spec's `sampling` may."""

    def check(self, parameters: Mapping[str, Any]) -> None:
        """Raise SpecError, with a text that begins with the key, where drawing with these parameters makes no sense."""
        ...
