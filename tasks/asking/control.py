"""A control: something short beside what fails, which tells a teacher that is down from prompts that fail by themselves."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field, replace

from storage.records import Message
from tasks.teachers.protocol import Request

MOST_OUT = 16
"""Completion tokens of a control: the fewest that every API lets one ask for."""


@dataclass(slots=True)
class Controls:
    """What is known of one teacher by its answers."""

    answers: int = 0
    """Responses to requests."""
    passed: int = 0
    """Responses to controls."""
    of_use: bool = True
    """Whether it answers controls with a response, or says that it is down: one that refuses them would tell nothing."""
    garbled: bool = False
    """Whether what it answered one with is no response."""
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by who asks one for a request that has no retries left: it tells the others too."""

    @property
    def well(self) -> int:
        """How often it has shown to be well."""
        return self.answers + self.passed


def control(request: Request) -> Request:
    """Return a control for a request: with its system text and parameters, so that it fails where these are at fault.

    It costs a few tokens: it has nothing to reason about. The number in it is another each time, so that no gateway answers from
    its cache while the model behind it is down.
    """
    system = tuple(message for message in request.messages if message.role == "system")
    number = random.randrange(100_000, 1_000_000)  # noqa: S311 - no secret
    parameters = {name: value for name, value in request.parameters.items() if name != "thinking"}
    parameters["max_tokens"] = min(MOST_OUT, request.most_out)
    messages = (*system, Message(role="user", content=f"Repeat this number: {number}"))
    return replace(request, prompt_id="control", messages=messages, parameters=parameters, n=1, key="")
