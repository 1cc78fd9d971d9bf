"""What a chat template makes of a conversation, kept for the other samples of the same prompt: they come one after the other."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from storage.records import Message

KEPT = 256
"""Conversations that are kept."""
T = TypeVar("T")


class Conversations(Generic[T]):
    """Asks once for each conversation."""

    def __init__(self, made: Callable[[Sequence[Message]], Awaitable[T]]) -> None:
        """`made` asks whoever knows the model's chat template."""
        self._made = made
        self._known: OrderedDict[tuple[Message, ...], T] = OrderedDict()

    async def of(self, messages: Sequence[Message]) -> T:
        """Return what is made of a conversation, the template's generation prompt included. Raise what asking raises."""
        key = tuple(messages)
        if key in self._known:
            return self._known[key]
        found = self._known[key] = await self._made(messages)
        if len(self._known) > KEPT:
            self._known.popitem(last=False)
        return found
