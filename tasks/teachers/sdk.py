"""What the teachers that ask through a provider's own SDK share.

The SDK says how a request is addressed and signed, and what an error means. What it is slow at is done beside it: a request goes
out by `tasks.teachers.wire`, and the body of an answer is read with orjson.
"""

from __future__ import annotations

import contextlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol, cast

import httpx2
import orjson

from storage.errors import (
    BadResponse,
    Overloaded,
    RateLimited,
    RequestRejected,
    SetupError,
    StillhouseError,
    Unavailable,
    Unreachable,
)
from tasks.teachers.headers import Allowance, retry_after
from tasks.teachers.protocol import CHARS_PER_TOKEN, Completion, Request
from tasks.teachers.wire import Reply, Wire

NO_KEY = "unused"
"""Sent where the spec names no key: an SDK would else send the environment's to whatever server the spec names."""
_CLIENT_CLOSED_REQUEST = 499
"""A proxy's word for a request whose answer never came."""
_OVERLOADED = frozenset({httpx2.codes.SERVICE_UNAVAILABLE, 529})
_PASSING = frozenset({httpx2.codes.REQUEST_TIMEOUT, httpx2.codes.CONFLICT, _CLIENT_CLOSED_REQUEST})


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
    account: frozenset[str]
    """Codes and types of errors by which a server says that the account gets no more answers, whatever is asked."""


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


REPLY: ContextVar[Reply | None] = ContextVar("reply", default=None)
"""A reply that came by the wire, for the SDK to make an error of."""


class _Relay(httpx2.AsyncBaseTransport):
    """Connects an SDK's client with a wire, and notes how it signs."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.signed: _Signed | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        reply = REPLY.get()
        if reply is None:
            own = {"host", "content-length", "accept-encoding", "connection"}
            headers = {name: value for name, value in request.headers.items() if name.lower() not in own}
            reply = await self._wire.post(str(request.url), headers, await request.aread())
            if reply.status == httpx2.codes.OK:
                self.signed = _Signed(url=str(request.url), headers=headers)
        REPLY.set(None)
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

    def __post_init__(self) -> None:
        wire = Wire(connections=self.concurrency, timeout_s=self.timeout_s)
        relay = _Relay(wire)
        http = httpx2.AsyncClient(transport=self.transport or relay, timeout=self.timeout_s)
        object.__setattr__(self, "_wire", wire)
        object.__setattr__(self, "_relay", relay)
        object.__setattr__(self, "_client", self._connected(http))

    @abstractmethod
    def _connected(self, http: httpx2.AsyncClient) -> Client:
        """Return the SDK's client over these connections, with retries off."""

    @abstractmethod
    def fields(self, request: Request) -> dict[str, Any]:
        """Return the fields of a request's body, but for the model and what the spec adds."""

    @abstractmethod
    def read(self, document: Any) -> Completion:
        """Return what a response's JSON says. Where it isn't as it should be, any of `MALFORMED` may be raised."""

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
        return self._connected(httpx2.AsyncClient(transport=self.transport, timeout=self.timeout_s))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()
        await self._wire.close()

    async def _post(self, body: Mapping[str, Any]) -> tuple[Mapping[str, str], bytes]:
        """Send a request, once: as the SDK signed the first one. Errors are left to the SDK to tell apart."""
        signed = self._relay.signed
        if signed is not None:
            reply = await self._wire.post(signed.url, signed.headers, orjson.dumps(body))
            if reply.status == httpx2.codes.OK:
                return reply.headers, reply.content
            REPLY.set(reply)  # what the SDK's request will find
        response = await self._client.post(self.path, body=body, cast_to=httpx2.Response)
        return response.headers, response.content

    async def complete(self, request: Request) -> Completion:
        """Send one request."""
        with self.explained():
            headers, raw = await self._post(self.body(request))
        try:
            completion = _counted(request, self._completion(parsed(raw)))
        except BadResponse as error:
            begins = self.line(raw.decode(errors="replace"))[:80]
            raise BadResponse(self.line(f"{error}; it begins {begins!r}")) from None
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
            raise Unavailable(self.line(f"the connection broke: {type(error).__name__}: {error}")) from None

    def answered(self, document: Any) -> Completion:
        """Return what a response says that came in a file with others. Raise BadResponse where it isn't one."""
        return _counted(Request(prompt_id="", messages=(), parameters={}), self._completion(document))

    def refused(self, status: int, body: Mapping[str, Any]) -> StillhouseError:
        """Return the error that a status and a body in such a file stand for."""
        error = body.get("error")
        told = cast("Mapping[str, Any]", error) if isinstance(error, dict) else {}
        message = str(told.get("message") or error or body)
        response = httpx2.Response(status)
        return self._status(
            _Refusal(status, message, dict(body), response, code=told.get("code"), type=told.get("type")),
        )

    def _completion(self, document: Any) -> Completion:
        try:
            completion = self.read(document)
        except MALFORMED as error:
            raise BadResponse(f"not what {self.path} answers: {type(error).__name__}: {error}") from None
        if not completion.choices:
            raise BadResponse("the response has no choices")
        return completion

    def _unavailable(self, error: Unavailable) -> Unavailable:
        """Return what the wire says in a line that names the server, and no key."""
        if isinstance(error, Unreachable):
            return Unreachable(self.line(f"can't reach {self.base_url}: {error}"))
        return Unavailable(self.line(str(error)))

    def _classified(self, error: Exception) -> StillhouseError:
        if isinstance(error.__cause__, Unavailable):
            return self._unavailable(error.__cause__)
        if isinstance(error, self.sdk.timeout) and not isinstance(error.__cause__, httpx2.ConnectTimeout):
            return Unavailable(f"no answer within {self.timeout_s:g} s")
        if isinstance(error, self.sdk.status):
            return self._status(error)
        if isinstance(error, self.sdk.connection):
            return Unreachable(self.line(f"can't reach {self.base_url}: {error.__cause__ or error}"))
        return BadResponse(self.line(f"the SDK could not read the response: {error}"))

    def _status(self, error: Any) -> StillhouseError:
        status = error.status_code
        text = "" if isinstance(error.body, dict) else error.response.text  # the SDK quotes JSON alone
        said = self.line(f"{status} {error.message} {text}")
        # A server may put anything there: what can't be a code isn't hashed.
        codes = {str(getattr(error, name, None)) for name in ("code", "error_code", "type")}
        if status == httpx2.codes.PAYMENT_REQUIRED or codes & self.sdk.account:
            return SetupError(f"the account behind {self.base_url} is on hold, or has no credit or quota left: {said}")
        if status == httpx2.codes.TOO_MANY_REQUESTS:
            return RateLimited(said, retry_after_s=retry_after(error.response.headers))
        if status in {httpx2.codes.UNAUTHORIZED, httpx2.codes.FORBIDDEN}:
            return SetupError(f"{self.base_url} refuses the key: {said}; check api_key_env")
        if status == httpx2.codes.NOT_FOUND:
            return SetupError(f"{self.base_url} doesn't know the model or the path: {said}; check model and base_url")
        if status in _PASSING or status >= httpx2.codes.INTERNAL_SERVER_ERROR:
            kind = Overloaded if status in _OVERLOADED else Unavailable
            return kind(said, retry_after_s=retry_after(error.response.headers))
        return RequestRejected(said)

    def line(self, text: str) -> str:
        """Return a text as one line without the key."""
        # Servers like to quote the key that they refuse.
        hidden = text.replace(self.api_key, "***") if self.api_key != NO_KEY else text
        return " ".join(hidden.split())[:500]


