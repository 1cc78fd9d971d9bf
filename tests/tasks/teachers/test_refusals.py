"""Whose fault a refusal is: the account's, the request's, the server's or of the moment."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from storage.errors import (
    BadResponse,
    Overloaded,
    RateLimited,
    RequestRejected,
    SetupError,
    StillhouseError,
    Unavailable,
)
from tasks.teachers.anthropic import AnthropicTeacher
from tasks.teachers.chat import OpenAITeacher
from tasks.teachers.protocol import BrokenOff, RejectedMidway, Usage
from tasks.teachers.sdk import SdkTeacher
from tests.fakes import make_request
from tests.tasks.teachers import test_anthropic, test_chat

HTML = "<html>Attention Required! | Cloudflare: Sorry, you have been blocked</html>"
MODERATED = {"reasons": ["violence"], "flagged_input": "...", "provider_name": "p", "model_slug": "m"}


def told(message: str, **more: Any) -> dict[str, Any]:
    """Return an error body."""
    return {"error": {"message": message} | more}


async def refused(
    status: int,
    body: object,
    *,
    kind: type[SdkTeacher] = OpenAITeacher,
    after: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> StillhouseError:
    """Return the error of a teacher that is refused so, by its first answer or after another."""
    answers = [httpx2.Response(200, json=after)] if after else []
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    answers.append(httpx2.Response(status, content=content, headers=headers))
    transport = httpx2.MockTransport(lambda http: answers.pop(0))
    teacher = kind(model="m", base_url="http://server/v1", transport=transport)
    try:
        if after:
            await teacher.complete(make_request())
        with pytest.raises(StillhouseError) as caught:
            await teacher.complete(make_request())
    finally:
        await teacher.aclose()
    assert not answers
    return caught.value


ACCOUNT: dict[str, tuple[int, object]] = {
    "Anthropic": (
        400,
        {
            "type": "error",
            "error": {
                "type": "invalid_request_error",
                "message": "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.",
            },
        },
    ),
    "LiteLLM": (400, told("Budget has been exceeded! Current cost: 10.0, Max budget: 10.0", type="budget_exceeded", code="400")),
    "LiteLLM, 429": (429, told("Budget has been exceeded! Current cost: 10.0", type="budget_exceeded", code="429")),
    "LiteLLM for Anthropic": (
        400,
        told("litellm.BadRequestError: AnthropicException - {'message': 'Your credit balance is too low to access'}", code="400"),
    ),
    "OpenAI's limit": (
        400,
        told("Billing hard limit has been reached", type="invalid_request_error", code="billing_hard_limit_reached"),
    ),
    "OpenAI's bill": (429, told("Your account is not active", type="billing_not_active", code="billing_not_active")),
    "xAI": (403, told("Your team has used all credits or reached its monthly spending limit.")),
}
KEY: dict[str, tuple[int, object]] = {
    "Gemini": (400, [told("API key not valid. Please pass a valid API key.", code=400, status="INVALID_ARGUMENT")]),
    "Gemini's other": (400, [told("API key expired. Please renew the API key.", code=400, status="INVALID_ARGUMENT")]),
    "another": (400, told("Invalid API key")),
}


class TestSaid:
    """What is said of a refusal."""

    @pytest.mark.parametrize("kind", [OpenAITeacher, AnthropicTeacher])
    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            (told("no", code="context_length_exceeded", type="invalid_request_error"), "400 context_length_exceeded: no"),
            (told("no", type="content_filter", code=None), "400 content_filter: no"),
            ({"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}, "400 no"),
            ({"object": "error", "message": "no", "type": "BadRequestError", "code": 400}, "400 no"),
            (told("no", code="400", type="req_12345678"), "400 no"),
            (told("no", code={"a": 1}, type="two words"), "400 no"),
            ("<html>no</html>", "400 <html>no</html>"),
            ("", "400"),
        ],
        ids=["a code", "a type", "a broad type", "vLLM", "no code", "no words", "no JSON", "nothing"],
    )
    async def test_said(self, body: object, expected: str, kind: type[SdkTeacher]):
        """The status, a code where there is one that says more, and the server's words alone."""
        assert str(await refused(400, body, kind=kind)) == expected

    async def test_unworded(self):
        """A body without a message is quoted."""
        assert "'x': 1" in str(await refused(400, {"x": 1})).replace('"', "'").replace("':1", "': 1")


class TestAccount:
    """What no other prompt would be spared of ends the run, whatever its status, also in the middle of it."""

    @pytest.mark.parametrize("kind", [OpenAITeacher, AnthropicTeacher])
    @pytest.mark.parametrize(("status", "body"), ACCOUNT.values(), ids=ACCOUNT)
    async def test_account(self, status: int, body: object, kind: type[SdkTeacher]):
        """Credit that is used up."""
        error = await refused(status, body, kind=kind)
        assert isinstance(error, SetupError)
        assert "no credit or quota left" in str(error)

    @pytest.mark.parametrize("kind", [OpenAITeacher, AnthropicTeacher])
    @pytest.mark.parametrize(("status", "body"), KEY.values(), ids=KEY)
    async def test_key(self, status: int, body: object, kind: type[SdkTeacher]):
        """A key that is none."""
        error = await refused(status, body, kind=kind)
        assert isinstance(error, SetupError)
        assert "check api_key_env" in str(error)

    @pytest.mark.parametrize("status", [401, 402, 407])
    @pytest.mark.parametrize("after", [None, test_chat.body("4")], ids=["the first answer", "a later one"])
    async def test_status(self, status: int, after: dict[str, Any] | None):
        """A key that is revoked, an empty account, a proxy that lets nobody through."""
        assert isinstance(await refused(status, told("no"), after=after), SetupError)

    async def test_a_prompt_that_is_quoted(self):
        """A server that quotes the prompt, whatever the prompt says, doesn't end the run."""
        said = told("messages.0.content: " + "too long " * 40 + "'Your credit balance is too low'")
        assert type(await refused(400, said)) is RequestRejected


