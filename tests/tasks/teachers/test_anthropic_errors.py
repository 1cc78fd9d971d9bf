"""Every error of Anthropic's SDK and of its servers becomes one of ours, and none of them tells the key."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic as official
import httpx2
import pytest
from anthropic import _error_classes
from anthropic.lib.credentials import WorkloadIdentityError

from storage.errors import (
    BadResponse,
    Overloaded,
    RateLimited,
    RequestRejected,
    SetupError,
    StillhouseError,
    TeacherError,
    Unavailable,
    Unreachable,
    UserError,
)
from tasks.teachers.anthropic import AnthropicTeacher
from tests.tasks.teachers.foreign import error_classes
from tests.tasks.teachers.test_anthropic import ask
from tests.tasks.teachers.test_chat_errors import KEY, TestKey, echoing, raising

HTTP = httpx2.Request("POST", "http://server/v1/messages")

# Each class of the SDK that isn't about one status, with an instance of it, and what it becomes.
SDK: dict[type[official.AnthropicError], tuple[Callable[[], official.AnthropicError], type[StillhouseError]]] = {
    official.AnthropicError: (lambda: official.AnthropicError("?"), BadResponse),
    official.APIError: (lambda: official.APIError("?", HTTP, body=None), BadResponse),
    official.APIConnectionError: (lambda: official.APIConnectionError(request=HTTP), Unreachable),
    official.APITimeoutError: (lambda: official.APITimeoutError(HTTP), Unavailable),
    official.APIResponseValidationError: (
        lambda: official.APIResponseValidationError(httpx2.Response(200, request=HTTP), None),
        BadResponse,
    ),
    official.APIWebhookValidationError: (lambda: official.APIWebhookValidationError("?", HTTP, body=None), BadResponse),
    official.RetryableError: (lambda: official.RetryableError("?"), BadResponse),
    official.CredentialsError: (lambda: official.CredentialsError("?"), BadResponse),
    official.IdentityTokenFileError: (lambda: official.IdentityTokenFileError("?", path=Path("x")), BadResponse),
    WorkloadIdentityError: (lambda: WorkloadIdentityError("?"), BadResponse),
}
BY_STATUS = {*_error_classes.ERROR_CLASSES.values(), official.APIStatusError, official.InternalServerError}
# What the SDK has beside: errors of parts of it that are never used.
UNUSED = sorted(error_classes(official, official.AnthropicError) - {*SDK, *BY_STATUS}, key=lambda kind: kind.__qualname__)
STATUS = {
    400: RequestRejected,
    401: SetupError,
    402: SetupError,
    403: SetupError,
    404: SetupError,
    408: Unavailable,
    409: Unavailable,
    412: RequestRejected,
    413: RequestRejected,
    418: RequestRejected,
    421: Unavailable,
    422: RequestRejected,
    423: Unavailable,
    425: Unavailable,
    429: RateLimited,
    431: RequestRejected,
    499: Unavailable,
    500: Unavailable,
    501: Unavailable,
    502: Unavailable,
    503: Overloaded,
    504: Unavailable,
    524: Unavailable,
    529: Overloaded,
}
# Codes that say more than their status does.
CODES = {
    "cmek_key_disabled": SetupError,
    "cmek_key_network_blocked": SetupError,
    "contract_spend_limit_reached": SetupError,
    "enforced_spend_limit_reached": SetupError,
    "organization_on_hold": SetupError,
}


def said(kind: str | None = "some_error", code: str | None = None, message: str = "what is wrong") -> dict[str, Any]:
    """Return an error body."""
    details = {} if code is None else {"details": {"error_code": code}}
    return {"type": "error", "error": {"type": kind, "message": message} | details, "request_id": "req_1"}


class TestSdk:
    """The SDK's classes."""

    def test_statuses_are_known(self):
        """Every status that the SDK has a class for is in the table above: a new one fails here until it has its place."""
        assert {status for status, _ in _error_classes.ERROR_CLASSES} <= set(STATUS)
        assert not [kind for kind in UNUSED if issubclass(kind, official.APIError)]

    @pytest.mark.parametrize(("make", "expected"), SDK.values(), ids=[kind.__name__ for kind in SDK])
    async def test_mapped(self, make: Callable[[], official.AnthropicError], expected: type[StillhouseError]):
        """Each becomes one of ours."""
        teacher = AnthropicTeacher(model="m", base_url="http://server/v1")
        assert type(teacher._classified(make())) is expected
        await teacher.aclose()

    @pytest.mark.parametrize("kind", UNUSED)
    async def test_unused(self, kind: type[official.AnthropicError]):
        """Nor does an error of what is never used get away as what it is."""
        teacher = AnthropicTeacher(model="m", base_url="http://server/v1")
        assert type(teacher._classified(kind.__new__(kind))) is BadResponse
        await teacher.aclose()

    @pytest.mark.parametrize(("status", "code"), _error_classes.ERROR_CLASSES, ids=str)
    async def test_status_and_code(self, status: int, code: str | None):
        """An error of a code is that of its status, but where the account is at its end: that is no matter of patience."""
        expected = CODES.get(code or "", STATUS[status])
        with pytest.raises(expected) as caught:
            await ask(lambda http: httpx2.Response(status, json=said(code=code)))
        assert type(caught.value) is expected