MALFORMED = (orjson.JSONDecodeError, LookupError, TypeError, ValueError, AttributeError, RecursionError)
"""What reading a body raises that isn't as it should be."""


def texts(**given: Any) -> None:
    """Raise TypeError where one of these isn't a text: no table could hold it."""
    for name, value in given.items():
        if not isinstance(value, str):
            raise TypeError(f"{name} is a {type(value).__name__}")


def blocks(given: list[Any]) -> str:
    """Return a provider's reasoning blocks as JSON. In ASCII: what JSON can carry and UTF-8 can't stays escaped."""
    return json.dumps(given, separators=(",", ":"))


def _counted(request: Request, completion: Completion) -> Completion:
    """Count the tokens of a response whose server doesn't, by a rule of thumb: at nothing, a budget would never be spent."""
    if completion.tokens_out:
        return completion
    sent = sum(len(message.content) for message in request.messages)
    come = sum(len(choice.response) + len(choice.reasoning or "") for choice in completion.choices)
    return replace(
        completion,
        tokens_in=completion.tokens_in or -(-sent // CHARS_PER_TOKEN),
        tokens_out=-(-come // CHARS_PER_TOKEN),
    )


def parsed(raw: bytes) -> Any:
    """Return the value of JSON, also where it is no JSON to orjson, yet was paid for. Raise BadResponse where it is none."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        try:
            return json.loads(raw)  # half a surrogate pair, or NaN for a probability
        except (ValueError, RecursionError) as error:
            raise BadResponse(f"not JSON: {type(error).__name__}: {error}") from None


@dataclass(frozen=True, slots=True)
class _Refusal:
    """A refusal with the attributes of an SDK's error."""

    status_code: int
    message: str
    body: dict[str, Any]
    response: httpx2.Response
    code: object
    type: object
