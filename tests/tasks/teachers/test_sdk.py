"""What the SDKs would take from the environment goes to their providers alone, and into no text."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import httpx2
import pytest

from storage.errors import RequestRejected, StillhouseError
from tasks.teachers.anthropic import AnthropicTeacher
from tasks.teachers.anthropic_batch import AnthropicBatchTeacher
from tasks.teachers.chat import OpenAITeacher
from tasks.teachers.openai_batch import OpenAIBatchTeacher
from tasks.teachers.sdk import SdkTeacher
from tests.fakes import make_request
from tests.tasks.teachers import test_anthropic, test_chat
from tests.tasks.teachers.server import chat, message, serving

ENVIRONMENT = {
    "OPENAI_ORG_ID": "canary-org",
    "OPENAI_PROJECT_ID": "canary-project",
    "OPENAI_CUSTOM_HEADERS": "X-Corp: canary-openai\nauthorization: Bearer canary-openai-key\nX-Short: 4",
    "ANTHROPIC_CUSTOM_HEADERS": "X-Corp: canary-anthropic\nauthorization: Bearer canary-anthropic-key\nnonsense",
}
HOMES: dict[type[SdkTeacher], str] = {
    OpenAITeacher: "https://api.openai.com/v1",
    AnthropicTeacher: "https://api.anthropic.com/v1",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set all that the SDKs look for."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(("kind", "answer"), [(OpenAITeacher, chat), (AnthropicTeacher, message)])
async def test_another_server(kind: type[SdkTeacher], answer: Any):
    """A server that the spec names gets the spec's key and nothing of the environment's, from the first request on."""
    with serving(answer) as server:
        teacher = kind(model="m", base_url=server.url, api_key="sk-1")
        for _ in range(2):
            await teacher.complete(make_request())
        await teacher.aclose()
    assert len(server.headers) == 2
    assert "canary" not in json.dumps(server.headers)
    assert server.keys == ["Bearer sk-1"] * 2


@pytest.mark.parametrize("batch", ["openai", "anthropic"])
async def test_another_server_for_batches(batch: str):
    """Nor does it where batches are asked for."""
    seen: list[httpx2.Request] = []

    def answer(http: httpx2.Request) -> httpx2.Response:
        seen.append(http)
        return httpx2.Response(400, json={})

    given: dict[str, Any] = {
        "model": "m",
        "base_url": "http://server/v1",
        "api_key": "sk-1",
        "transport": httpx2.MockTransport(answer),
    }
    teacher = (
        OpenAIBatchTeacher(one=OpenAITeacher(**given))
        if batch == "openai"
        else AnthropicBatchTeacher(one=AnthropicTeacher(**given))
    )
    with contextlib.suppress(StillhouseError):
        await teacher.poll("b")
    await teacher.aclose()
    (http,) = seen
    assert "canary" not in str(http.headers.raw)
    assert http.headers["authorization"] == "Bearer sk-1"


@pytest.mark.parametrize(
    ("kind", "body"),
    [(OpenAITeacher, test_chat.body("4")), (AnthropicTeacher, test_anthropic.body(test_anthropic.text()))],
)
async def test_at_home(kind: type[SdkTeacher], body: dict[str, Any]):
    """The provider gets them."""
    http, _ = await test_chat.sent(make_request(), body, kind=kind, base_url=HOMES[kind])
    assert http.headers["x-corp"].startswith("canary")


@pytest.mark.parametrize("kind", HOMES)
async def test_in_no_text(kind: type[SdkTeacher]):
    """Where the provider quotes what it got, no error does; a header of a character or two is no secret."""

    def echo(http: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(400, text=f"4 is too much: {http.headers['x-corp']} {http.headers.get('openai-organization')}")

    with pytest.raises(RequestRejected, match="4 is too much") as caught:
        await test_chat.ask(echo, kind=kind, base_url=HOMES[kind])
    assert "canary" not in str(caught.value)
