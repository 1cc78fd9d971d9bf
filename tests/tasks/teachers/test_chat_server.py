"""The OpenAI teacher against a real HTTP server on the loopback interface, over its own connections."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from storage.errors import BadResponse, RateLimited, SetupError, Unavailable
from tasks.teachers.chat import OpenAITeacher
from tests.fakes import make_request
from tests.tasks.teachers.server import chat, serving


@asynccontextmanager
async def teacher(url: str, **given: Any) -> AsyncIterator[OpenAITeacher]:
    """Open a teacher of this server."""
    made = OpenAITeacher(model="m-1", base_url=url, **given)
    try:
        yield made
    finally:
        await made.aclose()


class TestServer:
    """A real one."""

    async def test_answer(self):
        """A request goes to the right path with its key, and its response comes back."""
        with serving() as server:
            async with teacher(server.url, api_key="sk-1") as made:
                found = await made.complete(make_request("Hi ä", n=2, parameters={"seed": 7}))
        assert [choice.response for choice in found.choices] == ["Hi ä #0", "Hi ä #1"]
        assert (found.tokens_in, found.tokens_out) == (5, 14)
        assert (server.paths, server.keys) == (["/v1/chat/completions"], ["Bearer sk-1"])
        assert (server.bodies[0]["n"], server.bodies[0]["seed"]) == (2, 7)

    async def test_side_by_side(self):
        """Many requests side by side each get their own answer, over no more connections than allowed."""
        with serving() as server:
            async with teacher(server.url, concurrency=5) as made:
                found = await asyncio.gather(*(made.complete(make_request(f"p{n}")) for n in range(60)))
        assert [each.choices[0].response for each in found] == [f"p{n} #0" for n in range(60)]
        assert len(server.connections) <= 5

    async def test_retries_nothing_itself(self):
        """An error is one request: retries are in one place, and it isn't here."""
        with serving(lambda body: (503, {}, b"busy")) as server:
            async with teacher(server.url) as made:
                with pytest.raises(Unavailable, match="busy"):
                    await made.complete(make_request())
        assert len(server.bodies) == 1

    @pytest.mark.parametrize(
        ("reply", "expected"),
        [
            ((429, {"retry-after": "3"}, b"{}"), RateLimited),
            ((401, {}, b"{}"), SetupError),
            ((200, {}, b"no JSON"), BadResponse),
            ((200, {"content-encoding": "gzip"}, b"no gzip"), Unavailable),
            (None, Unavailable),
        ],
        ids=["rate limit", "key", "garbage", "garbled", "dropped"],
    )
    async def test_errors(self, reply: Any, expected: type[Exception]):
        """What a server does wrong becomes the error of its kind."""
        with serving(lambda body: reply) as server:
            async with teacher(server.url) as made:
                with pytest.raises(expected):
                    await made.complete(make_request())

    async def test_goes_on_after_a_dropped_connection(self):
        """A connection that was dropped spoils no later request."""
        replies = iter([None, chat])

        def reply(body: dict[str, Any]) -> Any:
            answer = next(replies)
            return answer and answer(body)

        with serving(reply) as server:
            async with teacher(server.url) as made:
                with pytest.raises(Unavailable):
                    await made.complete(make_request())
                assert (await made.complete(make_request("Hi"))).choices[0].response == "Hi #0"

    async def test_nobody_listens(self):
        """A server that isn't there is named."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
            async with teacher(url) as made:
                with pytest.raises(Unavailable, match=rf"can't reach {url}"):
                    await made.complete(make_request())