FLAGGED = {
    "OpenRouter": told("meta-llama requires moderation on Together.", code=403, metadata=MODERATED),
    "OpenRouter's words": told("Your chosen model requires moderation and your input was flagged"),
    "OpenRouter's type": told("No.", code=403, metadata={"error_type": "content_policy_violation"}),
    "a code": told("No.", code="content_filter"),
}


class TestNotHere:
    """403 and 404."""

    @pytest.mark.parametrize("after", [None, test_chat.body("4")], ids=["the first answer", "a later one"])
    @pytest.mark.parametrize("body", FLAGGED.values(), ids=FLAGGED)
    async def test_flagged(self, body: object, after: dict[str, Any] | None):
        """A prompt at which moderation takes offence costs that prompt alone."""
        assert type(await refused(403, body, after=after)) is RequestRejected

    @pytest.mark.parametrize(
        ("kind", "answer"),
        [(OpenAITeacher, test_chat.body("4")), (AnthropicTeacher, test_anthropic.body(test_anthropic.text()))],
    )
    @pytest.mark.parametrize(
        ("status", "body"),
        [(403, HTML), (403, told("no")), (404, "default backend - 404"), (404, told("no", metadata=3))],
        ids=["a firewall", "403", "an ingress", "404"],
    )
    async def test_before_and_after(self, status: int, body: object, kind: type[SdkTeacher], answer: dict[str, Any]):
        """Before a first answer the spec is wrong; afterwards it can't be, and the trouble may pass."""
        assert isinstance(await refused(status, body, kind=kind), SetupError)
        assert type(await refused(status, body, kind=kind, after=answer)) is Unavailable

    async def test_after_an_answer_in_a_file(self):
        """An answer in a batch's file counts as well."""
        teacher = OpenAITeacher(model="m", base_url="http://server/v1")
        assert isinstance(teacher.refused(404, told("no")), SetupError)
        teacher.answered(test_chat.body("4"))
        assert isinstance(teacher.refused(404, told("no")), Unavailable)
        await teacher.aclose()


class TestInAnswer:
    """A refusal with status 200."""

    @pytest.mark.parametrize(
        ("code", "expected"),
        [
            (400, RequestRejected),
            ("402", SetupError),
            (408, Unavailable),
            (429, RateLimited),
            (502, Unavailable),
            (503, Overloaded),
            (200, BadResponse),
            (1000, BadResponse),
            (None, BadResponse),
            ("overloaded", BadResponse),
            ([502], BadResponse),
            (float("inf"), BadResponse),
        ],
        ids=repr,
    )
    async def test_code(self, code: object, expected: type[StillhouseError]):
        """Its code is as good as a status; one that is none makes a bad response."""
        error = await refused(200, told("what is wrong", code=code))
        assert type(error) is expected
        assert "what is wrong" in str(error)

    @pytest.mark.parametrize(
        ("code", "expected"),
        [(400, RejectedMidway), (402, BrokenOff), (429, BrokenOff), (502, BrokenOff), (503, BrokenOff)],
    )
    async def test_billed(self, code: int, expected: type[BrokenOff | RejectedMidway]):
        """Where tokens are counted a model was at work: they are told, and what concerns the whole run shows by the next answer."""
        error = await refused(200, told("what is wrong", code=code) | {"usage": {"prompt_tokens": 5, "completion_tokens": 7}})
        assert type(error) is expected
        assert error.usage == Usage(tokens_in=5, tokens_out=7)
        assert "what is wrong" in str(error)

    async def test_in_a_file(self):
        """In a batch's file, it is the outcome of that line alone."""
        teacher = OpenAITeacher(model="m", base_url="http://server/v1")
        assert type(teacher.answered(told("no", code=502))) is Unavailable
        await teacher.aclose()


class TestShouldRetry:
    """`x-should-retry`: servers say by it what is of use, and the SDKs go by it."""

    @pytest.mark.parametrize("kind", [OpenAITeacher, AnthropicTeacher])
    @pytest.mark.parametrize(
        ("status", "said", "expected", "again"),
        [
            (400, "true", Unavailable, True),
            (422, "true", Unavailable, True),
            (400, "false", RequestRejected, False),
            (400, "perhaps", RequestRejected, False),
            (401, "true", SetupError, None),
            (402, "true", SetupError, None),
            (409, "false", Unavailable, False),
            (500, "false", Unavailable, False),
            (500, "true", Unavailable, True),
            (429, "false", RateLimited, True),
            (503, "false", Overloaded, True),
            (529, "false", Overloaded, True),
        ],
    )
    async def test_header(
        self, status: int, said: str, expected: type[StillhouseError], again: bool | None, kind: type[SdkTeacher]
    ):
        """A key or an account isn't mended by asking again, and where there is too much to do there is a later time."""
        error = await refused(status, told("no"), kind=kind, headers={"x-should-retry": said})
        assert type(error) is expected
        assert getattr(error, "retryable", None) is again
