"""A scripted teacher, and short ways to ask it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from storage.errors import StillhouseError
from storage.records import Message


class Scripted:
    """An asker that answers from a script and keeps what it was asked."""

    def __init__(self, *script: str | StillhouseError) -> None:
        self.script = list(script)
        self.asked: list[list[Message]] = []
        self.schemas: list[dict[str, Any]] = []

    async def ask(self, messages: Sequence[Message], *, schema: dict[str, Any]) -> str:
        """Return or raise what comes next."""
        self.asked.append(list(messages))
        self.schemas.append(schema)
        said = self.script.pop(0)
        if isinstance(said, StillhouseError):
            raise said
        return said


def score(value: int, reason: str = "so") -> str:
    """Return a pointwise verdict."""
    return json.dumps({"reason": reason, "score": value})


def better(value: str, reason: str = "so") -> str:
    """Return a pairwise verdict."""
    return json.dumps({"reason": reason, "better": value})
