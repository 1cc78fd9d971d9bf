"""What a teacher is that answers many requests at once, hours later and at a lower price.

Waiting, asking again and remembering are outside it (`tasks.batches.batch`), as limits and retries are outside of `Teacher`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from storage.errors import StillhouseError
from tasks.teachers.protocol import Completion, Request

SLACK_S = 86_400.0
"""By how much a provider's clock may differ from ours: one that takes local time for UTC is half a day off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchState:
    """What a provider says of a batch."""

    phase: str
    """In its own words: in progress, completed, …"""
    total: int
    """Requests in it, as far as the provider has counted."""
    done: int = 0
    """Of these, finished in some way: so many results must be there once it has ended."""
    ended: bool = False
    """Whether nothing more will come."""
    cancelled: bool = False
    """Whether somebody ended it early."""
    refused: StillhouseError | None = None
    """Why nothing of it was begun: a UserError, or a TeacherError where it may be sent again."""


@runtime_checkable
class BatchTeacher(Protocol):
    """A frozen dataclass that knows one provider's batches."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """As a `Teacher`'s."""
        ...

    @property
    def most_requests(self) -> int:
        """The provider's limit for one batch."""
        ...

    @property
    def most_bytes(self) -> int:
        """The provider's limit for one batch."""
        ...

    def measure(self, request: Request) -> int:
        """Return the bytes of a request in a batch."""
        ...

    async def submit(self, requests: Mapping[str, Request], *, key: str) -> str:
        """Send requests by custom id as one batch, and return its id.

        Each custom id begins with the key and a dash. RateLimited, RequestRejected and UserError say that there is no such batch
        now; after any other error there may be one.
        """
        ...

    async def find(self, key: str, *, requests: int, since: float, others: Collection[str]) -> str | None:
        """Return the id of the batch that was submitted with a key, None where there is none.

        It had so many requests, was sent at `since` (seconds since 1970), and is none of `others`. May take as long as a batch
        does, where a provider doesn't tell before.
        """
        ...

    async def poll(self, batch_id: str) -> BatchState:
        """Return how it stands."""
        ...

    def results(self, batch_id: str) -> AsyncIterator[tuple[str, Completion | StillhouseError]]:
        """Yield what came of each request by custom id, once the batch has ended."""
        ...

    async def cancel(self, batch_id: str) -> None:
        """Ask the provider to end it early. What is answered by then can be fetched."""
        ...

    async def aclose(self) -> None:
        """Let go of connections."""
        ...


async def lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the lines of a JSONL file that comes in chunks. Only a line feed ends one: a text may have other separators in it."""
    rest: list[bytes] = []
    async for chunk in chunks:
        first, *others = chunk.split(b"\n")
        rest.append(first)
        for other in others:
            if whole := b"".join(rest).strip():
                yield whole
            rest = [other]
    if whole := b"".join(rest).strip():
        yield whole
