"""What the batch teachers share that ask through a provider's own SDK."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar, cast

from storage.errors import BadResponse
from tasks.teachers.bodies import MALFORMED
from tasks.teachers.sdk import SdkTeacher


class Closing(Protocol):
    """What is used here of an SDK's client."""

    async def close(self) -> None:
        """Close the connections."""
        ...


One = TypeVar("One", bound=SdkTeacher)
Client = TypeVar("Client", bound=Closing)


@dataclass(frozen=True, kw_only=True)
class SdkBatchTeacher(Generic[One, Client]):
    """What batches have of a teacher that asks one by one, and a client of their own."""

    one: One
    """Knows the form of a single request and of its answer."""
    _client: Client = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_client", self._connected())

    def _connected(self) -> Client:
        """Return the SDK's client over connections of its own."""
        return cast("Client", self.one.directly())

    @property
    def identity(self) -> Mapping[str, Any]:
        """As without batches: they change nothing about the answer."""
        return self.one.identity

    def check(self, parameters: Mapping[str, Any]) -> None:
        """Raise SpecError where the API has no way to say them."""
        self.one.check(parameters)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()
        await self.one.aclose()


@contextlib.contextmanager
def understood(one: SdkTeacher) -> Iterator[None]:
    """Raise the SDK's errors as ours, and what can't be read as BadResponse.

    An SDK takes what a proxy puts in place of an answer for one: what is read of it must be read within. Whatever was asked may
    have been done.
    """
    try:
        with one.explained():
            yield
    except MALFORMED as error:
        said = f"{one.base_url} answers with something that isn't of its batches: {type(error).__name__}: {error}"
        raise BadResponse(one.line(said)) from None
