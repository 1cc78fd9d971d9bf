"""Whether a server's count of tokens can be true: one that can't must not spend a budget, or hold back all that comes after."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TypeVar

from tasks.teachers.protocol import CHARS_PER_TOKEN, Completion, Request, Usage

logger = logging.getLogger(__name__)
MOST = 1_000_000
"""Tokens beyond one for each byte that a server may add to what was sent, or think without showing it: more than any does."""
U = TypeVar("U", bound=Usage)


class Counts:
    """Looks at one teacher's counts."""

    def __init__(self, teacher: str) -> None:
        """Name the teacher, for the warning: there is one."""
        self._teacher = teacher
        self._told = False

    def checked(self, usage: U, request: Request) -> U:
        """Return what is billed for a response, with an estimate by its texts' lengths in place of a count that can't be."""
        if 0 <= usage.tokens_in <= MOST and 0 <= usage.tokens_out <= MOST:
            return usage
        sent = [message.content for message in request.messages]
        choices = usage.choices if isinstance(usage, Completion) else ()
        thought = [choice.reasoning or "" for choice in choices]
        come = [*(choice.response for choice in choices), *thought]
        if not 0 <= usage.tokens_in <= MOST + _bytes(sent):
            self._tell(usage.tokens_in, "in")
            usage = replace(usage, tokens_in=_about(sent), tokens_cached=0, tokens_cache_written=0)
        if not 0 <= usage.tokens_out <= MOST * max(1, len(choices)) + _bytes(come):
            self._tell(usage.tokens_out, "out")
            usage = replace(usage, tokens_out=_about(come), tokens_reasoning=_about(thought))
        return usage

    def _tell(self, count: int, where: str) -> None:
        if self._told:
            return
        self._told = True
        logger.warning(
            "teacher %r counts %s tokens %s for one response, which can't be: such a response is billed by its texts' lengths, "
            "%d characters a token",
            self._teacher,
            f"{count:,}" if abs(count) < 10**15 else "10^15 or more",
            where,
            CHARS_PER_TOKEN,
        )


def _bytes(texts: list[str]) -> int:
    return sum(len(text.encode("utf-8", "replace")) for text in texts)


def _about(texts: list[str]) -> int:
    return -(-sum(map(len, texts)) // CHARS_PER_TOKEN)
