"""Every error of the SDK, of HTTP and of the network becomes one of ours, and none of them tells the key."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any

import httpx2
import openai as sdk
import pytest

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
from tasks.teachers.chat import OpenAITeacher
from tests.fakes import make_request
from tests.tasks.teachers.foreign import error_classes
from tests.tasks.teachers.test_chat import ask

KEY = "sk-secret-0123456789abcdefghijklmnopqrstuvwxyz-0123456789"
HTTP = httpx2.Request("POST", "http://server/v1/chat/completions")


def status(kind: type[sdk.APIStatusError], code: int) -> sdk.APIStatusError:
    """Return an error of the SDK's about a status."""
    return kind("message", response=httpx2.Response(code, request=HTTP), body=None)  # type: ignore[call-arg]


# Each class of the SDK with an instance of it, and what it becomes.
SDK: dict[type[sdk.OpenAIError], tuple[Callable[[], sdk.OpenAIError], type[StillhouseError]]] = {
    sdk.OpenAIError: (lambda: sdk.OpenAIError("?"), BadResponse),
    sdk.APIError: (lambda: sdk.APIError("?", HTTP, body=None), BadResponse),
    sdk.APIStatusError: (lambda: status(sdk.APIStatusError, 418), RequestRejected),
    sdk.APIConnectionError: (lambda: sdk.APIConnectionError(request=HTTP), Unreachable),
    sdk.APITimeoutError: (lambda: sdk.APITimeoutError(HTTP), Unavailable),
    sdk.APIResponseValidationError: (
        lambda: sdk.APIResponseValidationError(httpx2.Response(200, request=HTTP), None),
        BadResponse,
    ),
    sdk.BadRequestError: (lambda: status(sdk.BadRequestError, 400), RequestRejected),
    sdk.AuthenticationError: (lambda: status(sdk.AuthenticationError, 401), SetupError),
    sdk.OAuthError: (lambda: sdk.OAuthError(response=httpx2.Response(401, request=HTTP), body=None), SetupError),
    sdk.PermissionDeniedError: (lambda: status(sdk.PermissionDeniedError, 403), SetupError),
    sdk.NotFoundError: (lambda: status(sdk.NotFoundError, 404), SetupError),
    sdk.ConflictError: (lambda: status(sdk.ConflictError, 409), Unavailable),
    sdk.UnprocessableEntityError: (lambda: status(sdk.UnprocessableEntityError, 422), RequestRejected),
    sdk.RateLimitError: (lambda: status(sdk.RateLimitError, 429), RateLimited),
    sdk.InternalServerError: (lambda: status(sdk.InternalServerError, 500), Unavailable),
    sdk.LengthFinishReasonError: (
        lambda: sdk.LengthFinishReasonError(completion=sdk.types.chat.ChatCompletion.construct()),
        BadResponse,
    ),
    sdk.ContentFilterFinishReasonError: (sdk.ContentFilterFinishReasonError, BadResponse),
    sdk._AmbiguousModuleClientUsageError: (sdk._AmbiguousModuleClientUsageError, BadResponse),
    sdk._exceptions.SubjectTokenProviderError: (lambda: sdk._exceptions.SubjectTokenProviderError("?"), BadResponse),
    sdk._exceptions.WebSocketConnectionClosedError: (
        lambda: sdk._exceptions.WebSocketConnectionClosedError("?", unsent_messages=[]),
        BadResponse,
    ),
    sdk._exceptions.WebSocketQueueFullError: (lambda: sdk._exceptions.WebSocketQueueFullError("?"), BadResponse),
}

# What the SDK has beside: errors of parts of it that are never used.
UNUSED = sorted(error_classes(sdk, sdk.OpenAIError) - set(SDK), key=lambda kind: kind.__qualname__)


class TestSdk:
    """The SDK's classes."""

    def test_table_is_whole(self):
        """Every error class about a request is in the table above: a new one fails here until it has its place."""
        assert not [kind for kind in UNUSED if issubclass(kind, sdk.APIError) or kind.__module__ == sdk._exceptions.__name__]

    @pytest.mark.parametrize("kind", UNUSED)
    async def test_unused(self, kind: type[sdk.OpenAIError]):
        """Nor does an error of what is never used get away as what it is."""
        teacher = OpenAITeacher(model="m", base_url="http://server/v1")
        assert type(teacher._classified(kind.__new__(kind))) is BadResponse
        await teacher.aclose()

    @pytest.mark.parametrize(("make", "expected"), SDK.values(), ids=[kind.__name__ for kind in SDK])
    async def test_mapped(self, make: Callable[[], sdk.OpenAIError], expected: type[StillhouseError]):
        """Each of them becomes one of ours."""
        teacher = OpenAITeacher(model="m", base_url="http://server/v1")
        assert type(teacher._classified(make())) is expected
        await teacher.aclose()


STATUS = {
    301: RequestRejected,
    400: RequestRejected,
    401: SetupError,
    402: SetupError,
    403: SetupError,
    404: SetupError,
    408: Unavailable,
    409: Unavailable,
    413: RequestRejected,
    421: Unavailable,
    422: RequestRejected,
    423: Unavailable,
    424: Unavailable,
    425: Unavailable,
    429: RateLimited,
    499: Unavailable,
    500: Unavailable,
    502: Unavailable,
    503: Overloaded,
    504: Unavailable,
    520: Unavailable,
    521: Unavailable,
    522: Unavailable,
    523: Unavailable,
    524: Unavailable,
    525: Unavailable,
    526: Unavailable,
    529: Overloaded,
}
BODIES = {
    "OpenAI's": b'{"error": {"message": "what is wrong", "type": "t", "code": "c"}}',
    "vLLM's": b'{"object": "error", "message": "what is wrong", "code": 400}',
    "FastAPI's": b'{"detail": [{"loc": ["body", "stop"], "msg": "what is wrong", "type": "value_error"}]}',
    "a text under error": b'{"error": "what is wrong"}',
    "a message elsewhere": b'{"error": {"code": 400, "metadata": {"raw": "what is wrong"}}}',
    "a text": b"what is wrong",
    "HTML": b"<html>\n<body>what is wrong</body></html>",
}


