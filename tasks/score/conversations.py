"""A prompt's tokens, kept for the other samples of the same prompt: they come one after the other."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

from storage.records import Message

KEPT = 256
"""Conversations whose tokens are kept."""


class Conversations:
    """Turns messages into the tokens behind which a model answers, once for each conversation."""

    def __init__(self, tokens: Callable[[Sequence[Message]], Awaitable[list[int]]]) -> None:
        """`tokens` asks whoever knows the model's chat template."""
        self._tokens = tokens
        self._known: OrderedDict[tuple[Message, ...], list[int]] = OrderedDict()

    async def tokens(self, messages: Sequence[Message]) -> list[int]:
        """Return a conversation's tokens, the template's generation prompt included. Raise what asking raises."""
        key = tuple(messages)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = await self._tokens(messages)
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        return found
