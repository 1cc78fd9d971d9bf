"""What a server's refusal means: who is at fault, and so whether to ask again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard, cast

import httpx2

from storage.errors import Overloaded, RateLimited, RequestRejected, SetupError, StillhouseError, Unavailable
from tasks.teachers.headers import retry_after

_CLIENT_CLOSED_REQUEST = 499
"""A proxy's word for a request whose answer never came."""
_OVERLOADED = frozenset({httpx2.codes.SERVICE_UNAVAILABLE, 529})
_PASSING = frozenset(
    {
        httpx2.codes.REQUEST_TIMEOUT,
        httpx2.codes.CONFLICT,
        httpx2.codes.MISDIRECTED_REQUEST,
        httpx2.codes.LOCKED,
        httpx2.codes.FAILED_DEPENDENCY,
        httpx2.codes.TOO_EARLY,
        _CLIENT_CLOSED_REQUEST,
    }
)
"""What says nothing against a request, but when or by which connection it came. The SDKs ask again at the first two.

FAILED_DEPENDENCY is Text Generation Inference's word for a model that failed at work.
"""
_NOT_HERE = frozenset({httpx2.codes.FORBIDDEN, httpx2.codes.NOT_FOUND})
_ACCOUNT = frozenset(
    {
        "Arrearage",
        "access_terminated",
        "account_deactivated",
        "billing_error",
        "billing_hard_limit_reached",
        "billing_not_active",
        "blocked_api_access",
        "budget_exceeded",
        "cmek_key_disabled",
        "cmek_key_network_blocked",
        "contract_spend_limit_reached",
        "enforced_spend_limit_reached",
        "insufficient_quota",
        "organization_on_hold",
    }
)
"""Codes and types of errors by which servers say that the account gets no more answers, whatever is asked."""
_ACCOUNT_SAID = re.compile(
    r"credit balance is too low|budget has been exceeded|billing hard limit|account is not active|spend(ing)? limit"
    r"|insufficient (balance|credits|funds)",
    re.IGNORECASE,
)
"""The same, where only the words say so."""
_KEY_SAID = re.compile(
    r"api[ _]key (is )?(not valid|not found|invalid|expired)|(invalid|incorrect) api[ _]key|API_KEY_INVALID", re.IGNORECASE
)
_WORDED = frozenset({httpx2.codes.BAD_REQUEST, httpx2.codes.FORBIDDEN, httpx2.codes.TOO_MANY_REQUESTS})
"""Statuses beside which words are heard."""
_HEARD = 300
"""Characters in which they stand: further on, a server may quote the prompt."""
_FLAGGED_SAID = re.compile(
    r"(input|prompt|request|message|content)s? (was|were|is|are|has been|have been) flagged", re.IGNORECASE
)
_WORD = re.compile(r"(?!.*\d{3})[A-Za-z][\w.-]{2,60}")
"""What may be a code, or a type: one with a longer number in it is another each time."""
_BROAD = frozenset(
    {
        "apierror",
        "badrequest",
        "badrequesterror",
        "error",
        "internalerror",
        "internalservererror",
        "invalidargument",
        "invalidparameter",
        "invalidrequest",
        "invalidrequesterror",
        "servererror",
        "unknown",
        "unknownerror",
        "upstreamerror",
    }
)
"""Codes and types that say no more than a status does, in small letters alone."""
_FLAGGED = frozenset({"content_filter", "content_policy_violation", "moderation_blocked"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal with the attributes of an SDK's error."""

    status_code: int
    message: str
    body: dict[str, Any]
    response: httpx2.Response


def classified(refusal: Any, *, said: str, base_url: str, answered: bool) -> StillhouseError:
    """Return the error that a refusal stands for; `refusal` is a `Refusal`, or an SDK's error about a status.

    `x-should-retry`, by which the SDKs go as well, is followed too, but not where it says that too many requests, or too much to
    do, won't pass: there is always a later time.
    """
    error = _classified(refusal, said=said, base_url=base_url, answered=answered)
    told = refusal.response.headers.get("x-should-retry")
    if told == "true" and isinstance(error, RequestRejected):
        return Unavailable(said, retry_after_s=retry_after(refusal.response.headers))
    if told == "false" and isinstance(error, Unavailable) and not isinstance(error, Overloaded):
        error.retryable = False
    return error


def _classified(refusal: Any, *, said: str, base_url: str, answered: bool) -> StillhouseError:  # noqa: PLR0911 - a table, in effect
    """Return what status and body say.

    403 and 404 mean many things. About a request that was flagged they are the request's fault. Before the server has `answered`
    anything, the key, the model or the address is wrong. Afterwards they can't be: a firewall takes offence, or servers are just
    being replaced. It is asked again then; where it stays so, the teacher is down, or the one request fails. A key that is
    revoked in the middle of a run is 401.
    """
    status = refusal.status_code
    told = _told(refusal.body)
    words = str(told.get("message") or refusal.message)[:_HEARD] if status in _WORDED else ""
    # A server may put anything there: what can't be a code isn't hashed.
    codes = {str(getattr(refusal, name, None)) for name in ("code", "error_code", "type")}
    codes |= {str(told.get(name)) for name in ("code", "type")}
    if status == httpx2.codes.PAYMENT_REQUIRED or codes & _ACCOUNT or _ACCOUNT_SAID.search(words):
        return SetupError(f"the account behind {base_url} is on hold, or has no credit or quota left: {said}")
    if status == httpx2.codes.TOO_MANY_REQUESTS:
        return RateLimited(said, retry_after_s=retry_after(refusal.response.headers))
    if status == httpx2.codes.UNAUTHORIZED or _KEY_SAID.search(words):
        return SetupError(f"{base_url} refuses the key: {said}; check api_key_env")
    if status == httpx2.codes.PROXY_AUTHENTICATION_REQUIRED:
        return SetupError(f"the proxy before {base_url} refuses us: {said}; check the proxy's password in the environment")
    if status in _NOT_HERE and not _flagged(told, codes, words):
        if answered:
            return Unavailable(said, retry_after_s=retry_after(refusal.response.headers))
        if status == httpx2.codes.FORBIDDEN:
            return SetupError(f"{base_url} refuses the key: {said}; check api_key_env")
        return SetupError(f"{base_url} doesn't know the model or the path: {said}; check model and base_url")
    if status in _PASSING or status >= httpx2.codes.INTERNAL_SERVER_ERROR:
        kind = Overloaded if status in _OVERLOADED else Unavailable
        return kind(said, retry_after_s=retry_after(refusal.response.headers))
    return RequestRejected(said)


def said(refusal: Any) -> str:
    """Return a refusal in words: its status, a code by which others like it are known, and its message, without the SDK's own."""
    told = _told(refusal.body)
    message = told.get("message")
    if not isinstance(message, str) or not message.strip():
        message = refusal.message.removeprefix(f"Error code: {refusal.status_code}").removeprefix(" - ") or refusal.response.text
    word = next((each for each in (told.get("code"), told.get("type")) if tells(each)), None)
    return f"{refusal.status_code} {message}" if word is None else f"{refusal.status_code} {word}: {message}"


def tells(word: object) -> TypeGuard[str]:
    """Whether a code or a type says what is wrong."""
    if not isinstance(word, str) or not _WORD.fullmatch(word):
        return False
    return "".join(filter(str.isalpha, word.rpartition(".")[2])).lower() not in _BROAD


def in_answer(document: Any) -> tuple[int, Mapping[str, Any]] | None:
    """Return status and body of a refusal that came as if it were an answer, as OpenRouter's do once a model is at work."""
    if not isinstance(document, dict) or document.get("choices"):
        return None
    body = cast("dict[str, Any]", document)
    try:
        status = int(_told(body)["code"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return (status, body) if httpx2.codes.BAD_REQUEST <= status < 600 else None  # noqa: PLR2004 - HTTP ends there


def _told(body: object) -> Mapping[str, Any]:
    """Return what a body says of its error: most put it under a name, Gemini into a list beside."""
    if isinstance(body, list) and body:
        body = cast("list[object]", body)[0]
    if not isinstance(body, dict):
        return {}
    whole = cast("dict[str, Any]", body)
    inner = whole.get("error")
    return cast("dict[str, Any]", inner) if isinstance(inner, dict) else whole


def _flagged(told: Mapping[str, Any], codes: set[str], words: str) -> bool:
    """Whether moderation took offence at the request."""
    given = told.get("metadata")
    metadata = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    codes = codes | {str(metadata.get("error_type"))}
    return bool(metadata.keys() & {"reasons", "flagged_input"} or codes & _FLAGGED or _FLAGGED_SAID.search(words))
