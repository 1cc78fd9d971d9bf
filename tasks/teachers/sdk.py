"""What the teachers that ask through a provider's own SDK share.

The SDK says how a request is addressed and signed, and what an error means. What it is slow at is done beside it: a request goes
out by `tasks.teachers.wire`, and the body of an answer is read with orjson.
"""

from __future__ import annotations

import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Protocol, cast
from urllib.parse import urlsplit

import httpx2
import orjson

from storage.errors import BadResponse, RequestRejected, StillhouseError, TimedOut, Unavailable, Unreachable
from tasks.asking.usable import billable
from tasks.teachers import refusals
from tasks.teachers.bodies import MALFORMED, parsed
from tasks.teachers.discreet import without
from tasks.teachers.headers import Allowance
from tasks.teachers.protocol import (
    CHARS_PER_TOKEN,
    NOTHING,
    BrokenOff,
    Choice,
    Completion,
    Malformed,
    NoChoices,
    RejectedMidway,
    Request,
    Usage,
)
from tasks.teachers.wire import Reply, Wire

NO_KEY = "unused"
"""Sent where the spec names no key: an SDK would else send the environment's to whatever server the spec names."""
SECRET = 8
"""Characters of the shortest header of the environment's that is hidden in texts: `1` is no secret."""
MOST_NAME = 200
"""Characters of a model's name; what is longer is no name."""
BROKEN_OFF = frozenset({"error", "abort"})
"""Finish reasons of a choice that its server gave up in the middle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sdk:
    """What the SDKs call by names of their own."""

    error: type[Exception]
    """The root of its errors."""
    status: type[Exception]
    """A status that is none of success."""
    timeout: type[Exception]
    """No answer in time."""
    connection: type[Exception]
    """No answer at all."""
    host: str
    """The provider's own."""
    custom_headers: str
    """The environment variable from which it takes headers, one a line."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Other variables that it makes headers of, with their names."""

    def ambient(self) -> dict[str, str]:
        """Return the headers that it takes from the environment, by their names in lower case."""
        lines = (line.partition(":") for line in os.environ.get(self.custom_headers, "").split("\n"))
        found = {name.strip().lower(): value.strip() for name, colon, value in lines if colon}
        return found | {name: os.environ[variable] for variable, name in self.headers.items() if variable in os.environ}


class Client(Protocol):
    """What is used of an SDK's client."""

    async def post(self, path: str, *, cast_to: type[httpx2.Response], body: Mapping[str, Any]) -> httpx2.Response:
        """Send a request, once."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signed:
    """What an SDK puts on each request."""

    url: str
    headers: Mapping[str, str]


REPLY: ContextVar[Reply] = ContextVar("reply")
"""What the SDK's next request gets."""
_NOTHING = Reply(status=httpx2.codes.OK, headers={"content-type": "application/json"}, content=b"{}")


class _Relay(httpx2.AsyncBaseTransport):
    """Stands between an SDK's client and the network: notes how it signs, and gives it replies that came by the wire."""

    def __init__(self) -> None:
        self.signed: _Signed | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        own = {"host", "content-length", "accept-encoding", "connection"}
        headers = {name: value for name, value in request.headers.items() if name.lower() not in own}
        self.signed = _Signed(url=str(request.url), headers=headers)
        reply = REPLY.get()
        encoded = {"content-encoding", "content-length", "transfer-encoding"}  # the content is decoded
        headers = {name: value for name, value in reply.headers.items() if name.lower() not in encoded}
        return httpx2.Response(reply.status, headers=headers, content=reply.content, request=request)


