"""The Anthropic teacher against a server that speaks the published format, beside the SDK's own client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anthropic as official
import pytest

from storage.errors import BadResponse, RateLimited, SetupError, Unavailable
from storage.records import Message
from tasks.teachers.anthropic import AnthropicTeacher
from tests.fakes import make_request
from tests.tasks.teachers.server import Reply, message, serving

SYSTEM = "Think step by step."
HEADERS = {
    "content-type": "application/json",
    "request-id": "req_1",
    "anthropic-ratelimit-requests-limit": "50",
    "anthropic-ratelimit-requests-remaining": "49",
    "anthropic-ratelimit-requests-reset": "2026-01-01T00:00:00Z",
    "anthropic-ratelimit-tokens-limit": "40000",
    "anthropic-ratelimit-tokens-remaining": "39000",
    "anthropic-ratelimit-tokens-reset": "2026-01-01T00:00:00Z",
}
REPLY = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-1",
    "content": [
        {"type": "thinking", "thinking": "Two and two.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "c2VhbA=="},
        {"type": "text", "text": "The answer is 4."},
    ],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 12,
        "cache_creation_input_tokens": 2000,
        "cache_read_input_tokens": 300,
        "cache_creation": {"ephemeral_5m_input_tokens": 2000, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 70,
        "output_tokens_details": {"thinking_tokens": 40},
        "service_tier": "standard",
    },
}


def thinking(body: dict[str, Any]) -> Reply:
    """Answer with thinking where it is asked for; refuse what the API refuses."""
    if "max_tokens" not in body or any(turn["role"] == "system" for turn in body["messages"]):
        error = {"type": "invalid_request_error", "message": "max_tokens: Field required"}
        return 400, HEADERS, json.dumps({"type": "error", "error": error, "request_id": "req_1"}).encode()
    return 200, HEADERS, json.dumps(REPLY).encode()


@asynccontextmanager
async def teacher(url: str, **given: Any) -> AsyncIterator[AnthropicTeacher]:
    """Open a teacher of this server."""
    made = AnthropicTeacher(model="claude-1", base_url=url, **given)
    try:
        yield made
    finally:
        await made.aclose()


class TestBesideTheSdk:
    """The SDK's own client asks the same server the same."""

    async def test_alike(self):
        """Both send the same request, and read the same text, reasoning, blocks, usage and reason to stop."""
        with serving(thinking) as server:
            async with official.AsyncAnthropic(api_key="sk-1", base_url=server.url.removesuffix("/v1"), max_retries=0) as client:
                theirs = await client.messages.create(
                    model="claude-1",
                    max_tokens=4096,
                    system=[{"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral"}}],
                    messages=[{"role": "user", "content": "What is 2 + 2?"}],
                    stop_sequences=["END"],
                    thinking={"type": "enabled", "budget_tokens": 2048},
                )
            turns = (Message(role="system", content=SYSTEM), Message(role="user", content="What is 2 + 2?"))
            parameters = {"max_tokens": 4096, "stop": ["END"], "seed": 3, "thinking": {"budget_tokens": 2048}}
            async with teacher(server.url, api_key="sk-1") as made:
                ours = await made.complete(make_request(messages=turns, parameters=parameters))
        assert server.bodies[0] == server.bodies[1]
        assert server.paths == ["/v1/messages"] * 2
        assert server.keys == ["Bearer sk-1"] * 2
        (choice,) = ours.choices
        thought, sealed, answer = theirs.content
        assert (thought.type, sealed.type, answer.type) == ("thinking", "redacted_thinking", "text")
        assert (choice.reasoning, choice.response) == (thought.thinking, answer.text)
        assert json.loads(choice.reasoning_blocks or "") == [thought.model_dump(), sealed.model_dump()]
        assert (theirs.stop_reason, choice.finish_reason) == ("end_turn", "stop")
        usage = theirs.usage
        assert usage.cache_creation_input_tokens is not None
        assert usage.cache_read_input_tokens is not None
        assert usage.output_tokens_details is not None
        assert ours.tokens_in == usage.input_tokens + usage.cache_creation_input_tokens + usage.cache_read_input_tokens
        assert (ours.tokens_cached, ours.tokens_cache_written) == (
            usage.cache_read_input_tokens,
            usage.cache_creation_input_tokens,
        )
        assert (ours.tokens_out, ours.tokens_reasoning) == (usage.output_tokens, usage.output_tokens_details.thinking_tokens)
        assert ours.allowance is not None
        assert ours.allowance.tokens is not None
        assert ours.allowance.tokens.remaining == 39_000

    async def test_temperature(self):
        """The SDK's method has no temperature; the API still takes one."""
        with serving(message) as server:
            async with teacher(server.url) as made:
                await made.complete(make_request(parameters={"max_tokens": 9, "temperature": 0.5}))
        assert server.bodies[0]["temperature"] == 0.5


class TestServer:
    """A real one."""

    async def test_side_by_side(self):
        """Many requests side by side each get their own answer, over no more connections than allowed."""
        with serving(message) as server:
            async with teacher(server.url, concurrency=5) as made:
                found = await asyncio.gather(*(made.complete(make_request(f"p{n}")) for n in range(60)))
        assert [each.choices[0].response for each in found] == [f"p{n} #0" for n in range(60)]
        assert len(server.connections) <= 5

    @pytest.mark.parametrize(
        ("reply", "expected"),
        [
            ((429, {"retry-after": "3"}, b"{}"), RateLimited),
            ((529, {}, b'{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}'), Unavailable),
            ((401, {}, b"{}"), SetupError),
            ((200, {}, b"no JSON"), BadResponse),
            ((200, {"content-encoding": "gzip"}, b"no gzip"), Unavailable),
            (None, Unavailable),
        ],
        ids=["rate limit", "overloaded", "key", "garbage", "garbled", "dropped"],
    )
    async def test_errors(self, reply: Any, expected: type[Exception]):
        """What a server does wrong becomes the error of its kind, after one request: retries are in one place, not here."""
        with serving(lambda body: reply) as server:
            async with teacher(server.url) as made:
                with pytest.raises(expected):
                    await made.complete(make_request())
        assert len(server.bodies) == 1
