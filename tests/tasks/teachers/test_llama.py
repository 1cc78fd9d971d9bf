"""The three APIs as llama.cpp's server really speaks them, each through its teacher."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from storage.errors import RequestRejected
from storage.records import Message
from tasks.teachers.anthropic import AnthropicTeacher
from tasks.teachers.chat import OpenAITeacher
from tasks.teachers.embedded import MODEL, EmbeddedServer
from tasks.teachers.protocol import Completion
from tasks.teachers.responses import ResponsesTeacher
from tasks.teachers.sampling import SamplingOptions
from tasks.teachers.sdk import SdkTeacher
from tests.fakes import make_request

pytestmark = pytest.mark.model
TURNS = (
    Message(role="system", content="Be brief."),
    Message(role="user", content="Hello!"),
    Message(role="assistant", content="Hello."),
    Message(role="user", content="What is the capital of France?"),
)
KINDS = (OpenAITeacher, ResponsesTeacher, AnthropicTeacher)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[EmbeddedServer]:
    """Serve the embedded model."""
    async with EmbeddedServer(slots=1, context=512, threads=1) as running:
        yield running


async def ask(kind: type[SdkTeacher], server: EmbeddedServer, **parameters: Any) -> Completion:
    """Ask once, over the teacher's own connections."""
    teacher = kind(model=MODEL, base_url=server.base_url)
    try:
        return await teacher.complete(make_request(messages=TURNS, parameters={"temperature": 0.0, **parameters}))
    finally:
        await teacher.aclose()


@pytest.mark.asyncio(loop_scope="module")
class TestLlama:
    """A server that speaks all three."""

    async def test_alike(self, server: EmbeddedServer):
        """The same conversation gets the same greedy answer and the same counts by all three."""
        found = [await ask(kind, server, max_tokens=24) for kind in KINDS]
        first = found[0].choices[0].response
        assert "Paris" in first
        assert {each.choices[0].response for each in found} == {first}
        assert len({(each.tokens_in, each.tokens_out) for each in found}) == 1

    @pytest.mark.parametrize("kind", KINDS)
    async def test_max_tokens(self, server: EmbeddedServer, kind: type[SdkTeacher]):
        """A bound is kept, by whatever name it goes out."""
        found = await ask(kind, server, max_tokens=2)
        assert found.tokens_out == 2

    @pytest.mark.parametrize("kind", [OpenAITeacher, AnthropicTeacher])
    async def test_stop(self, server: EmbeddedServer, kind: type[SdkTeacher]):
        """So are stop texts, where the API has them."""
        found = await ask(kind, server, max_tokens=24, stop=["Paris"])
        assert "Paris" not in found.choices[0].response
        assert found.choices[0].finish_reason == "stop"

    @pytest.mark.parametrize("kind", [OpenAITeacher, AnthropicTeacher])
    async def test_cut_off(self, server: EmbeddedServer, kind: type[SdkTeacher]):
        """A response that was cut off says so."""
        found = await ask(kind, server, max_tokens=2)
        assert found.choices[0].finish_reason == "length"

    @pytest.mark.parametrize("kind", KINDS)
    async def test_schema(self, server: EmbeddedServer, kind: type[SdkTeacher]):
        """A judge's form holds where the server keeps to it, and harms nothing where it doesn't."""
        schema = {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"], "additionalProperties": False}
        form = {"type": "json_schema", "json_schema": {"name": "verdict", "schema": schema, "strict": True}}
        found = await ask(kind, server, max_tokens=16, response_format=form)
        assert found.choices[0].response.strip()

    @pytest.mark.parametrize("kind", KINDS)
    async def test_too_long(self, server: EmbeddedServer, kind: type[SdkTeacher]):
        """A prompt that has no room is a request at fault, in each API's own form of an error."""
        teacher = kind(model=MODEL, base_url=server.base_url)
        with pytest.raises(RequestRejected, match="context"):
            await teacher.complete(make_request("a " * 900, parameters={"max_tokens": 2}))
        await teacher.aclose()

    @pytest.mark.parametrize("number", [1, 20, 50])
    async def test_logprobs(self, server: EmbeddedServer, number: int):
        """Each token has the alternatives that were asked for, by id and bytes, and greedily the likeliest is drawn."""
        found = await ask(OpenAITeacher, server, max_tokens=12, **SamplingOptions(logprobs=number).parameters())
        (choice,) = found.choices
        given = choice.logprobs
        assert given is not None
        assert given.tokens is not None
        assert b"".join(given.tokens).decode() == choice.response
        assert len(given) == found.tokens_out
        assert given.counts == (number,) * len(given)
        assert given.ids is not None
        assert given.top_ids is not None
        assert given.ids == given.top_ids[::number]
        assert given.logprobs == given.top_logprobs[::number]
        for place, rest in enumerate(given.rest):
            mass = sum(map(math.exp, given.top_logprobs[place * number : (place + 1) * number]))
            assert mass + rest == pytest.approx(1, abs=1e-5)

    async def test_logprobs_within_characters(self, server: EmbeddedServer):
        """Every token that is counted has a position, those within a character as well, or is in a gap; none is misplaced."""
        teacher = OpenAITeacher(model=MODEL, base_url=server.base_url)
        parameters = {"temperature": 0.0, "max_tokens": 24, **SamplingOptions(logprobs=5).parameters()}
        found = await teacher.complete(make_request("Repeat: 🦉🦜🐧🦉🦜🐧", parameters=parameters))
        await teacher.aclose()
        (choice,) = found.choices
        assert choice.logprobs is not None
        assert choice.logprobs.tokens is not None
        assert choice.logprobs.ids is not None
        assert b"".join(choice.logprobs.tokens).decode() == choice.response
        for token, number, count in zip(choice.logprobs.tokens, choice.logprobs.ids, choice.logprobs.counts, strict=True):
            assert count == (0 if number == -1 else 5), token
