"""A control: something short beside what fails, which tells a teacher that is down from prompts that fail by themselves."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from storage.errors import BadResponse, EmptyResponse, RequestRejected, TeacherError
from storage.records import Message
from tasks.asking.trying import Try
from tasks.teachers.protocol import NoChoices, Request

MOST_OUT = 16
"""Completion tokens of a control: the fewest that every API lets one ask for."""
REFUSED = 20
"""Requests that a teacher refuses in a row: by then a control tells whether it refuses everything."""
VARIES = re.compile(r"[0-9a-f-]{12,}|\b(?=\w*\d)\w{12,}|\d[\d.,]{3,}")
"""In an error: ids and numbers; a status has three digits."""


@dataclass(slots=True)
class Controls:
    """What is known of one teacher by its answers."""

    answers: int = 0
    """Responses to requests."""
    passed: int = 0
    """Responses to controls."""
    last: Request | None = None
    """The last request that was answered."""
    short: bool = True
    """Whether they are cut short: a model that reasons may refuse that, or come to no answer."""
    of_use: bool = True
    """Whether it answers controls with a response, or says that it is down: one that refuses them would tell nothing."""
    garbled: bool = False
    """Whether what it answered one with is no response."""
    refusal: TeacherError | None = None
    """What the last control was refused with, or how its answer was no response."""
    refused: int = 0
    """Requests that were refused since one was answered."""
    look_at: int = REFUSED
    """So many of them are looked into, and after each look twice as many."""
    unanswered: Try | None = None
    """The last request that failed."""
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by who asks one for a request that has no retries left: it tells the others too."""

    @property
    def well(self) -> int:
        """How often it has shown to be well."""
        return self.answers + self.passed

    @property
    def looks(self) -> bool:
        """Whether so many were refused that a control is asked in the next one's place."""
        return self.refused >= self.look_at

    def answered(self, request: Request) -> None:
        """Hear of a response to a request."""
        self.answers += 1
        self.last = request
        self.refused, self.look_at = 0, REFUSED
        if self.garbled:  # that has passed
            self.of_use, self.garbled = True, False

    def refused_by(self, error: RequestRejected | BadResponse) -> None:
        """Hear that a control was refused, or answered with no response."""
        self.refusal = error
        if self.short and isinstance(error, RequestRejected | EmptyResponse | NoChoices):
            self.short = False
            return
        self.of_use = False
        self.garbled = isinstance(error, BadResponse)


def alike(one: TeacherError, other: TeacherError) -> bool:
    """Whether two errors differ by ids and numbers at most."""
    return VARIES.sub("…", str(one)) == VARIES.sub("…", str(other))


def control(request: Request, messages: Sequence[Message], *, short: bool) -> Request:
    """Return a control for a request: with the system text of `messages` and its parameters, so that it fails where these do.

    It costs a few tokens: it has nothing to reason about, and where it is `short` it may not. The number in it is another each
    time, so that no gateway answers from its cache while the model behind it is down.
    """
    system = tuple(message for message in messages if message.role == "system")
    number = random.randrange(100_000, 1_000_000)  # noqa: S311 - no secret
    parameters = dict(request.parameters)
    if short:
        parameters.pop("thinking", None)
        parameters["max_tokens"] = min(MOST_OUT, request.most_out)
    messages = (*system, Message(role="user", content=f"Repeat this number: {number}"))
    return replace(request, prompt_id="control", messages=messages, parameters=parameters, n=1, key="")