class TestStatus:
    """What a server answers in place of a completion."""

    @pytest.mark.parametrize("code", STATUS)
    async def test_code(self, code: int):
        """A status becomes the error that says whether to ask again."""
        with pytest.raises(STATUS[code], match=str(code)) as caught:
            await ask(lambda http: httpx2.Response(code, content=b"{}"))
        assert type(caught.value) is STATUS[code]

    @pytest.mark.parametrize("content", BODIES.values(), ids=BODIES)
    async def test_body(self, content: bytes):
        """What the server says is a part of the message, in one line, whatever form it has."""
        with pytest.raises(RequestRejected, match="what is wrong") as caught:
            await ask(lambda http: httpx2.Response(400, content=content))
        assert "\n" not in str(caught.value)

    async def test_long_body(self):
        """A page of HTML doesn't become the message as a whole."""
        with pytest.raises(RequestRejected) as caught:
            await ask(lambda http: httpx2.Response(400, content=b"x" * 100_000))
        assert len(str(caught.value)) <= 600

    async def test_no_quota(self):
        """An account without quota is a matter for the user, and not for patience."""
        content = {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}
        with pytest.raises(SetupError, match="http://server/v1 is on hold, or has no credit or quota left: 429"):
            await ask(lambda http: httpx2.Response(429, json=content))

    @pytest.mark.parametrize(("code", "said"), [(401, "check api_key_env"), (404, "check model and base_url")])
    async def test_what_to_do(self, code: int, said: str):
        """What the user can mend says what to do."""
        with pytest.raises(SetupError, match=said):
            await ask(lambda http: httpx2.Response(code, content=b"{}"))

    @pytest.mark.parametrize(
        ("code", "headers", "expected"), [(429, {}, None), (429, {"retry-after": "7"}, 7.0), (503, {"retry-after": "7"}, 7.0)]
    )
    async def test_retry_after(self, code: int, headers: dict[str, str], expected: float | None):
        """Where the server says how long to wait, the error does too."""
        with pytest.raises((RateLimited, Overloaded)) as caught:
            await ask(lambda http: httpx2.Response(code, headers=headers, content=b"{}"))
        assert isinstance(caught.value, RateLimited | Overloaded)
        assert caught.value.retry_after_s == expected


def raising(error: Exception) -> Callable[[httpx2.Request], httpx2.Response]:
    """Return a handler that raises."""

    def handler(http: httpx2.Request) -> httpx2.Response:
        raise error

    return handler


NETWORK = [
    kind
    for kind in vars(httpx2).values()
    if inspect.isclass(kind) and issubclass(kind, httpx2.RequestError) and kind is not httpx2.TooManyRedirects
]


class TestNetwork:
    """What happens on the way."""

    @pytest.mark.parametrize("kind", NETWORK, ids=[kind.__name__ for kind in NETWORK])
    async def test_network(self, kind: type[httpx2.RequestError]):
        """Every trouble of the network's is a teacher that can't be reached."""
        with pytest.raises(Unavailable):
            await ask(raising(kind("trouble")))

    async def test_garbled(self):
        """A body that can't be decompressed can't be read: it is asked for again."""
        with pytest.raises(TeacherError) as caught:
            await ask(lambda http: httpx2.Response(200, headers={"content-encoding": "gzip"}, content=b"no gzip"))
        assert caught.value.retryable


def echoing(code: int, form: str) -> Callable[[httpx2.Request], httpx2.Response]:
    """Return a handler that tells the client its own key."""

    def handler(http: httpx2.Request) -> httpx2.Response:
        key = http.headers["authorization"].removeprefix("Bearer ")
        return httpx2.Response(code, content=form.replace("KEY", key).encode())

    return handler


class TestKey:
    """The key is told to nobody."""

    FORMS = (
        '{"error": {"message": "Incorrect API key provided: KEY", "code": "invalid_api_key"}}',
        '{"KEY": "KEY"}',
        "Bearer KEY",
        "x" * 75 + "KEY",
        "x" * 495 + "KEY",
    )

    @pytest.mark.parametrize("code", [200, 400, 401, 403, 404, 429, 500])
    @pytest.mark.parametrize("form", FORMS)
    async def test_in_no_error(self, code: int, form: str):
        """A server that quotes the key, in whatever place and with whatever status, doesn't get it into our messages."""
        with pytest.raises((TeacherError, UserError)) as caught:
            await ask(echoing(code, form), api_key=KEY)
        said = f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"
        assert KEY[:8] not in said

    async def test_in_no_network_error(self):
        """Nor does a library that quotes the headers."""
        with pytest.raises(Unavailable) as caught:
            await ask(raising(httpx2.ConnectError(f"can't send Bearer {KEY}")), api_key=KEY)
        assert KEY not in str(caught.value)

    async def test_in_no_repr(self):
        """Nor does the teacher's own form."""
        teacher = OpenAITeacher(model="m", base_url="http://server/v1", api_key=KEY)
        assert KEY not in repr(teacher)
        assert KEY not in json.dumps(teacher.identity)
        await teacher.aclose()

    async def test_in_no_request_error(self):
        """A request that can't be made into JSON is a defect whose text has no key."""
        request: Any = make_request(parameters={"seed": object()})
        with pytest.raises(TypeError) as caught:
            await ask(b"", request, api_key=KEY)
        assert KEY not in str(caught.value)
