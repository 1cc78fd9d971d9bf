"""Any server that speaks OpenAI's chat completions: OpenAI, vLLM, SGLang, llama.cpp, Ollama, TGI.

The SDK signs, sends and tells errors apart; the body is read with orjson, since the SDK's models of a response cost more time
than all the rest of a request.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import httpx2
import openai as sdk
import orjson

from storage.errors import BadResponse, RateLimited, RequestRejected, SetupError, StillhouseError, Unavailable, Unreachable
from storage.records import TokenLogprob, TopToken
from tasks.teachers import reasoning
from tasks.teachers.headers import openai_allowance, retry_after
from tasks.teachers.options import TeacherOptions
from tasks.teachers.protocol import CHARS_PER_TOKEN, Choice, Completion, Request

DEFAULT_URL = "https://api.openai.com/v1"
NO_KEY = "unused"
"""Sent where the spec names no key: the SDK would else send OPENAI_API_KEY to whatever server the spec names."""


@dataclass(frozen=True, kw_only=True)
class OpenAITeacher:
    """Asks `POST {base_url}/chat/completions`."""

    model: str
    """As the server knows it."""
    base_url: str = DEFAULT_URL
    """Up to /v1."""
    api_key: str = field(default=NO_KEY, repr=False)
    """Never logged."""
    timeout_s: float = 600
    """Seconds for one request."""
    concurrency: int = 64
    """Connections at most."""
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    """Sent with each request."""
    transport: httpx2.AsyncBaseTransport | None = field(default=None, repr=False)
    """In place of the network, for tests."""
    _client: sdk.AsyncOpenAI = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # httpx's own pool gets slower as more requests are in flight; aiohttp's doesn't.
        limits = httpx2.Limits(max_connections=self.concurrency, max_keepalive_connections=self.concurrency)
        http = (
            httpx2.AsyncClient(transport=self.transport, timeout=self.timeout_s)
            if self.transport is not None
            else sdk.DefaultAioHttpClient(limits=limits, timeout=self.timeout_s)
        )
        client = sdk.AsyncOpenAI(
            api_key=self.api_key, base_url=self.base_url, max_retries=0, timeout=self.timeout_s, http_client=http
        )
        object.__setattr__(self, "_client", client)

    @property
    def identity(self) -> Mapping[str, Any]:
        """`extra_body` may hold anything that changes the answer."""
        return {"extra_body": dict(self.extra_body)} if self.extra_body else {}

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def complete(self, request: Request) -> Completion:
        """Send one request."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": m.role, "content": m.content} for m in request.messages],
            **request.parameters,
            **self.extra_body,
        }
        if request.n > 1:
            body["n"] = request.n
        try:
            response = await self._client.post("/chat/completions", body=body, cast_to=httpx2.Response)
            raw = response.content
        except sdk.OpenAIError as error:
            raise self._classified(error) from None  # the SDK's own traceback may quote the request
        except httpx2.HTTPError as error:
            raise Unavailable(self._line(f"the connection broke: {type(error).__name__}: {error}")) from None
        try:
            completion = _completion(raw)
        except BadResponse as error:
            begins = self._line(raw.decode(errors="replace"))[:80]
            raise BadResponse(self._line(f"{error}; it begins {begins!r}")) from None
        completion = completion if completion.tokens_out else _counted(request, completion)
        allowance = openai_allowance(response.headers)
        return completion if allowance is None else replace(completion, allowance=allowance)

    def _classified(self, error: sdk.OpenAIError) -> StillhouseError:
        # The SDK's aiohttp transport calls a refused connection a time limit, too.
        if isinstance(error, sdk.APITimeoutError) and not isinstance(error.__cause__, httpx2.ConnectTimeout):
            return Unavailable(f"no answer within {self.timeout_s:g} s")
        if isinstance(error, sdk.APIStatusError):
            return self._status(error)
        if isinstance(error, sdk.APIConnectionError):
            return Unreachable(self._line(f"can't reach {self.base_url}: {error.__cause__ or error}"))
        return BadResponse(self._line(f"the SDK could not read the response: {error}"))

    def _status(self, error: sdk.APIStatusError) -> StillhouseError:
        status = error.status_code
        text = "" if isinstance(error.body, dict) else error.response.text  # the SDK quotes JSON alone
        said = self._line(f"{status} {error.message} {text}")
        if status == httpx2.codes.PAYMENT_REQUIRED or error.code == "insufficient_quota":
            return SetupError(f"the account behind {self.base_url} has no credit or quota left: {said}")
        if status == httpx2.codes.TOO_MANY_REQUESTS:
            return RateLimited(said, retry_after_s=retry_after(error.response.headers))
        if status in {httpx2.codes.UNAUTHORIZED, httpx2.codes.FORBIDDEN}:
            return SetupError(f"{self.base_url} refuses the key: {said}; check api_key_env")
        if status == httpx2.codes.NOT_FOUND:
            return SetupError(f"{self.base_url} doesn't know the model or the path: {said}; check model and base_url")
        if status in {httpx2.codes.REQUEST_TIMEOUT, httpx2.codes.CONFLICT} or status >= httpx2.codes.INTERNAL_SERVER_ERROR:
            wait = retry_after(error.response.headers)
            return Unavailable(said) if wait is None else RateLimited(said, retry_after_s=wait)
        return RequestRejected(said)

    def _line(self, text: str) -> str:
        # Servers like to quote the key that they refuse.
        hidden = text.replace(self.api_key, "***") if self.api_key != NO_KEY else text
        return " ".join(hidden.split())[:500]