@dataclass(frozen=True, kw_only=True)
class SdkTeacher(ABC):
    """Asks `POST {base_url}{path}`. A provider says what is sent and what is read."""

    sdk: ClassVar[Sdk]
    path: ClassVar[str]

    model: str
    """As the server knows it."""
    base_url: str
    """Up to /v1."""
    api_key: str = field(default=NO_KEY, repr=False)
    """Never logged."""
    timeout_s: float = 600
    """Seconds for one request."""
    concurrency: int = 64
    """Connections at most."""
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    """Sent with each request. A null takes out what would else be sent."""
    transport: httpx2.AsyncBaseTransport | None = field(default=None, repr=False)
    """In place of the network, for tests."""
    _client: Client = field(init=False, repr=False)
    _wire: Wire = field(init=False, repr=False)
    _relay: _Relay = field(init=False, repr=False)
    _hidden: tuple[str, ...] = field(default=(), init=False, repr=False)
    _has_answered: bool = field(default=False, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        wire = Wire(connections=self.concurrency, timeout_s=self.timeout_s)
        relay = _Relay()
        secrets = {each for each in self.sdk.ambient().values() if len(each) >= SECRET}
        if self.api_key != NO_KEY:
            secrets.add(self.api_key)
        object.__setattr__(self, "_hidden", tuple(sorted(secrets, key=len, reverse=True)))
        object.__setattr__(self, "_wire", wire)
        object.__setattr__(self, "_relay", relay)
        object.__setattr__(self, "_client", self._connected(self._http(self.transport or relay)))

    def _http(self, transport: httpx2.AsyncBaseTransport | None) -> httpx2.AsyncClient:
        hooks = {} if self.at_home else {"request": [self._without_ambient]}
        return httpx2.AsyncClient(transport=transport, timeout=self.timeout_s, event_hooks=hooks)

    async def _without_ambient(self, request: httpx2.Request) -> None:
        """Take out what the SDK took from the environment: it is meant for the provider, and not for whom the spec names."""
        for name in self.sdk.ambient():
            request.headers.pop(name, None)
            if name == "authorization":
                request.headers[name] = f"Bearer {self.api_key}"

    @cached_property
    def at_home(self) -> bool:
        """Whether the provider itself is asked."""
        parts = urlsplit(self.base_url)
        host = parts.hostname or ""
        return parts.scheme == "https" and (host == self.sdk.host or host.endswith(f".{self.sdk.host}"))

    @abstractmethod
    def _connected(self, http: httpx2.AsyncClient) -> Client:
        """Return the SDK's client over these connections, with retries off."""

    @abstractmethod
    def check(self, parameters: Mapping[str, Any]) -> None:
        """Raise SpecError where the API has no way to say them."""

    @abstractmethod
    def fields(self, request: Request) -> dict[str, Any]:
        """Return the fields of a request's body, but for the model and what the spec adds."""

    @abstractmethod
    def choices(self, document: Any) -> tuple[Choice, ...]:
        """Return the samples in a response's JSON. Where it isn't as it should be, any of `MALFORMED` may be raised."""

    @abstractmethod
    def usage(self, document: Mapping[str, Any]) -> Usage:
        """Return what a response's JSON says is billed for it."""

    @abstractmethod
    def _allowance(self, headers: Mapping[str, str]) -> Allowance | None:
        """Return what the headers say of the account's limits."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """`extra_body` may hold anything that changes the answer."""
        return {"extra_body": dict(self.extra_body)} if self.extra_body else {}

    def body(self, request: Request) -> dict[str, Any]:
        """Return what is sent."""
        body = {"model": self.model, **self.fields(request), **self.extra_body}
        return {name: value for name, value in body.items() if value is not None}

    def directly(self) -> Client:
        """Return the SDK's client over connections of its own, for all but single requests. The caller closes it."""
        return self._connected(self._http(self.transport))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()
        await self._wire.close()

    async def posted(self, url: str, body: Mapping[str, Any]) -> Any:
        """Send something else to a place of the same server, signed as a request is, and return the JSON that comes."""
        with self.explained():
            _, raw = await self._post(body, url)
        document = parsed(raw)
        if refusal := refusals.in_answer(document):
            raise _midway(self.refused(*refusal), self.billed(document))
        return document

    async def _post(self, body: Mapping[str, Any], url: str | None = None) -> tuple[Mapping[str, str], bytes]:
        """Send a request, once, signed as the SDK does. Errors are left to the SDK to tell apart."""
        if self.transport is not None:
            response = await self._client.post(url or self.path, body=body, cast_to=httpx2.Response)
            return response.headers, response.content
        signed = self._relay.signed or await self._signed()
        reply = await self._wire.post(url or signed.url, signed.headers, orjson.dumps(body))
        if reply.status != httpx2.codes.OK:
            await self._answered_by(reply)
        return reply.headers, reply.content

    async def _signed(self) -> _Signed:
        await self._answered_by(_NOTHING)
        if self._relay.signed is None:
            raise AssertionError("an SDK asks its transport")
        return self._relay.signed

    async def _answered_by(self, reply: Reply) -> None:
        """Have the SDK make a request that gets this reply."""
        before = REPLY.set(reply)
        try:
            await self._client.post(self.path, body={}, cast_to=httpx2.Response)
        finally:
            REPLY.reset(before)

    async def complete(self, request: Request) -> Completion:
        """Send one request."""
        with self.explained():
            headers, raw = await self._post(self.body(request))
        try:
            completion = _counted(request, self._completion(parsed(raw)))
            object.__setattr__(self, "_has_answered", True)
        except BadResponse as error:
            error.args = (self.line(f"{error}; it begins {self.beginning(raw)}"),)
            raise
        allowance = self._allowance(headers)
        return completion if allowance is None else replace(completion, allowance=allowance)

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Raise the SDK's and the connection's errors as ours."""
        try:
            yield
        except Unavailable as error:
            raise self._unavailable(error) from None
        except self.sdk.error as error:
            raise self._classified(error) from None  # the SDK's own traceback may quote the request
        except httpx2.HTTPError as error:
            raise _broken(self.line(f"the connection broke: {type(error).__name__}: {error}")) from None

    def answered(self, document: Any) -> Completion | StillhouseError:
        """Return what a response says that came in a file with others. Raise BadResponse where it isn't one."""
        try:
            completion = self._completion(document)
        except BadResponse:
            raise
        except StillhouseError as error:
            return error
        object.__setattr__(self, "_has_answered", True)
        return _counted(Request(prompt_id="", messages=(), parameters={}), completion)

    def refused(self, status: int, body: Mapping[str, Any]) -> StillhouseError:
        """Return the error that a status and a body in such a file stand for."""
        error = body.get("error")
        told = cast("Mapping[str, Any]", error) if isinstance(error, dict) else {}
        message = str(told.get("message") or error or body)
        return self._status(refusals.Refusal(status, message, dict(body), httpx2.Response(status)))

    def _completion(self, document: Any) -> Completion:
        usage = self.billed(document)
        if refusal := refusals.in_answer(document):
            raise _midway(self.refused(*refusal), usage)
        try:
            choices = self.choices(document)
        except MALFORMED as error:
            raise useless(Malformed, f"not what {self.path} answers: {type(error).__name__}: {error}", usage) from None
        if not choices:
            raise useless(NoChoices, "the response has no choices", usage)
        whole = tuple(choice for choice in choices if choice.finish_reason not in BROKEN_OFF)
        if not whole:
            ended = choices[0].finish_reason
            raise BrokenOff(f"the server broke off its response: finish_reason {ended}", usage=billable(usage))
        return Completion(
            choices=whole,
            tokens_in=usage.tokens_in,
            tokens_out=usage.tokens_out,
            tokens_reasoning=usage.tokens_reasoning,
            tokens_cached=usage.tokens_cached,
            tokens_cache_written=usage.tokens_cache_written,
            revision=self.served(document),
        )

    def billed(self, document: Any) -> Usage:
        """Return what is billed for a response, whatever else is in it."""
        return self.usage(cast("dict[str, Any]", document)) if isinstance(document, dict) else NOTHING

    def served(self, document: Any) -> str | None:
        """Return the name by which a model answered, where it is another than was asked for: mostly one with a date.

        `system_fingerprint` is none: it names the software that serves (llama.cpp's build, OpenAI's backend), under any model.
        """
        name = document.get("model")
        told = isinstance(name, str) and name != self.model and 0 < len(name) <= MOST_NAME and name.isprintable()
        return name if told else None

    def _unavailable(self, error: Unavailable) -> Unavailable:
        """Return what the wire says in a line that names the server, and no key."""
        if isinstance(error, Unreachable):
            return Unreachable(self.line(f"can't reach {self.base_url}: {error}"))
        kind = TimedOut if isinstance(error, TimedOut) else _broken if error.unanswered else Unavailable
        return kind(self.line(str(error)))

    def _classified(self, error: Exception) -> StillhouseError:
        if isinstance(error.__cause__, Unavailable):
            return self._unavailable(error.__cause__)
        if isinstance(error, self.sdk.timeout) and not isinstance(error.__cause__, httpx2.ConnectTimeout):
            return _broken(f"no answer within {self.timeout_s:g} s")
        if isinstance(error, self.sdk.status):
            return self._status(error)
        if isinstance(error, self.sdk.connection):
            return Unreachable(self.line(f"can't reach {self.base_url}: {error.__cause__ or error}"))
        return BadResponse(self.line(f"the SDK could not read the response: {error}"))

    def _status(self, error: Any) -> StillhouseError:
        said = self.line(refusals.said(error))
        return refusals.classified(error, said=said, base_url=self.base_url, answered=self._has_answered)

    def beginning(self, raw: bytes) -> str:
        """Return how a body begins. It is cut once the key is out of it: a part of a key would be found no more."""
        return repr(self.line(raw.decode(errors="replace"))[:80])

    def line(self, text: str) -> str:
        """Return a text as one line without the key, and what else the environment has the SDK send."""
        # Servers like to quote the key that they refuse.
        for secret in self._hidden:
            text = without(secret, text)
        return " ".join(text.split())[:500]


def _counted(request: Request, completion: Completion) -> Completion:
    """Count the tokens of a response whose server doesn't, by a rule of thumb: at nothing, a budget would never be spent."""
    if completion.tokens_in and completion.tokens_out:
        return completion
    sent = sum(len(message.content) for message in request.messages)
    come = sum(len(choice.response) + len(choice.reasoning or "") for choice in completion.choices)
    return replace(
        completion,
        tokens_in=completion.tokens_in or -(-sent // CHARS_PER_TOKEN),
        tokens_out=completion.tokens_out or -(-come // CHARS_PER_TOKEN),
    )


def _broken(said: str) -> Unavailable:
    """Return the error of a request that was sent, and whose answer never came whole."""
    error = Unavailable(said)
    error.unanswered = True
    return error


def useless(kind: type[Malformed], said: str, usage: Usage) -> BadResponse:
    """Return the error of a response that is none: of this kind where it is billed."""
    return kind(said, usage=billable(usage)) if usage.tokens_in or usage.tokens_out else BadResponse(said)


def _midway(error: StillhouseError, usage: Usage) -> StillhouseError:
    """Return the error of a refusal that stands in an answer: where that is billed, it came when a model was at work already.

    What would end the run does so by the next answer, which is then a refusal from the start.
    """
    if not (usage.tokens_in or usage.tokens_out):
        return error
    kind = RejectedMidway if isinstance(error, RequestRejected) else BrokenOff
    return kind(str(error), usage=billable(usage))