class TestStatus:
    """What a server answers in place of a message."""

    @pytest.mark.parametrize("status", STATUS)
    async def test_status(self, status: int):
        """A status becomes the error that says whether to ask again, and the server's words are in it."""
        with pytest.raises(STATUS[status], match=rf"{status} .*what is wrong") as caught:
            await ask(lambda http: httpx2.Response(status, json=said()))
        assert type(caught.value) is STATUS[status]

    @pytest.mark.parametrize("status", [400, 429])
    async def test_no_credit(self, status: int):
        """A billing error is a matter for the user, whatever its status."""
        with pytest.raises(SetupError, match="the account behind http://server/v1 is on hold, or has no credit"):
            await ask(lambda http: httpx2.Response(status, json=said("billing_error")))

    @pytest.mark.parametrize("status", [429, 529])
    async def test_retry_after(self, status: int):
        """Where the server says how long to wait, overloaded or not, the error does too."""
        with pytest.raises((RateLimited, Overloaded)) as caught:
            await ask(lambda http: httpx2.Response(status, headers={"retry-after": "7"}, json=said()))
        assert isinstance(caught.value, RateLimited | Overloaded)
        assert caught.value.retry_after_s == 7

    @pytest.mark.parametrize("kind", [None, 4, ["billing_error"], {"a": 1}], ids=repr)
    async def test_odd_type(self, kind: Any):
        """A type that is none is no reason to fall over."""
        with pytest.raises(RequestRejected, match="what is wrong"):
            await ask(lambda http: httpx2.Response(400, json=said(kind)))


class TestNetwork:
    """What happens on the way."""

    async def test_network(self):
        """A network's trouble is a teacher that can't be reached."""
        with pytest.raises(Unreachable, match="can't reach http://server/v1: trouble"):
            await ask(raising(httpx2.ConnectError("trouble")))

    async def test_garbled(self):
        """A body that can't be decompressed can't be read: it is asked for again."""
        with pytest.raises(TeacherError) as caught:
            await ask(lambda http: httpx2.Response(200, headers={"content-encoding": "gzip"}, content=b"no gzip"))
        assert caught.value.retryable


class TestSecret:
    """The key is told to nobody."""

    @pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 429, 500])
    @pytest.mark.parametrize("form", [*TestKey.FORMS, json.dumps(said("KEY", "KEY", "KEY"))])
    async def test_in_no_error(self, status: int, form: str):
        """A server that quotes the key, in whatever place and with whatever status, doesn't get it into our messages."""
        with pytest.raises((TeacherError, UserError)) as caught:
            await ask(echoing(status, form), api_key=KEY)
        assert KEY[:8] not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"

    async def test_in_no_repr(self):
        """Nor does the teacher's own form."""
        teacher = AnthropicTeacher(model="m", base_url="http://server/v1", api_key=KEY)
        assert KEY not in repr(teacher)
        assert KEY not in json.dumps(teacher.identity)
        await teacher.aclose()