def make(options: TeacherOptions, *, api_key: str | None) -> OpenAITeacher:
    """Return the teacher of a spec's options."""
    return OpenAITeacher(
        model=options.model,
        base_url=options.base_url or DEFAULT_URL,
        api_key=api_key or NO_KEY,
        timeout_s=options.timeout_s,
        concurrency=options.limits.most,
        extra_body=options.extra_body,
    )


def _completion(raw: bytes) -> Completion:
    try:
        document = _json(raw)
        choices = tuple(_choice(choice) for choice in document["choices"])
        usage = document.get("usage") or {}
        details = usage.get("completion_tokens_details") or {}
        completion = Completion(
            choices=choices,
            tokens_in=int(usage.get("prompt_tokens") or 0),
            tokens_out=int(usage.get("completion_tokens") or 0),
            tokens_reasoning=int(details.get("reasoning_tokens") or 0),
            tokens_cached=int((usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0),
        )
    except (orjson.JSONDecodeError, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise BadResponse(f"not a chat completion: {type(error).__name__}: {error}") from None
    if not choices:
        raise BadResponse("the response has no choices")
    return completion


def _counted(request: Request, completion: Completion) -> Completion:
    """Count the tokens of a response whose server doesn't, by a rule of thumb: at nothing, a budget would never be spent."""
    sent = sum(len(message.content) for message in request.messages)
    come = sum(len(choice.response) + len(choice.reasoning or "") for choice in completion.choices)
    return replace(completion, tokens_in=-(-sent // CHARS_PER_TOKEN), tokens_out=-(-come // CHARS_PER_TOKEN))


def _json(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        # Half a surrogate pair, or NaN for a probability: no JSON to orjson, yet a response that was paid for.
        return json.loads(raw)


def _choice(choice: dict[str, Any]) -> Choice:
    message = choice["message"]
    text = message.get("content") or ""
    thought = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(text, list):  # Mistral's and others' typed parts
        parts = cast("list[dict[str, Any]]", text)
        text = "".join(part.get("text", "") for part in parts if part.get("type") == "text")
    if not thought:
        thought, text = reasoning.split(text)
    if message.get("refusal") and not text:
        text = message["refusal"]
    finish_reason = choice.get("finish_reason") or "unknown"
    for name, value in (("content", text), ("reasoning", thought or ""), ("finish_reason", finish_reason)):
        if not isinstance(value, str):
            raise TypeError(f"{name} is a {type(value).__name__}")
    return Choice(
        response=text,
        reasoning=thought or None,
        finish_reason=finish_reason,
        logprobs=_logprobs(choice.get("logprobs")),
    )


def _logprobs(given: dict[str, Any] | None) -> tuple[TokenLogprob, ...] | None:
    if not given or not given.get("content"):
        return None
    return tuple(
        TokenLogprob(
            token=_token(position),
            logprob=float(position["logprob"]),
            top=tuple(TopToken(token=_token(top), logprob=float(top["logprob"])) for top in position.get("top_logprobs") or ()),
        )
        for position in given["content"]
    )


def _token(given: dict[str, Any]) -> bytes:
    return bytes(given["bytes"]) if given.get("bytes") is not None else given["token"].encode(errors="replace")
